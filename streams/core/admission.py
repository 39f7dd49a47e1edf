"""From what a producer asks for to the job that a tier runs: every rule of the catalogue applied, once.

Computed from the record alone, so that the router and any replay of it give the same job.
"""

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, get_type_hints

import msgspec

from schemas.catalogue import JobType, find_event, find_type
from schemas.commands import cancel_of
from schemas.errors import ContractError, Problem
from schemas.keys import digest, digest_of_bytes, fill
from schemas.payloads.contract import Contract
from schemas.records import Backoff, Event, Job, JobOptions, JobRequest

MAX_ATTEMPTS = 10
MAX_TIMEOUT_MS = 3_600_000
MAX_DELAY_MS = 366 * 24 * 3600 * 1000
# What a job may hold in all: its table entry and its dead letter must fit into a record beside its errors.
MAX_JOB_BYTES = 850_000
MAX_ID_CHARS = 1_000
MAX_TIME_MS = 253_402_300_799_999  # the end of the year 9999
MAX_SERIES = 1_000_000
_NO_OPTIONS = JobOptions()
BACKOFFS = ("fixed", "linear", "exponential")
_BACKOFFS = (*BACKOFFS, None)


class Source(NamedTuple):
    """Where a record stood, and the trace it belongs to."""

    topic: str
    partition: int
    offset: int
    traceparent: str | None = None


def job_of_request(request: JobRequest, source: Source) -> Job:
    """The job that a request asks for; ContractError names every member that does not hold."""
    job_type = find_type(request.queue, request.type)
    if not (job_type.public or request.series):
        raise ContractError.of(
            "type", f"{job_type.kind!r} is made by Tierflow itself and cannot be submitted"
        )
    problems = option_problems(request.options) + record_problems(request, request.accepted_at)
    if not 0 <= request.series <= MAX_SERIES:
        problems.append(Problem("series", f"{request.series} is outside 0 to {MAX_SERIES}"))
    if problems:
        raise ContractError(problems)
    contract = job_type.contract.parse(request.data)
    data = _one_spelling(contract)
    document_id = _document_of(request, data)
    key = request.options.idempotency_key or (
        fill(job_type.idempotency, data, request.accepted_at) if job_type.idempotency else None
    )
    ordering_key = _ordering_key(job_type, request, data, key)
    return _job(
        job_type, source, request.job_id, request.data, data, request.accepted_at,
        _with_own(request.options, contract), ordering_key, key, document_id, request.user_id,
        request.tenant_id, request.request_id, request.series,
    )  # fmt: skip


def job_of_command(request: JobRequest, source: Source) -> Job:
    """The tier record of a command: in the urgent lane of its job's tier, under its job's key."""
    problems = record_problems(request, request.accepted_at)
    if not request.ordering_key:
        problems.append(Problem("ordering_key", "a command needs the ordering key of its job"))
    if problems:
        raise ContractError(problems)
    order = cancel_of(request)
    assert request.ordering_key
    return Job(
        job_id=request.job_id, series=order.series, queue=request.queue, type=request.type, tier=order.tier,
        priority=10, data=request.data, data_hash=b"", ordering_key=request.ordering_key,
        accepted_at=request.accepted_at, attempts=1, backoff="fixed", backoff_delay_ms=0, backoff_max_ms=0,
        backoff_jitter=False, timeout_ms=1, source_topic=source.topic, source_partition=source.partition,
        source_offset=source.offset, user_id=request.user_id, tenant_id=request.tenant_id,
        request_id=request.request_id, traceparent=source.traceparent,
    )  # fmt: skip


def job_of_event(event: Event, source: Source) -> Job:
    """The job that an editor's event is, in order within its document."""
    job_type = find_event(event.type)
    problems = record_problems(event, event.timestamp)
    if problems:
        raise ContractError(problems)
    data = _one_spelling(job_type.contract.parse(event.data))
    return _job(
        job_type, source, event.event_id, event.data, data, event.timestamp, JobOptions(),
        event.document_id, None, event.document_id, event.user_id, event.tenant_id, event.request_id,
    )  # fmt: skip


def _one_spelling(contract: Contract) -> dict[str, Any]:
    """The data with its defaults, in one spelling (UUIDs, times), so that equal jobs get equal keys."""
    # As `model_dump` does, without its detour; `ContractError` came before, so nothing is left to warn of.
    spelled: dict[str, Any] = contract.__pydantic_serializer__.to_python(contract, mode="json", by_alias=True)
    return spelled


def _with_own(options: JobOptions, contract: Contract) -> JobOptions:
    """What the data itself asks for counts where the options say nothing."""
    timeout_s, attempts = contract.own_timeout_s(), contract.own_attempts()
    if options.timeout_ms is None and timeout_s is not None:
        options = msgspec.structs.replace(options, timeout_ms=round(timeout_s * 1000))
    if options.attempts is None and attempts is not None:
        options = msgspec.structs.replace(options, attempts=attempts)
    return options


def data_hash(data: Mapping[str, Any]) -> bytes:
    """Tells a repeat of a job from another job under the same key."""
    return digest_of_bytes(msgspec.json.encode(data, order="sorted"))


def option_problems(options: JobOptions) -> list[Problem]:
    """What is wrong with a job's options, whoever set them."""
    if options == _NO_OPTIONS:
        return []
    bounds = {
        "priority": (options.priority, 1, 10),
        "attempts": (options.attempts, 1, MAX_ATTEMPTS),
        "timeout": (options.timeout_ms, 1, MAX_TIMEOUT_MS),
        "delay": (options.delay_ms, 0, MAX_DELAY_MS),
        "runAt": (options.run_at, 0, MAX_TIME_MS),
    }
    if options.backoff:
        bounds["backoff.delay"] = (options.backoff.delay_ms, 0, MAX_DELAY_MS)
        bounds["backoff.maxDelay"] = (options.backoff.max_delay_ms, 0, MAX_DELAY_MS)
    problems = [
        Problem(f"options.{name}", f"{value} is outside {low} to {high}")
        for name, (value, low, high) in bounds.items()
        if value is not None and not low <= value <= high
    ]
    if len(options.idempotency_key or "") > MAX_ID_CHARS:
        problems.append(Problem("options.idempotencyKey", f"takes at most {MAX_ID_CHARS} characters"))
    if options.backoff and options.backoff.type not in _BACKOFFS:
        problems.append(Problem("options.backoff.type", f"use one of {', '.join(BACKOFFS)}"))
    return problems


def record_problems(record: JobRequest | Event, at: int) -> list[Problem]:
    """What is wrong with a record itself, which any producer may have written."""
    problems = []
    for text in _texts_of(type(record))(record):
        if text is not None and not 0 < len(text) <= MAX_ID_CHARS:
            problems = _text_problems(record)
            break
    if not 0 <= at <= MAX_TIME_MS:
        problems.append(Problem("accepted_at", f"{at} is no time in ms since the epoch"))
    if len(record.data) * 4 > MAX_JOB_BYTES and len(record.data.encode()) > MAX_JOB_BYTES:
        problems.append(Problem("data", f"more than {MAX_JOB_BYTES} bytes"))
    return problems


@cache
def _texts_of(kind: type[JobRequest | Event]) -> Callable[[Any], tuple[Any, ...]]:
    hints = get_type_hints(kind)
    texts = (str, str | None)
    return attrgetter(*(name for name in kind.__struct_fields__ if name != "data" and hints[name] in texts))


def _text_problems(record: JobRequest | Event) -> list[Problem]:
    named = ("job_id",) if isinstance(record, JobRequest) else ("event_id", "document_id")
    texts = {name: getattr(record, name) for name in record.__struct_fields__ if name != "data"}
    return [
        Problem(name, f"takes 1 to {MAX_ID_CHARS} characters")
        for name, text in texts.items()
        if isinstance(text, str) and (len(text) > MAX_ID_CHARS or (not text and name in named))
    ]


def _document_of(request: JobRequest, data: Mapping[str, Any]) -> str | None:
    inside = data.get("documentId")
    if not isinstance(inside, str | None):
        raise ContractError.of("data.documentId", "must be a text")
    if inside is not None and request.document_id is not None and inside != request.document_id:
        raise ContractError.of("documentId", "differs from data.documentId; give one of them")
    return inside if inside is not None else request.document_id


def _ordering_key(job_type: JobType, request: JobRequest, data: Mapping[str, Any], key: str | None) -> str:
    """A type with an idempotency rule is ordered by its key; else by document or talk; else by job.

    Another series of a job stands where the earlier ones stood, whatever today's rules say.
    """
    if request.series and request.ordering_key:
        return request.ordering_key
    if job_type.idempotency and key is not None:
        return f"key:{digest(request.tenant_id or '', key).hex()}"
    if job_type.order:
        return fill(job_type.order, data, request.accepted_at)
    return request.ordering_key or request.job_id


def _longest_pause(job_type: JobType, own: Backoff | None) -> int:
    """The type's cap never shortens a pause that the producer asked for."""
    if own is None:
        return job_type.retry.max_delay_ms
    if own.max_delay_ms is not None:
        return own.max_delay_ms
    return max(job_type.retry.max_delay_ms, own.delay_ms or 0)


def _job(
    job_type: JobType, source: Source, job_id: str, text: str, data: Mapping[str, Any], accepted_at: int,
    options: JobOptions, ordering_key: str, key: str | None, document_id: str | None, user_id: str | None,
    tenant_id: str | None, request_id: str | None, series: int = 0,
) -> Job:  # fmt: skip
    retry, own = job_type.retry, options.backoff
    not_before = options.run_at or (accepted_at + options.delay_ms if options.delay_ms else None)
    return Job(
        job_id=job_id, series=series, queue=job_type.queue, type=job_type.kind, tier=int(job_type.tier),
        priority=options.priority or job_type.priority, data=text, data_hash=data_hash(data),
        ordering_key=ordering_key, accepted_at=accepted_at,
        attempts=options.attempts or retry.attempts,
        backoff=(own and own.type) or retry.kind,
        backoff_delay_ms=own.delay_ms if own and own.delay_ms is not None else retry.delay_ms,
        backoff_max_ms=_longest_pause(job_type, own),
        backoff_jitter=own.jitter if own and own.jitter is not None else retry.jitter,
        timeout_ms=options.timeout_ms or round(job_type.timeout_s * 1000),
        source_topic=source.topic, source_partition=source.partition, source_offset=source.offset,
        not_before=not_before, idempotency=digest(tenant_id or "", key) if key else None, idempotency_key=key,
        document_id=document_id, user_id=user_id, tenant_id=tenant_id, request_id=request_id,
        traceparent=source.traceparent,
    )  # fmt: skip
