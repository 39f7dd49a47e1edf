"""A batch of jobs: its shape, what became of each, and the answer."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response
from pydantic import Field, ValidationError

from connectors.gateway.acceptance import Earlier
from connectors.gateway.envelope import Id, Strict
from connectors.gateway.problems import MEDIA_TYPE, TITLES, Refusal, body_of
from connectors.gateway.submission import Submission
from schemas.errors import ContractError
from schemas.payloads.contract import problems_of

MAX_JOBS = 100


class BatchOptions(Strict):
    """`stopOnError`: all or nothing. Every job is validated before any is accepted, asked for or not."""

    stop_on_error: bool = False
    validate_all: bool = True


class Batch(Strict):
    """Jobs of one queue, each `{type, data, options}`."""

    queue: Id
    jobs: list[Any] = Field(min_length=1, max_length=MAX_JOBS)
    options: BatchOptions = BatchOptions()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job: accepted, made needless by an earlier one, or refused."""

    type: str | None
    submission: Submission | None = None
    earlier: Earlier | None = None
    refusal: Refusal | None = None


def read_batch(body: bytes) -> tuple[Batch, list[msgspec.Raw]]:
    """The batch, and each of its jobs as it was sent; ContractError when it is none."""
    try:
        batch = Batch.model_validate(msgspec.json.decode(body))
    except ValidationError as error:
        raise ContractError(problems_of(error)) from None
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return batch, msgspec.json.decode(members["jobs"], type=list[msgspec.Raw])


def answer_to_batch(
    queue: str, outcomes: list[Outcome], *, nothing: bool, request_id: str
) -> Response[dict[str, Any]]:
    """201 when at least one job was taken, else a problem; both with the same members.

    `nothing`: none was taken because one was wrong.
    """
    taken = [] if nothing else [_taken(i, o) for i, o in enumerate(outcomes) if o.submission is not None]
    errors = [_error(i, o.type, o.refusal) for i, o in enumerate(outcomes) if o.refusal is not None]
    members = {
        "queue": queue,
        "total": len(outcomes),
        "successful": len(taken),
        "failed": len(outcomes) - len(taken),
        "jobs": taken,
        "errors": errors,
    }
    if taken:
        return Response(members, status_code=201)
    refusal = Refusal(400, "invalid", "no job of the batch was accepted", members=members)
    return Response(body_of(refusal, request_id), status_code=400, media_type=MEDIA_TYPE)


def _taken(index: int, outcome: Outcome) -> dict[str, Any]:
    assert outcome.submission is not None
    return {
        "index": index,
        "jobId": outcome.earlier.job_id if outcome.earlier else outcome.submission.request.job_id,
        "type": outcome.submission.job.type,
        "status": outcome.earlier.status if outcome.earlier else "queued",
    }


def _error(index: int, kind: str | None, refusal: Refusal) -> dict[str, Any]:
    """Why one job was refused."""
    return {
        "index": index,
        "type": kind,
        "status": refusal.status,
        "code": refusal.code,
        "error": TITLES[refusal.code],
        "detail": refusal.detail,
        "errors": [
            {"field": f"jobs.{index}.{problem.field}", "message": problem.message}
            for problem in refusal.problems
        ],
    }
