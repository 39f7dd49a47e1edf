"""The sink: tier-1 jobs, their transitions and all dead letters into Postgres, each exactly once.

Rows and offsets are one transaction, and the offsets move by compare-and-set. So a writer that was stopped
and wakes up, or one whose commit got no answer, cannot write a batch a second time: the offsets are no longer
where it expects them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import psycopg
from confluent_kafka import Message
from psycopg.rows import dict_row

from connectors.consuming.incarnations import Incarnations
from connectors.consuming.loop import source
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move, Place
from connectors.consuming.target import PositionMovedError, TargetAwayError
from connectors.postgres.connection import caused_by_data, connect, one_line, patience
from connectors.postgres.letters import Letterbox, letter_of
from connectors.postgres.months import months_of
from connectors.postgres.rows import Rows
from connectors.postgres.statements import (
    ADOPT_OFFSETS,
    CLEAR_STAGING,
    COPY,
    CREATE_STAGING,
    FIND_HOMES,
    FIND_MOVED,
    FIND_MOVES,
    FIND_OFFSETS,
    LOCK_HOMES,
    MAKE_MONTHS,
    MOVE_OFFSETS,
    MOVES,
    RENEW_OFFSETS,
    WRITE_JOBS,
    WRITE_LETTERS,
)
from schemas.errors import DecodeError
from schemas.records import DeadLetter, Job, Lifecycle
from schemas.tiers import Tier
from streams.codec import Codec
from streams.log import get
from streams.topics import Topology

log = get(__name__)

GROUP = "sink-postgres"
Record = Job | Lifecycle | DeadLetter
Decoded = tuple[Message, Record]
Connection = psycopg.Connection[Any]
T = TypeVar("T")


def record_types(topology: Topology) -> dict[str, type[Record]]:
    """The topics that go to Postgres, and what their records are."""
    return {
        **dict.fromkeys(topology.lanes(Tier.CRITICAL), Job),
        topology.lifecycle(Tier.CRITICAL): Lifecycle,
        **dict.fromkeys(topology.all_dead_letters, DeadLetter),
    }


class PostgresSink:
    """The target of the sink's consumer. One connection, made when needed and again when it broke."""

    name = "postgres"

    def __init__(
        self,
        database_url: str,
        records: dict[str, type[Record]],
        codec: Codec,
        letterbox: Letterbox,
        metrics: ConsumingMetrics,
        connector: Callable[[str, str], Connection] = connect,
        incarnations: Incarnations | None = None,
    ) -> None:
        self._url = database_url
        self._records = records
        self._codec = codec
        self._letterbox = letterbox
        self._metrics = metrics
        self._connector = connector
        self._incarnations = incarnations
        self._connection: Connection | None = None

    def positions(self, places: Collection[Place]) -> dict[Place, int]:
        """The next offset of each partition, as the last committed transaction left it."""
        topics, partitions = [place[0] for place in places], [place[1] for place in places]
        ids = self._incarnations.of(set(topics)) if self._incarnations else {}

        def find(connection: Connection) -> dict[Place, int]:
            renew_offsets(connection, ids)
            rows = connection.execute(FIND_OFFSETS, (topics, partitions)).fetchall()
            adopt_offsets(connection, ids)
            return dict.fromkeys(places, 0) | {(topic, number): next_ for topic, number, next_ in rows}

        return self._transact(find)

    def write(self, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        """Write the rows of the records and move the offsets in one transaction."""
        # Before it: the server ends a transaction that stands still, and decoding or a letter may take long.
        decoded = [
            (message, record) for message in messages if (record := self._decoded(message)) is not None
        ]
        return self._transact(lambda connection: self._write(connection, decoded, moves))

    def close(self) -> None:
        """Close the connection; what is not committed is rolled back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _transact(self, work: Callable[[Connection], T]) -> T:
        try:
            connection = self._open()
            with patience(connection), connection.transaction():
                return work(connection)
        except psycopg.Error as error:
            # Also when only the answer to COMMIT was lost: the compare-and-set finds out.
            self.close()
            raise TargetAwayError(one_line(error)) from error

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._connector(self._url, "tierflow-sink")
            with self._connection.transaction():
                self._connection.execute(cast(Any, CREATE_STAGING))
        return self._connection

    def _write(self, connection: Connection, decoded: Sequence[Decoded], moves: Sequence[Move]) -> int:
        # Staged before anything is locked: while rows are on their way the server waits for a writer that was
        # stopped, however long, and no time-out of its own ends that.
        rows = Rows.of(record for _, record in decoded)
        refusal = _refusal(connection, lambda: stage(connection, rows))
        move_offsets(connection, moves)
        refusal = refusal or _refusal(connection, lambda: write_staged(connection, rows))
        return len(rows) if refusal is None else self._without_poison(connection, decoded, refusal)

    def _write_records(self, connection: Connection, decoded: Sequence[Decoded]) -> int:
        """Write the records; those that Postgres refuses become letters."""
        rows = Rows.of(record for _, record in decoded)
        refusal = _refusal(connection, lambda: write_rows(connection, rows))
        return len(rows) if refusal is None else self._without_poison(connection, decoded, refusal)

    def _without_poison(
        self, connection: Connection, decoded: Sequence[Decoded], error: psycopg.Error
    ) -> int:
        """Halve the batch until the record that Postgres refuses stands alone."""
        connection.execute(cast(Any, CLEAR_STAGING))
        if len(decoded) > 1:
            half = len(decoded) // 2
            rows = self._write_records(connection, decoded[:half])
            connection.execute(cast(Any, CLEAR_STAGING))
            return rows + self._write_records(connection, decoded[half:])
        letter = self._reject(decoded[0][0], "unwritable", one_line(error))
        if letter is None:
            return 0
        with connection.transaction():
            write_rows(connection, Rows.of([letter]))
        return 1

    def _decoded(self, message: Message) -> Record | None:
        value = message.value()
        if value is None:
            return None  # a tombstone says nothing here
        try:
            record = self._records[source(message)[0][0]]
            return self._codec.decode(record, value if isinstance(value, bytes) else value.encode())
        except DecodeError as error:
            return self._reject(message, "undecodable", str(error))

    def _reject(self, message: Message, error_class: str, reason: str) -> DeadLetter | None:
        """Post the letter of a record; if that was a letter itself return it, to be written here: no loop."""
        letter = letter_of(message, error_class, reason)
        self._metrics.poison.labels(self.name).inc()
        log.warning("record cannot be written", letter_id=letter.letter_id, reason=letter.message)
        if self._records[letter.source_topic] is DeadLetter:
            return letter
        self._letterbox.post(letter)
        return None


def _refusal(connection: Connection, work: Callable[[], None]) -> psycopg.Error | None:
    """Do the work, or nothing of it and return why, when its rows are to blame."""
    try:
        with connection.transaction():
            work()
    except psycopg.Error as error:
        if not caused_by_data(error) or connection.closed:
            raise
        return error
    return None


def renew_offsets(connection: Connection, ids: Mapping[str, str]) -> None:
    """Begin anew with topics that are other ones than those the offsets were written for."""
    if not ids:
        return
    known = {"topics": list(ids), "ids": list(ids.values())}
    for topic, partition in connection.execute(RENEW_OFFSETS, known).fetchall():
        log.warning("another incarnation of the topic, reading it anew", topic=topic, partition=partition)


def adopt_offsets(connection: Connection, ids: Mapping[str, str]) -> None:
    """Note which topics the offsets are those of, where that is not known yet."""
    if ids:
        connection.execute(ADOPT_OFFSETS, {"topics": list(ids), "ids": list(ids.values())})


def move_offsets(connection: Connection, moves: Sequence[Move]) -> None:
    """Move every partition from where it is expected; PositionMovedError if one is not there."""
    moved = connection.execute(
        MOVE_OFFSETS,
        (
            [move.topic for move in moves],
            [move.partition for move in moves],
            [move.expected for move in moves],
            [move.next for move in moves],
        ),
    ).rowcount
    if moved != len(moves):
        raise PositionMovedError(f"{len(moves) - moved} of {len(moves)} partitions stand elsewhere")


def write_rows(connection: Connection, rows: Rows) -> None:
    """Stage the rows and write them; rows that are there already change nothing."""
    stage(connection, rows)
    write_staged(connection, rows)


def stage(connection: Connection, rows: Rows) -> None:
    """Send the rows to the tables of this connection."""
    staged = {
        "staged_jobs": rows.jobs(),
        "staged_transitions": list(rows.transitions.values()),
        "staged_letters": list(rows.letters.values()),
    }
    with connection.cursor() as cursor:
        for table, values in staged.items():
            if values:
                with cursor.copy(cast(Any, COPY[table])) as copy:
                    for row in values:
                        copy.write_row(row)


def write_staged(connection: Connection, rows: Rows) -> None:
    """Write what was staged.

    The statements are planned each time (`prepare=False`): a plan made while the tables were small would read
    job_homes from beginning to end for each job.
    """
    with connection.cursor() as cursor:
        if months := months_of(rows.times(), datetime.now(UTC)):
            cursor.execute(MAKE_MONTHS, ([name for name, _ in months], [month for _, month in months]))
        if rows.transitions:
            made = cursor.execute(cast(Any, FIND_HOMES), prepare=False).rowcount
            if made < len(rows.subjects):
                _move_rows(connection)
            written = cursor.execute(cast(Any, WRITE_JOBS), prepare=False).rowcount
            if written != len(rows.subjects):
                # Retention dropped their month meanwhile. Again, and they are found or made anew.
                raise TargetAwayError(
                    f"{len(rows.subjects) - written} jobs lost their place while they were written"
                )
        if rows.letters:
            cursor.execute(cast(Any, WRITE_LETTERS), prepare=False)


def _move_rows(connection: Connection) -> None:
    """Put all rows of a job under the earliest time that was said of it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        moved = [row["job_id"] for row in cursor.execute(cast(Any, FIND_MOVED), prepare=False)]
        if not moved:
            return
        cursor.execute(LOCK_HOMES)
        moves = cursor.execute(cast(Any, FIND_MOVES), (moved,), prepare=False).fetchall()
        for move in moves:
            for statement in MOVES:
                cursor.execute(cast(Any, statement), move)
