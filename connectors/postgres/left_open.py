"""What Postgres knows when Kafka is gone: tier-1 jobs that had not ended, and keys that had their effect."""

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from connectors.postgres.letter_rows import millis
from schemas.catalogue import JOB_TYPES
from schemas.errors import UnavailableError
from schemas.records import IdempotencyEntry, JobOptions, JobRequest
from schemas.states import TERMINAL
from schemas.tiers import DAY_MS
from streams.core.outcome import RESULT_KEPT_BYTES

Connection = psycopg.Connection[Any]

_LOCK = 0x7469657266_03
_FETCHED = 1_000
_ENDED = tuple(state.value for state in TERMINAL)
_OPEN = """
select job_id, series, queue, type, state, data::text as data, accepted_at, priority, max_attempts,
    timeout_ms, not_before, ordering_key, idempotency_key, document_id, user_id, tenant_id, request_id,
    (select max(due) from job_transitions changes
     where changes.job_id = jobs.job_id and changes.accepted_at = jobs.accepted_at
         and changes.keep_days = jobs.keep_days and changes.series = jobs.series) as due
from jobs where state <> all (%s) order by accepted_at, job_id
"""
_KEYS = """
select job_id, series, type, idempotency, data_hash, state, finished_at, ordering_key, result::text as result
from jobs where idempotency is not null and finished_at is not null and ordering_key is not null
    and state = 'completed' and finished_at > now() - interval '366 days'
order by finished_at
"""


class OpenJob(msgspec.Struct, frozen=True):
    """A job that had not ended, and the request that hands it in again; None when its data are not known."""

    job_id: str
    series: int
    type: str
    state: str
    request: JobRequest | None


class UsedKey(msgspec.Struct, frozen=True):
    """An idempotency key under which a job completed, and where its entry belongs."""

    key: bytes
    ordering_key: str
    entry: IdempotencyEntry


@contextlib.contextmanager
def alone(database_url: str) -> Iterator[Connection | None]:
    """A connection that holds the lock of recovery; None when another process does. UnavailableError."""
    try:
        with psycopg.connect(
            database_url, autocommit=True, connect_timeout=5, application_name="tierflow-recover"
        ) as connection:
            # The session's lock: gone when the connection is, however this process ends.
            row = connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
            yield connection if row is not None and row[0] else None
    except psycopg.Error as error:
        raise UnavailableError(f"Postgres does not answer: {' '.join(str(error).split())}") from error


def still_there(connection: Connection, ids: dict[str, str]) -> bool:
    """Whether the offsets in Postgres are those of the topics that are there now, and always were."""
    rows = connection.execute(
        "select topic, topic_id from sink_offsets where next > 0 and topic_id is not null"
        " union select topic, topic_id from sink_offsets_past"
    ).fetchall()
    known = [(topic, topic_id) for topic, topic_id in rows if topic in ids]
    return bool(known) and all(ids[topic] == topic_id for topic, topic_id in known)


def open_jobs(connection: Connection, now: int) -> Iterator[OpenJob]:
    """Every job that had not ended, in the order of acceptance."""
    with connection.transaction(), connection.cursor("open_jobs", row_factory=dict_row) as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(_OPEN, (list(_ENDED),))
        for row in cursor:
            request = None if row["data"] is None else _request(row, now)
            yield OpenJob(row["job_id"], row["series"], row["type"], row["state"], request)


def used_keys(connection: Connection, now: int) -> Iterator[UsedKey]:
    """Every key that a job completed under and that is still to be remembered, the oldest first."""
    with connection.transaction(), connection.cursor("used_keys", row_factory=dict_row) as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(_KEYS)
        for row in cursor:
            job_type = JOB_TYPES.get(row["type"])
            days = job_type.idempotency_days if job_type else 7
            expires_at = millis(row["finished_at"]) + days * DAY_MS
            if expires_at > now:
                result = row["result"]
                if result is not None and len(result.encode()) > RESULT_KEPT_BYTES:
                    result = None  # as the worker keeps it
                entry = IdempotencyEntry(
                    row["job_id"], row["data_hash"], row["state"], expires_at, result, row["series"]
                )
                yield UsedKey(row["idempotency"], row["ordering_key"], entry)


def _request(row: dict[str, Any], now: int) -> JobRequest:
    """The next series of the job, under the same keys; what it still had to wait for it waits for."""
    times = [millis(row[name]) for name in ("not_before", "due") if row[name] is not None]
    later = max(times, default=0)
    return JobRequest(
        job_id=row["job_id"],
        queue=row["queue"],
        type=row["type"],
        data=row["data"],
        accepted_at=millis(row["accepted_at"]),
        options=JobOptions(
            priority=row["priority"],
            run_at=later if later > now else None,
            attempts=row["max_attempts"],
            timeout_ms=row["timeout_ms"],
            idempotency_key=row["idempotency_key"],
        ),
        document_id=row["document_id"],
        ordering_key=row["ordering_key"],
        user_id=row["user_id"],
        tenant_id=row["tenant_id"],
        request_id=row["request_id"],
        series=row["series"] + 1,
    )
