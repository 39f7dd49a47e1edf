"""The sink: tier-1 jobs, their transitions and all dead letters into Postgres, each exactly once.

Rows and offsets are one transaction, and the offsets move by compare-and-set. So a writer that was stopped
and wakes up, or one whose commit got no answer, cannot write a batch a second time: the offsets are no longer
where it expects them.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar, cast

import psycopg
from confluent_kafka import Message

from connectors.consuming.loop import source
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move, Place
from connectors.consuming.target import PositionMovedError, TargetAwayError
from connectors.postgres.connection import caused_by_data, connect, one_line, patience
from connectors.postgres.letters import Letterbox, letter_of
from connectors.postgres.rows import Rows
from connectors.postgres.statements import (
    CLEAR_STAGING,
    COPY,
    CREATE_STAGING,
    FIND_OFFSETS,
    MOVE_OFFSETS,
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
    ) -> None:
        self._url = database_url
        self._records = records
        self._codec = codec
        self._letterbox = letterbox
        self._metrics = metrics
        self._connector = connector
        self._connection: Connection | None = None

    def positions(self, places: Collection[Place]) -> dict[Place, int]:
        """The next offset of each partition, as the last committed transaction left it."""
        topics, partitions = [place[0] for place in places], [place[1] for place in places]

        def find(connection: Connection) -> dict[Place, int]:
            rows = connection.execute(FIND_OFFSETS, (topics, partitions)).fetchall()
            return dict.fromkeys(places, 0) | {(topic, number): next_ for topic, number, next_ in rows}

        return self._transact(find)

    def write(self, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        """Write the rows of the records and move the offsets in one transaction."""
        return self._transact(lambda connection: self._write(connection, messages, moves))

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

    def _write(self, connection: Connection, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        move_offsets(connection, moves)
        return self._write_messages(connection, messages)

    def _write_messages(self, connection: Connection, messages: Sequence[Message]) -> int:
        """Write the records, and the letters of those that do not decode."""
        decoded = [record for message in messages if (record := self._decoded(message)) is not None]
        rows = Rows.of(decoded)
        try:
            with connection.transaction():
                write_rows(connection, rows)
        except psycopg.Error as error:
            if not caused_by_data(error) or connection.closed:
                raise
            return self._without_poison(connection, messages, error)
        return len(rows)

    def _without_poison(
        self, connection: Connection, messages: Sequence[Message], error: psycopg.Error
    ) -> int:
        """Halve the batch until the record that Postgres refuses stands alone."""
        if len(messages) > 1:
            half = len(messages) // 2
            rows = self._write_messages(connection, messages[:half])
            connection.execute(cast(Any, CLEAR_STAGING))
            return rows + self._write_messages(connection, messages[half:])
        letter = self._reject(messages[0], "unwritable", one_line(error))
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
        if rows.transitions:
            cursor.execute(cast(Any, WRITE_JOBS))
        if rows.letters:
            cursor.execute(cast(Any, WRITE_LETTERS))
