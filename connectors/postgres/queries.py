"""What the gateway asks Postgres: one job, and the dead letters."""

import base64
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from connectors.views import Envelope, JobView, Moment, Subject, fold
from schemas.errors import ContractError, UnavailableError
from schemas.records import AttemptError, DeadLetter, Failure, Transition

_TIMEOUT_S = 2.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_PAGE = 500

_JOB = """
select job_id, queue, type, tier, accepted_at, document_id, user_id, tenant_id, request_id,
    envelope_series, data::text as data, priority, max_attempts
from jobs where job_id = %s
"""
_TRANSITIONS = """
select series, number, from_state, to_state, attempt, at, reason, due, progress, stage, message,
    result::text as result, error::text as error, duplicate_of
from job_transitions where job_id = %s order by series, number
"""
_FAILED = """
select letter_id, tier, job_id, series, queue, type, data::text as data, document_id, user_id, tenant_id,
    request_id, traceparent, error_class, message, fingerprint, errors::text as errors, first_failed_at,
    last_failed_at, source_topic, source_partition, source_offset
from dead_letter_jobs
where (%(tenants)s::text[] is null or tenant_id = any(%(tenants)s::text[]))
    and (%(queue)s::text is null or queue = %(queue)s)
    and (%(type)s::text is null or type = %(type)s)
    and (%(at)s::timestamptz is null or (last_failed_at, letter_id) < (%(at)s::timestamptz, %(letter)s))
order by last_failed_at desc, letter_id desc
limit %(limit)s
"""


class FailedPage(msgspec.Struct, frozen=True):
    """Dead letters, latest first, without their original bytes; `cursor` asks for what follows."""

    letters: list[DeadLetter]
    cursor: str | None


class JobQueries:
    """Reads with a pool of its own, opened by `open`. UnavailableError when Postgres does not answer."""

    def __init__(self, database_url: str, *, max_size: int = 5) -> None:
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            database_url,
            min_size=1,
            max_size=max_size,
            timeout=_TIMEOUT_S,
            open=False,
            # A server that was restarted leaves dead connections behind: found before use.
            check=AsyncConnectionPool.check_connection,
            kwargs={
                "autocommit": True,
                "application_name": "tierflow-queries",
                "connect_timeout": 2,
                "options": "-c statement_timeout=5s -c default_transaction_read_only=on",
            },
        )

    async def open(self) -> None:
        """Start the pool; does not wait for Postgres."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def ping(self) -> None:
        """Return when Postgres answers."""
        async with self._connection() as connection:
            await connection.execute("select 1")

    async def job(self, job_id: str) -> JobView | None:
        """A tier-1 job with its timeline, or None."""
        if "\x00" in job_id:
            return None
        async with self._connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = await (await cursor.execute(_JOB, (job_id,))).fetchone()
            if row is None:
                return None
            changes = await (await cursor.execute(_TRANSITIONS, (job_id,))).fetchall()
        return job_view(row, changes)

    async def failed(
        self,
        *,
        tenants: Collection[str] | None = None,
        queue: str | None = None,
        type: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> FailedPage:
        """A page of dead letters; `tenants` None means every tenant's. ContractError for a bad cursor."""
        at, letter_id = read_cursor(cursor) if cursor else (None, None)
        limit = max(1, min(MAX_PAGE, limit))
        asked = {
            "tenants": None if tenants is None else sorted(tenants),
            "queue": queue,
            "type": type,
            "at": at,
            "letter": letter_id,
            "limit": limit + 1,
        }
        async with self._connection() as connection, connection.cursor(row_factory=dict_row) as rows:
            found = await (await rows.execute(_FAILED, asked)).fetchall()
        letters = [letter(row) for row in found[:limit]]
        more = len(found) > limit
        return FailedPage(letters, make_cursor(letters[-1]) if more else None)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (psycopg.Error, PoolTimeout) as error:
            raise UnavailableError(f"Postgres does not answer: {' '.join(str(error).split())}") from error


def job_view(row: dict[str, Any], changes: list[dict[str, Any]]) -> JobView:
    """The view of a row of `jobs` and its rows of `job_transitions`."""
    subject = Subject(
        **{name: row[name] for name in Subject.__struct_fields__ if name != "accepted_at"},
        accepted_at=millis(row["accepted_at"]),
    )
    envelopes = []
    if row["envelope_series"] is not None:
        envelopes.append(
            Envelope(
                series=row["envelope_series"],
                data=row["data"],
                priority=row["priority"],
                max_attempts=row["max_attempts"],
            )
        )
    return fold(subject, envelopes, [Moment(change["series"], transition(change)) for change in changes])


def transition(row: dict[str, Any]) -> Transition:
    """The transition of a row."""
    fields = {name: row[name] for name in Transition.__struct_fields__}
    error = fields["error"]
    return Transition(
        **{
            **fields,
            "at": millis(row["at"]),
            "due": None if row["due"] is None else millis(row["due"]),
            "error": None if error is None else msgspec.json.decode(error, type=Failure),
        }
    )


def letter(row: dict[str, Any]) -> DeadLetter:
    """The dead letter of a row, without its key, value and headers."""
    return DeadLetter(
        **{
            **row,
            "first_failed_at": millis(row["first_failed_at"]),
            "last_failed_at": millis(row["last_failed_at"]),
            "errors": msgspec.json.decode(row["errors"], type=list[AttemptError]),
            "key": None,
            "value": None,
            "headers": {},
        }
    )


def millis(at: datetime) -> int:
    """Milliseconds since the epoch, exactly."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def make_cursor(last: DeadLetter) -> str:
    """What stands after this letter."""
    return base64.urlsafe_b64encode(f"{last.last_failed_at} {last.letter_id}".encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """The place that a cursor names."""
    try:
        at, _, letter_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        return _EPOCH + timedelta(milliseconds=int(at)), letter_id
    except (ValueError, OverflowError):
        raise ContractError.of("cursor", "not a cursor that an earlier page gave") from None
