"""`POST /events`, `POST /events/bulk`: what happens in the editor's documents."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, post
from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from connectors.gateway.body import MAX_BATCH_MEMBERS, read_json
from connectors.gateway.envelope import Id, Strict, Uuid
from connectors.gateway.identity import Identity, Role
from connectors.gateway.parts import Parts, parts_of
from connectors.gateway.problems import forbidden
from connectors.gateway.request_id import request_id_of, traceparent_of
from connectors.gateway.request_schema import body_schema
from connectors.gateway.roles import USERS, allow, identity_of
from connectors.gateway.submission import Rules, check_document, check_offered, tenant_of
from connectors.kafka.producer import Outgoing
from schemas.catalogue import find_event
from schemas.errors import ContractError, Problem, UnknownTypeError
from schemas.payloads.contract import problems_of
from schemas.records import Event
from schemas.tiers import DAY_MS

Call = Request[Any, Any, Any]
MAX_EVENTS = 1_000


class EventEnvelope(Strict):
    """An event without its data. `timestamp` in milliseconds; ours when absent."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(str.strip)]
    document_id: Id
    user_id: Id | None = None
    tenant_id: Id | None = None
    timestamp: Annotated[int, Field(ge=0)] | None = None
    event_id: Uuid | None = None


class EventBatch(Strict):
    """Events, accepted all or not at all."""

    events: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_EVENTS)


class EventAccepted(msgspec.Struct, frozen=True, rename="camel"):
    """An event that Kafka has."""

    event_id: str
    status: str = "accepted"


class EventsAccepted(msgspec.Struct, frozen=True, rename="camel"):
    """Events that Kafka has, in the order sent."""

    event_ids: list[str]
    total: int
    status: str = "accepted"


@post(
    "/events",
    guards=[allow(USERS)],
    status_code=202,
    operation_class=body_schema(EventEnvelope, with_data=True),
    description="Add an editor's event. 202 once Kafka has it on every in-sync replica.",
)
async def submit(request: Call) -> EventAccepted:
    """Add one event."""
    parts = parts_of(request)
    body = await read_json(request, parts.settings.body_limit)
    event = _event(parts, msgspec.Raw(body), identity_of(request), request_id_of(request.scope))
    record = _record(parts, event, traceparent_of(request.scope))
    await parts.producer.send(record.topic, record.key, record.value, record.headers)
    _count(parts, [event])
    return EventAccepted(event.event_id)


@post(
    "/events/bulk",
    guards=[allow(USERS)],
    status_code=202,
    operation_class=body_schema(EventBatch),
    description=f"Add up to {MAX_EVENTS} events in ONE Kafka transaction: all, or none when any is wrong.",
)
async def submit_bulk(request: Call) -> EventsAccepted:
    """Add many events."""
    parts = parts_of(request)
    raws = _read_bulk(await read_json(request, parts.settings.batch_body_limit, MAX_BATCH_MEMBERS))
    events = _all(parts, raws, identity_of(request), request_id_of(request.scope))
    trace = traceparent_of(request.scope)
    await parts.producer.send_all([_record(parts, event, trace) for event in events])
    _count(parts, events)
    return EventsAccepted([event.event_id for event in events], len(events))


def _read_bulk(body: bytes) -> list[msgspec.Raw]:
    try:
        EventBatch.model_validate(msgspec.json.decode(body))
    except ValidationError as error:
        raise ContractError(problems_of(error)) from None
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.decode(members["events"], type=list[msgspec.Raw])


def _all(parts: Parts, raws: list[msgspec.Raw], identity: Identity, request_id: str) -> list[Event]:
    """Every event, or one error that names what is wrong with each."""
    events, problems = [], []
    only_unknown = True
    for index, raw in enumerate(raws):
        try:
            events.append(_event(parts, raw, identity, request_id))
        except ContractError as error:
            problems += [Problem(f"events.{index}.{p.field}", p.message) for p in error.problems]
            only_unknown = only_unknown and isinstance(error, UnknownTypeError)
    if problems:
        raise (UnknownTypeError if only_unknown else ContractError)(problems)
    return events


def _event(parts: Parts, raw: msgspec.Raw, identity: Identity, request_id: str) -> Event:
    """The event that a caller sent; ContractError, UnknownTypeError or Refusal when it does not hold."""
    envelope, data = _read(raw)
    job_type = find_event(envelope.type)
    job_type.contract.parse(data)
    user_id = envelope.user_id or identity.subject
    if identity.role is Role.USER and user_id != identity.subject:
        raise forbidden("userId must be the token's user")
    check_document(identity, envelope.document_id)
    check_offered(Rules(parts.available, parts.missing_setting), job_type)
    now = parts.now_ms()
    if envelope.timestamp is not None and envelope.timestamp > now + DAY_MS:
        raise ContractError.of("timestamp", "lies more than a day ahead")
    return Event(
        event_id=envelope.event_id or parts.new_id(),
        type=job_type.kind,
        document_id=envelope.document_id,
        user_id=user_id,
        timestamp=now if envelope.timestamp is None else envelope.timestamp,
        data=data,
        tenant_id=tenant_of(identity, envelope.tenant_id, {}),
        request_id=request_id,
    )


def _read(raw: msgspec.Raw) -> tuple[EventEnvelope, str]:
    """Envelope and data, or ContractError with all that is wrong with both."""
    members = msgspec.json.decode(raw)
    if not isinstance(members, dict):
        raise ContractError.of("", "must be an object")
    given = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    text = bytes(given.get("data", b"{}")).decode()
    problems = [] if text.startswith("{") else [Problem("data", "must be an object")]
    members.pop("data", None)
    try:
        envelope = EventEnvelope.model_validate(members)
    except ValidationError as error:
        raise ContractError(problems + problems_of(error) + _data_problems(members, text)) from None
    if problems:
        raise ContractError(problems)
    return envelope, text


def _data_problems(members: dict[str, Any], data: str) -> list[Problem]:
    kind = members.get("type")
    try:
        if isinstance(kind, str):
            find_event(kind).contract.parse(data)
    except UnknownTypeError:
        return []
    except ContractError as error:
        return error.problems
    return []


def _record(parts: Parts, event: Event, traceparent: str) -> Outgoing:
    headers = {
        "event-id": event.event_id,
        "request-id": event.request_id or "",
        "traceparent": traceparent,
        "tenant": event.tenant_id or "",
    }
    return Outgoing(
        parts.topology.events,
        event.document_id.encode(),
        parts.codec.encode(event),
        {name: value.encode() for name, value in headers.items() if value},
    )


def _count(parts: Parts, events: list[Event]) -> None:
    for event in events:
        parts.metrics.accepted.labels(find_event(event.type).queue, event.type).inc()


router = Router("/", route_handlers=[submit, submit_bulk], tags=["events"])
