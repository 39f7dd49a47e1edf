"""The sink's tables a second time, in a schema beside: made, compared row by row, put in their place."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from connectors.consuming.positions import Place
from connectors.postgres.grants import take_over
from connectors.postgres.migrate import migrate
from connectors.postgres.months import LETTERS_KEEP_DAYS
from connectors.postgres.rows import ENVELOPE, LETTER, SUBJECT, TRANSITION
from connectors.postgres.statements import STATE

Connection = psycopg.Connection[Any]

SCHEMA, REPLACED = "tierflow_rebuilt", "tierflow_replaced"
COMPARED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "jobs": (("job_id",), (*SUBJECT, *ENVELOPE, *STATE, "keep_days")),
    "job_transitions": (("job_id", "series", "number"), (*TRANSITION, "accepted_at", "keep_days")),
    "job_homes": (("job_id",), ("job_id", "accepted_at", "keep_days")),
    "dead_letter_jobs": (("letter_id",), LETTER),
    "dead_letter_ids": (("letter_id",), ("letter_id", "last_failed_at")),
    "sink_offsets": (("topic", "partition"), ("topic", "partition", "next")),
}
"""Every table that the sink writes: the key of a row, and what of it must be the same."""
_JOBS = "accepted_at >= %(now)s - keep_days * interval '1 day'"
_LETTERS = f"last_failed_at >= %(now)s - interval '{LETTERS_KEEP_DAYS} days'"
_COUNTED = {
    "jobs": _JOBS,
    "job_transitions": _JOBS,
    "job_homes": _JOBS,
    "dead_letter_jobs": _LETTERS,
    "dead_letter_ids": _LETTERS,
    "sink_offsets": "next > 0",
}
_TOLD = 20
_FETCHED = 5_000
# Whoever reads or writes waits for so long at most.
_LOCK_TIMEOUT = "10s"


@dataclass(slots=True)
class Difference:
    """How a table differs; of each kind the first keys."""

    rows: int = 0
    missing: list[str] = field(default_factory=list)
    """In the original only."""
    extra: list[str] = field(default_factory=list)
    """In the rebuilt one only."""
    differing: list[str] = field(default_factory=list)
    count: int = 0


def rebuilt_url(database_url: str) -> str:
    """The URL under which the tables of the schema beside are `jobs` and so on."""
    given = conninfo_to_dict(database_url).get("options") or ""
    # Nothing is lost with a rebuild that a crash ended: it is made again. Batches are large here.
    options = f"{given} -csearch_path={SCHEMA} -csynchronous_commit=off -cwork_mem=64MB -crandom_page_cost=1"
    return make_conninfo(database_url, options=options.strip())


def prepare(database_url: str) -> None:
    """Make the schema beside anew, empty and migrated."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(SQL("drop schema if exists {} cascade").format(Identifier(SCHEMA)))
        connection.execute(SQL("create schema {}").format(Identifier(SCHEMA)))
    migrate(rebuilt_url(database_url))


def discard(database_url: str) -> None:
    """Take the schema beside away."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(SQL("drop schema if exists {} cascade").format(Identifier(SCHEMA)))


def snapshot(database_url: str) -> Connection:
    """A connection that sees the database as it is now, for as long as it is open."""
    connection = psycopg.connect(database_url, application_name="tierflow-rebuild")
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def written(connection: Connection) -> dict[Place, int]:
    """How far the sink has written, as a connection sees it."""
    rows = connection.execute("select topic, partition, next from sink_offsets where next > 0").fetchall()
    return {(topic, partition): following for topic, partition, following in rows}


def compare(original: Connection, rebuilt: Connection, now: datetime) -> dict[str, Difference]:
    """The differences, table by table; none of letters that a person deleted, nor of what is too old.

    Rows whose time to be kept is over may be there or dropped already, so they do not count.
    """
    return {table: _compare(original, rebuilt, table, now) for table in COMPARED}


def _compare(original: Connection, rebuilt: Connection, table: str, now: datetime) -> Difference:
    found = Difference()
    deleted = {row[0] for row in original.execute("select letter_id from dead_letter_deletions").fetchall()}
    pairs = heapq.merge(
        _rows(original, table, 0, now), _rows(rebuilt, table, 1, now), key=lambda row: row[:2]
    )
    before: tuple[list[str], int, str] | None = None

    def note(kind: str, key: list[str]) -> None:
        if table.startswith("dead_letter") and key[0] in deleted:
            return
        found.count += 1
        if len(getattr(found, kind)) < _TOLD:
            getattr(found, kind).append("/".join(key))

    for row in pairs:
        if before is not None and before[0] == row[0] and before[1] != row[1]:
            if before[2] != row[2]:
                note("differing", row[0])
            found.rows += 1
            before = None
            continue
        if before is not None:
            note("extra" if before[1] else "missing", before[0])
        before = row
    if before is not None:
        note("extra" if before[1] else "missing", before[0])
    return found


def _rows(
    connection: Connection, table: str, side: int, now: datetime
) -> Iterator[tuple[list[str], int, str]]:
    """Key, side and digest of each row, in the order of the keys' bytes."""
    key, columns = COMPARED[table]
    texts = ", ".join(f"{name}::text" for name in columns)
    where = _COUNTED[table]
    keys = ", ".join(f'{name}::text collate "C"' for name in key)
    query = f"select array[{keys}], md5(row({texts})::text) from {table} where {where} order by {keys}"
    with connection.cursor(f"rebuild_{table}") as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(cast(Any, query), {"now": now})
        for names, digest in cursor:
            yield names, side, digest


def carry_over(database_url: str, horizon: datetime) -> dict[str, int]:
    """Take what is older than the topics from the original into the rebuilt tables; rows by table."""
    with psycopg.connect(database_url) as connection:
        (schema,) = _one(connection, "select current_schema()")
        return {
            table: connection.execute(
                SQL(
                    "with absent as (select old.{id} from {old}.{homes} old where old.{time} < %s"
                    " and not exists (select from {new}.{homes} known where known.{id} = old.{id}))"
                    " insert into {new}.{table} select old.* from {old}.{table} old"
                    " join absent on absent.{id} = old.{id}"
                ).format(
                    id=Identifier(name),
                    time=Identifier(time),
                    homes=Identifier(homes),
                    old=Identifier(schema),
                    new=Identifier(SCHEMA),
                    table=Identifier(table),
                ),
                (horizon,),
            ).rowcount
            for homes, name, time, tables in (
                ("job_homes", "job_id", "accepted_at", ("jobs", "job_transitions", "job_homes")),
                (
                    "dead_letter_ids",
                    "letter_id",
                    "last_failed_at",
                    ("dead_letter_jobs", "dead_letter_ids"),
                ),
            )
            for table in tables
        }


def swap(database_url: str) -> None:
    """Put the rebuilt tables in the place of the original ones, in one transaction; these go to REPLACED.

    Owners and grants go over, too. Running sinks wait for a moment, find other offsets, and go on from them.
    """
    with psycopg.connect(database_url) as connection:
        connection.execute(cast(Any, f"set local lock_timeout = '{_LOCK_TIMEOUT}'"))
        (schema,) = _one(connection, "select current_schema()")
        connection.execute(
            SQL(
                "delete from {}.dead_letter_jobs rebuilt using {}.dead_letter_deletions gone"
                " where rebuilt.letter_id = gone.letter_id"
            ).format(Identifier(SCHEMA), Identifier(schema))
        )
        parts = [part for table in COMPARED for part in _tree(connection, schema, table)]
        take_over(connection, schema, SCHEMA, [*parts, "critical_jobs"])
        connection.execute(SQL("drop schema if exists {} cascade").format(Identifier(REPLACED)))
        connection.execute(SQL("create schema {}").format(Identifier(REPLACED)))
        for source, target in ((schema, REPLACED), (SCHEMA, schema)):
            for table in COMPARED:
                for part in _tree(connection, source, table):
                    _move(connection, "table", source, part, target)
            _move(connection, "view", source, "critical_jobs", target)
        connection.execute(SQL("drop schema {} cascade").format(Identifier(SCHEMA)))


def _tree(connection: Connection, schema: str, table: str) -> Sequence[str]:
    """A table and its partitions."""
    rows = connection.execute(
        "select relname from pg_partition_tree(%s::regclass) tree join pg_class on oid = relid",
        (f'"{schema}"."{table}"',),
    ).fetchall()
    return [name for (name,) in rows] or [table]


def _move(connection: Connection, kind: str, source: str, name: str, target: str) -> None:
    connection.execute(
        SQL("alter {} {}.{} set schema {}").format(
            SQL(cast(Any, kind)), Identifier(source), Identifier(name), Identifier(target)
        )
    )


def _one(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(cast(Any, query)).fetchone()
    assert row is not None
    return cast(tuple[Any, ...], row)
