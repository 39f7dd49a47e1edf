"""The jobs that a job submits: named after it, and checked as the router will check them."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from schemas.catalogue import find_kind, find_type
from schemas.errors import ContractError
from schemas.payloads.contract import Contract
from schemas.records import Job, JobOptions, JobRequest
from streams.core.admission import Source, job_of_request

# One outcome is one transaction of at most so many records.
MAX_CHILDREN = 1_000
_NAMESPACE = uuid.UUID("0d7c0a51-6e0b-5d2f-8f43-0e6d3c9a1b22")
_NOWHERE = Source("", -1, -1)


def child_job(
    parent: Job, ordinal: int, now: int, kind: str, data: Contract | Mapping[str, Any], *,
    queue: str | None, key: str | None, delay: timedelta | None, run_at: datetime | None,
    priority: int | None, attempts: int | None, timeout: timedelta | None,
) -> JobRequest:  # fmt: skip
    """Child number `ordinal` of a job, of the same tenant, user and document; ContractError when it is wrong.

    Its id counts as an idempotency key if it has no other, so that it runs once however often it is sent.
    """
    if ordinal >= MAX_CHILDREN:
        raise ContractError.of(
            "submit", f"a job has at most {MAX_CHILDREN} children: submit a job that has more"
        )
    if run_at is not None and run_at.tzinfo is None:
        raise ContractError.of("run_at", "add the time zone")
    job_type = find_type(queue, kind) if queue is not None else find_kind(kind)
    text = _text(data)
    child_id = child_id_of(parent, ordinal)
    own = f"job:{child_id}" if job_type.idempotency is None else None
    options = JobOptions(
        priority=priority, delay_ms=_ms(delay), run_at=round(run_at.timestamp() * 1000) if run_at else None,
        attempts=attempts, timeout_ms=_ms(timeout), idempotency_key=key or own,
    )  # fmt: skip
    request = JobRequest(
        child_id, job_type.queue, job_type.kind, text, now, options, user_id=parent.user_id,
        tenant_id=parent.tenant_id, request_id=parent.request_id,
    )  # fmt: skip
    job = job_of_request(request, _NOWHERE)
    return msgspec.structs.replace(request, document_id=job.document_id or parent.document_id)


def child_id_of(parent: Job, ordinal: int) -> str:
    """The id of a job's child: the same whenever the job runs."""
    return str(uuid.uuid5(_NAMESPACE, f"{parent.job_id}/{ordinal}"))


def _text(data: Contract | Mapping[str, Any]) -> str:
    if isinstance(data, Contract):
        return data.model_dump_json(by_alias=True)
    try:
        return msgspec.json.encode(data).decode()
    except (TypeError, ValueError) as error:
        raise ContractError.of("data", f"is no JSON: {error}") from error


def _ms(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds() * 1000)
