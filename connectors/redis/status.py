"""The status of jobs as the gateway reads it."""

import msgspec

from connectors.views import JobView
from schemas.catalogue import JobType
from schemas.records import JobRequest


class CompletedKey(msgspec.Struct, frozen=True):
    """The job that completed under an idempotency key, and the hash of its data."""

    job_id: str
    data_hash: bytes


class StatusStore:
    """Reads the read model; writes nothing but "accepted". UnavailableError when Redis does not answer."""

    async def accepted(self, request: JobRequest, job_type: JobType) -> None:
        """Show a job as waiting before the router has seen it; changes nothing about a job that is known."""
        raise NotImplementedError

    async def job(self, job_id: str) -> JobView | None:
        """The job, or None if it is not known here."""
        raise NotImplementedError

    async def completed_by_key(self, digest: bytes) -> CompletedKey | None:
        """The job that completed under this key and is still remembered."""
        raise NotImplementedError

    async def counts(self, queue: str) -> dict[str, int]:
        """How many jobs of a queue are in each state."""
        raise NotImplementedError

    async def samples(self, queue: str, state: str, limit: int) -> list[str]:
        """Ids of some jobs in a state, the latest first."""
        raise NotImplementedError
