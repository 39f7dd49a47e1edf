"""Another attempt series of a job that died: its request for `job-requests`, made from its dead letter.

The job keeps its id, its place (ordering key) and its idempotency key, so that the effect stays one and the
provider sees the key it knows. Two requests for one series of a job are one: the worker keeps `job:series`
for seven days. With edited data the key is made anew from them, as for any job: it is another effect then.
"""

import contextlib
from typing import Any, NamedTuple

import msgspec

from connectors.kafka.producer import Outgoing
from schemas.errors import ContractError
from schemas.records import Backoff, DeadLetter, Event, Job, JobOptions, JobRequest
from streams.codec import Codec
from streams.core.admission import Source, job_of_event, job_of_request
from streams.topics import Topology

_NOWHERE = Source("", -1, -1)


class Redrive(NamedTuple):
    """What to produce. `series` is 0 for a record that never became a job: it is simply handed in again."""

    job_id: str
    series: int
    outgoing: Outgoing


def redrive(
    letter: DeadLetter, topology: Topology, codec: Codec, *, data: str | None = None, traceparent: str = ""
) -> Redrive:
    """The record that drives a dead letter again, with other `data` (a JSON text) when given.

    The letter must carry its original bytes (`value`). ContractError names what does not hold: data that
    break the type's contract, a letter whose bytes were too large to keep or are no record of ours.
    """
    if letter.value is None:
        place = f"{letter.source_topic}/{letter.source_partition}/{letter.source_offset}"
        raise ContractError.of("value", f"too large for its letter; the record stands at {place}")
    if letter.tier:
        request = next_series(codec.decode(Job, letter.value), data)
    elif letter.source_topic == topology.events:
        return _event_again(codec.decode(Event, letter.value), topology, codec, data, traceparent)
    else:
        request = codec.decode(JobRequest, letter.value)
        request = request if data is None else msgspec.structs.replace(request, data=data)
    return _handed_in(request, topology, codec, traceparent)


def next_series(job: Job, data: str | None = None) -> JobRequest:
    """The request for the series after the job's own."""
    edited = data is not None and data != job.data
    request = JobRequest(
        job_id=job.job_id, queue=job.queue, type=job.type, data=job.data, accepted_at=job.accepted_at,
        options=_options(job), document_id=job.document_id, ordering_key=job.ordering_key,
        user_id=job.user_id, tenant_id=job.tenant_id, request_id=job.request_id, series=job.series + 1,
    )  # fmt: skip
    return _edited(request, job, data) if edited and data is not None else request


def _options(job: Job) -> JobOptions:
    """As they were, but without the delay: whoever drives it again wants it now."""
    backoff = Backoff(job.backoff, job.backoff_delay_ms, job.backoff_max_ms, job.backoff_jitter)
    return JobOptions(
        priority=job.priority, attempts=job.attempts, backoff=backoff, timeout_ms=job.timeout_ms,
        idempotency_key=job.idempotency_key,
    )  # fmt: skip


def _edited(request: JobRequest, job: Job, data: str) -> JobRequest:
    """With other data. Keys that today's rules give for the old data are made anew by the router from the new
    ones; what differs from that was given by the producer, and stays."""
    plain = msgspec.structs.replace(request.options, idempotency_key=None)
    changes: dict[str, Any] = {"data": data, "options": plain, "ordering_key": None}
    bare = msgspec.structs.replace(request, options=plain, ordering_key=None)
    with contextlib.suppress(ContractError):  # the contract has changed since: then nothing is to be kept
        derived = job_of_request(bare, _NOWHERE)
        if derived.idempotency_key != job.idempotency_key:
            changes["options"] = request.options
        if derived.ordering_key != job.ordering_key:
            changes["ordering_key"] = job.ordering_key
    if _document_in(data) not in (None, job.document_id):
        changes["document_id"] = None
    return msgspec.structs.replace(request, **changes)


def _handed_in(request: JobRequest, topology: Topology, codec: Codec, traceparent: str) -> Redrive:
    """The record of a request that the router will take."""
    admitted = job_of_request(request, _NOWHERE)
    key = admitted.document_id or admitted.ordering_key
    headers = _headers(request.job_id, request.request_id, request.tenant_id, traceparent)
    outgoing = Outgoing(topology.job_requests, key.encode(), codec.encode(request), headers)
    return Redrive(request.job_id, request.series, outgoing)


def _event_again(
    event: Event, topology: Topology, codec: Codec, data: str | None, traceparent: str
) -> Redrive:
    if data is not None:
        event = msgspec.structs.replace(event, data=data)
    job_of_event(event, _NOWHERE)
    headers = _headers(event.event_id, event.request_id, event.tenant_id, traceparent)
    outgoing = Outgoing(topology.events, event.document_id.encode(), codec.encode(event), headers)
    return Redrive(event.event_id, 0, outgoing)


def _headers(
    job_id: str, request_id: str | None, tenant_id: str | None, traceparent: str
) -> dict[str, bytes]:
    given = {"job-id": job_id, "request-id": request_id, "tenant": tenant_id, "traceparent": traceparent}
    return {name: value.encode() for name, value in given.items() if value}


def _document_in(data: str) -> object:
    try:
        members = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ContractError.of("data", f"no JSON: {error}") from None
    return members.get("documentId") if isinstance(members, dict) else None
