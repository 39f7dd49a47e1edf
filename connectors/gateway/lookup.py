"""Finding a job: in the status store, and for what that has forgotten in the durable records."""

from uuid import UUID

from connectors.gateway.parts import Parts
from connectors.views import JobView
from schemas.errors import UnavailableError


async def find_job(parts: Parts, job_id: str) -> JobView | None:
    """The job, or None when every store says that it has none of this id.

    UnavailableError when a store that might have it does not answer: "not found" would be a lie.
    """
    if not _is_id(job_id):
        return None
    away: UnavailableError | None = None
    for store in (parts.status, parts.records):
        try:
            view = await store.job(job_id)
        except UnavailableError as error:
            away = away or error
        else:
            if view is not None:
                return view
    if away is not None:
        raise away
    return None


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
