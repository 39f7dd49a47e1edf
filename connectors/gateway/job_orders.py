"""`DELETE /jobs/:id` cancels a job; `POST /jobs/:id/retry` gives a dead one another attempt series."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, delete, post
from litestar.params import FromPath, QueryParameter

from connectors.gateway.audit import audited
from connectors.gateway.failed_query import tenants_of
from connectors.gateway.lone_redrive import drive_again, status_of
from connectors.gateway.lookup import find_job
from connectors.gateway.parts import parts_of
from connectors.gateway.problems import Refusal, not_found
from connectors.gateway.request_id import request_id_of, traceparent_of
from connectors.gateway.roles import TENANT_ADMINS, allow, identity_of, may_see
from connectors.redrive.edit import Edit
from connectors.views import JobView
from schemas.commands import MAX_REASON, Cancel, cancel_request
from schemas.errors import UnavailableError
from schemas.states import TERMINAL, State

Call = Request[Any, Any, Any]
Reason = Annotated[str | None, QueryParameter(max_length=MAX_REASON)]


class JobOrdered(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The order is on its way to the owner of the job. `state`: where it stood; the job shows the rest."""

    job_id: str
    status: str
    state: str
    series: int = 0


@delete("/jobs/{job_id:str}", status_code=202, guards=[allow(TENANT_ADMINS)])
async def cancel(request: Call, job_id: FromPath[str], reason: Reason = None) -> JobOrdered:
    """Cancel a job: at once where it waits; where it runs it is asked to stop, and killed after a grace."""
    view = await _job(request, job_id)
    if view.state in TERMINAL:
        raise _conflict(view, f"the job has ended: it is {view.state}")
    if view.ordering_key is None:
        raise UnavailableError("the job's own record is still on its way: try again", retry_after_s=1)
    parts, by = parts_of(request), identity_of(request).subject
    order = Cancel(view.job_id, view.tier, by, view.series, reason)
    made = cancel_request(
        order, view.ordering_key, command_id=parts.new_id(), at=parts.now_ms(),
        request_id=request_id_of(request.scope),
    )  # fmt: skip
    # The partition of `job-requests` in which the job itself came, so that it cannot be overtaken there.
    key = view.document_id or view.ordering_key
    headers = {"job-id": made.job_id.encode(), "traceparent": traceparent_of(request.scope).encode()}
    await parts.producer.send(parts.topology.job_requests, key.encode(), parts.codec.encode(made), headers)
    audited(request, "job.cancel", view.job_id, state=view.state, reason=reason)
    return JobOrdered(view.job_id, "cancelling", view.state)


@post("/jobs/{job_id:str}/retry", status_code=202, guards=[allow(TENANT_ADMINS)])
async def retry(request: Call, job_id: FromPath[str]) -> JobOrdered:
    """Give a dead job another attempt series, with the data that it had; its dead letter says so."""
    view = await _job(request, job_id)
    if view.state != State.DEAD:
        raise _conflict(view, f"only a dead job is tried again by hand: it is {view.state}")
    parts = parts_of(request)
    kept = await parts.letters.one(f"{view.job_id}:{view.series}", tenants_of(request))
    if kept is None:
        raise UnavailableError("the job's dead letter is not recorded (yet): try again", retry_after_s=2)
    if kept.redriven is not None:
        # The same word once more, or the new series is not to be seen yet.
        return JobOrdered(view.job_id, "queued", view.state, kept.redriven.series or view.series + 1)
    made, run = await drive_again(request, kept, Edit())
    audited(request, "job.retry", view.job_id, series=made.series, run_id=run.run_id)
    return JobOrdered(view.job_id, status_of(run), view.state, made.series)


async def _job(request: Call, job_id: str) -> JobView:
    view = await find_job(parts_of(request), job_id)
    if view is None or not may_see(identity_of(request), view.user_id, view.tenant_id):
        raise not_found("job")
    return view


def _conflict(view: JobView, detail: str) -> Refusal:
    return Refusal(409, "conflict", detail, members={"state": view.state})


router = Router("/", route_handlers=[cancel, retry], tags=["jobs"])
