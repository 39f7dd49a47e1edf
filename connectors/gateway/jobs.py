"""`POST /jobs`, `POST /jobs/batch`, `GET /jobs/:id`."""

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, FromQuery

from connectors.gateway.acceptance import Acceptance
from connectors.gateway.body import MAX_BATCH_MEMBERS, read_json
from connectors.gateway.envelope import Envelope, Submitted, read_job
from connectors.gateway.identity import Identity
from connectors.gateway.job_answer import JobAnswer, answer_of
from connectors.gateway.job_batch import MAX_JOBS, Batch, Outcome, answer_to_batch, read_batch
from connectors.gateway.lookup import find_job
from connectors.gateway.parts import Parts, parts_of
from connectors.gateway.problems import Refusal, not_found, refusal_of
from connectors.gateway.request_id import request_id_of, traceparent_of
from connectors.gateway.request_schema import body_schema
from connectors.gateway.roles import TENANT_ADMINS, USERS, allow, identity_of, may_see
from connectors.gateway.submission import Rules, Submission, submission
from schemas.catalogue import find_queue
from schemas.errors import ContractError

Call = Request[Any, Any, Any]


class Accepted(msgspec.Struct, frozen=True, rename="camel"):
    """A job that Kafka has (`queued`), or that an earlier job has done (`duplicate`, with that job's id)."""

    job_id: str
    queue: str
    type: str
    status: str
    options: dict[str, Any]


@post(
    "/jobs",
    guards=[allow(USERS)],
    operation_class=body_schema(Envelope, with_data=True),
    description="Add a job. 201 once Kafka has it on every in-sync replica; 200 when an earlier job with the "
    "same idempotency key is known to have completed.",
)
async def submit(request: Call) -> Response[Accepted]:
    """Add one job."""
    parts = parts_of(request)
    body = await read_json(request, parts.settings.body_limit)
    made = _made(parts, read_job(msgspec.Raw(body)), request, header_key=_key_header(request))
    acceptance = acceptance_of(request)
    earlier = await acceptance.earlier(made, identity_of(request))
    if earlier is not None:
        code = 200 if earlier.status == "duplicate" else 201
        return Response(_accepted(made, earlier.job_id, earlier.status), status_code=code)
    await acceptance.accept(made, traceparent_of(request.scope))
    return Response(_accepted(made, made.request.job_id, "queued"), status_code=201)


@post(
    "/jobs/batch",
    guards=[allow(TENANT_ADMINS)],
    operation_class=body_schema(Batch),
    description=f"Add up to {MAX_JOBS} jobs of one queue, all that are right in ONE Kafka transaction. With "
    "`options.stopOnError` none is added when any is wrong.",
)
async def submit_batch(request: Call) -> Response[dict[str, Any]]:
    """Add many jobs."""
    parts = parts_of(request)
    if "idempotency-key" in request.headers:
        raise ContractError.of("Idempotency-Key", "belongs to one job: use options.idempotencyKey of each")
    batch, jobs = read_batch(await read_json(request, parts.settings.batch_body_limit, MAX_BATCH_MEMBERS))
    queue = find_queue(batch.queue).name
    acceptance, identity = acceptance_of(request), identity_of(request)
    outcomes = [
        await _outcome(parts, acceptance, identity, read_job(raw, queue=queue), request) for raw in jobs
    ]
    if batch.options.stop_on_error and any(outcome.refusal for outcome in outcomes):
        return answer_to_batch(queue, outcomes, nothing=True, request_id=request_id_of(request.scope))
    queued = [o.submission for o in outcomes if o.submission is not None and o.earlier is None]
    await acceptance.accept_all(queued, traceparent_of(request.scope))
    return answer_to_batch(queue, outcomes, nothing=False, request_id=request_id_of(request.scope))


@get("/jobs/{job_id:str}", guards=[allow(USERS)])
async def status(request: Call, job_id: FromPath[str], queue: FromQuery[str | None] = None) -> JobAnswer:
    """Show a job and its timeline. A job that is not the caller's is not found."""
    view = await find_job(parts_of(request), job_id)
    if view is None or not may_see(identity_of(request), view.user_id, view.tenant_id):
        raise not_found("job")
    if queue is not None and find_queue(queue).name != view.queue:
        raise not_found("job in this queue")
    return answer_of(view)


def acceptance_of(request: Call) -> Acceptance:
    """The application's."""
    acceptance: Acceptance = request.app.state["acceptance"]
    return acceptance


def _made(parts: Parts, submitted: Submitted, request: Call, *, header_key: str | None = None) -> Submission:
    return submission(
        submitted,
        identity_of(request),
        Rules(parts.available, parts.missing_setting),
        now_ms=parts.now_ms(),
        new_id=parts.new_id(),
        request_id=request_id_of(request.scope),
        header_key=header_key,
    )


async def _outcome(
    parts: Parts, acceptance: Acceptance, identity: Identity, submitted: Submitted, request: Call
) -> Outcome:
    """One job of a batch: what it becomes, or why not. Only a service that is away ends the whole batch."""
    try:
        made = _made(parts, submitted, request)
        return Outcome(submitted.type, made, await acceptance.earlier(made, identity))
    except (ContractError, Refusal) as error:
        return Outcome(submitted.type, refusal=refusal_of(error))


def _key_header(request: Call) -> str | None:
    """The header Idempotency-Key; the IETF draft quotes it, most clients do not."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    key = given.strip().removeprefix('"').removesuffix('"')
    if not 0 < len(key) <= 255 or not key.isprintable():
        raise ContractError.of("Idempotency-Key", "1 to 255 printable characters")
    return key


def _accepted(made: Submission, job_id: str, status: str) -> Accepted:
    job, given = made.job, made.request.options
    options: dict[str, Any] = {
        "priority": job.priority,
        "delay": given.delay_ms or 0,
        "attempts": job.attempts,
        "timeout": job.timeout_ms,
    }
    if given.run_at is not None:
        options["runAt"] = given.run_at
    return Accepted(job_id, job.queue, job.type, status, options)


router = Router("/", route_handlers=[submit, submit_batch, status], tags=["jobs"])
