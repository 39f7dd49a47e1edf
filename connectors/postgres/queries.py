"""What the gateway asks Postgres of a job."""

from typing import Any

import msgspec
from psycopg.rows import dict_row

from connectors.postgres.letter_rows import millis
from connectors.postgres.pool import Pool
from connectors.views import Envelope, JobView, Moment, Subject, fold
from schemas.records import Failure, Transition

JOB = """
select job_id, queue, type, tier, accepted_at, document_id, user_id, tenant_id, request_id,
    envelope_series, data::text as data, priority, max_attempts, ordering_key
from jobs join job_homes using (job_id, accepted_at, keep_days) where job_homes.job_id = %s
"""
TRANSITIONS = """
select series, number, from_state, to_state, attempt, at, reason, due, progress, stage, message,
    result::text as result, error::text as error, duplicate_of
from job_transitions join job_homes using (job_id, accepted_at, keep_days)
where job_homes.job_id = %s order by series, number
"""


class JobQueries:
    """Reads with a pool of its own, opened by `open`. UnavailableError when Postgres does not answer."""

    def __init__(self, database_url: str, *, max_size: int = 5) -> None:
        self._pool = Pool(database_url, "tierflow-queries", max_size=max_size, statement_s=5, read_only=True)

    async def open(self) -> None:
        """Start the pool; does not wait for Postgres."""
        await self._pool.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def ping(self) -> None:
        """Return when Postgres answers."""
        async with self._pool.connection() as connection:
            await connection.execute("select 1")

    async def job(self, job_id: str) -> JobView | None:
        """A tier-1 job with its timeline, or None."""
        if "\x00" in job_id:
            return None
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = await (await cursor.execute(JOB, (job_id,))).fetchone()
            if row is None:
                return None
            changes = await (await cursor.execute(TRANSITIONS, (job_id,))).fetchall()
        return job_view(row, changes)


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
                ordering_key=row["ordering_key"],
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
