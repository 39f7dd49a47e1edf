"""What the gateway asks Postgres: one job, and the dead letters."""

from collections.abc import Collection

import msgspec

from connectors.views import JobView
from schemas.records import DeadLetter


class FailedPage(msgspec.Struct, frozen=True):
    """Dead letters, latest first, without their original bytes; `cursor` asks for what follows."""

    letters: list[DeadLetter]
    cursor: str | None


class JobQueries:
    """Reads with a pool of its own. UnavailableError when Postgres does not answer."""

    async def job(self, job_id: str) -> JobView | None:
        """A tier-1 job with its timeline, or None."""
        raise NotImplementedError

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
        raise NotImplementedError
