"""Retention: makes the months that are coming and drops those whose rows were all kept for long enough.

A month is dropped, not deleted; only what no month was made for is deleted, in batches. Safe to run by
several at once (one works, the others do nothing) and to stop at any moment: the next run goes on.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
from prometheus_client import CollectorRegistry
from psycopg.sql import SQL, Identifier

from connectors.postgres.months import FAMILIES, LETTERS, is_over, months_ahead
from connectors.postgres.statements import MAKE_MONTHS
from schemas.errors import UnavailableError
from streams import metric_names as names
from streams.log import get

log = get(__name__)

PERIOD_S = 3_600.0
_LOCK = 0x7469657266_02
_BATCH = 10_000
# Dropping waits behind whoever reads the table, and everybody then waits behind the drop.
_LOCK_TIMEOUT = "3s"
_MONTHS = """
select child.relname from pg_inherits
join pg_class child on child.oid = inhrelid join pg_class parent on parent.oid = inhparent
where inhparent = any (select to_regclass(family) from unnest(%s::text[]) family) order by 1
"""
_HOMES = {"dead_letter_jobs": ("dead_letter_ids", "letter_id"), "jobs": ("job_homes", "job_id")}
_TIME = {"dead_letter_jobs": "last_failed_at"}


@dataclass(slots=True)
class Kept:
    """What a run did."""

    made: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    deleted: int = 0
    late: list[str] = field(default_factory=list)
    """Months that could not be dropped now, because somebody reads them: the next run tries again."""
    busy: bool = False
    """Another process is at it."""


class RetentionMetrics:
    """When retention last worked, and what it took away."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.worked_at = names.RETENTION_WORKED.gauge(registry)
        self.dropped = names.RETENTION_DROPPED.counter(registry)
        self.deleted = names.RETENTION_DELETED.counter(registry)

    def note(self, kept: Kept, now: datetime) -> None:
        """A run has ended."""
        self.dropped.inc(len(kept.dropped))
        self.deleted.inc(kept.deleted)
        if not kept.late:
            self.worked_at.set(now.timestamp())


def retain(database_url: str, now: datetime | None = None, *, execute: bool = True) -> Kept:
    """Make and drop months as of `now`; without `execute` only say which. Blocks. UnavailableError."""
    at, kept = now or datetime.now(UTC), Kept()
    try:
        with psycopg.connect(
            database_url, autocommit=True, connect_timeout=5, application_name="tierflow-retention"
        ) as connection:
            # The session's lock: gone when the connection is.
            (mine,) = _row(connection, "select pg_try_advisory_lock(%s)", (_LOCK,))
            if not mine:
                kept.busy = True
                return kept
            _make(connection, at, kept, execute)
            for (month,) in connection.execute(cast(Any, _MONTHS), (list(FAMILIES),)).fetchall():
                if is_over(month, at):
                    _drop(connection, month, kept, execute)
            if execute:
                for family in FAMILIES:
                    kept.deleted += _delete_others(connection, family, at)
    except psycopg.Error as error:
        raise UnavailableError(f"retention stopped: {' '.join(str(error).split())}") from error
    return kept


def _make(connection: psycopg.Connection[Any], at: datetime, kept: Kept, execute: bool) -> None:
    for family, month in months_ahead(at):
        name = f"{family}_{month:%Y_%m}"
        if execute:
            ((made,),) = connection.execute(MAKE_MONTHS, ([family], [month])).fetchall()
        else:
            (made,) = _row(connection, "select to_regclass(%s) is null", (name,))
        if made:
            kept.made.append(name)


def _drop(connection: psycopg.Connection[Any], month: str, kept: Kept, execute: bool) -> None:
    """Drop a month with the ids of its rows, in one transaction."""
    if not execute:
        kept.dropped.append(month)
        return
    try:
        with connection.transaction():
            connection.execute(cast(Any, f"set local lock_timeout = '{_LOCK_TIMEOUT}'"))
            # Whoever would write to it now waits, and finds it gone.
            connection.execute(SQL("lock table {} in access exclusive mode").format(Identifier(month)))
            _forget(connection, month)
            connection.execute(SQL("drop table {}").format(Identifier(month)))
    except psycopg.errors.LockNotAvailable:
        log.warning("a month is in use and is dropped later", month=month)
        kept.late.append(month)
    else:
        log.info("month dropped", month=month)
        kept.dropped.append(month)


def _forget(connection: psycopg.Connection[Any], month: str) -> None:
    """Delete the ids whose rows are in a month."""
    for table, (homes, name) in _HOMES.items():
        if month.startswith(f"{table}_"):
            connection.execute(
                SQL("delete from {homes} using {month} gone where {homes}.{name} = gone.{name}").format(
                    homes=Identifier(homes), month=Identifier(month), name=Identifier(name)
                )
            )


def _delete_others(connection: psycopg.Connection[Any], family: str, at: datetime) -> int:
    """Delete old rows that stand in no month and their ids, in batches."""
    table, time = f"{family}_other", _TIME.get(family, "accepted_at")
    limit = at - timedelta(days=FAMILIES[family])
    deleted = 0
    while True:
        with connection.transaction():
            gone = connection.execute(
                SQL(
                    "with old as (select ctid from {table} where {time} < %s limit %s)"
                    " delete from {table} using old where {table}.ctid = old.ctid returning {id}"
                ).format(
                    table=Identifier(table),
                    time=Identifier(time),
                    id=Identifier("letter_id" if family == LETTERS else "job_id"),
                ),
                (limit, _BATCH),
            ).fetchall()
            for parent, (homes, name) in _HOMES.items():
                if family.startswith(parent):
                    connection.execute(
                        SQL("delete from {} where {} = any(%s)").format(Identifier(homes), Identifier(name)),
                        ([row[0] for row in gone],),
                    )
        deleted += len(gone)
        if len(gone) < _BATCH:
            return deleted


def _row(connection: psycopg.Connection[Any], query: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    found = connection.execute(cast(Any, query), values).fetchone()
    assert found is not None
    return cast(tuple[Any, ...], found)
