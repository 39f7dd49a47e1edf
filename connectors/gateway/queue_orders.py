"""`POST /queues/:name/pause`, `/resume`, `/clear`: orders to every worker, on the topic `control`.

An order is given when every in-sync replica has it; each worker and gateway reads it within milliseconds.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, post
from litestar.params import FromPath, FromQuery, QueryParameter

from connectors.gateway.audit import audited
from connectors.gateway.job_answer import iso
from connectors.gateway.parts import parts_of
from connectors.gateway.roles import ADMINS, allow, identity_of
from schemas.catalogue import Queue, find_queue, find_type
from schemas.errors import ContractError
from schemas.records import Control
from schemas.states import State
from streams.core.orders import CLEAR, PAUSE, RESUME, key_of

Call = Request[Any, Any, Any]
OptionalType = Annotated[str | None, QueryParameter(name="jobType")]
Reason = Annotated[str | None, QueryParameter(max_length=500)]

# What `type` may be, in the words of the old system too: which waiting jobs are cancelled, what is forgotten.
WAITING = {"wait": State.WAITING, "waiting": State.WAITING, "delayed": State.DELAYED}
ENDED = {"completed": (State.COMPLETED,), "failed": (State.FAILED, State.DEAD)}


class Ordered(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What was ordered."""

    queue: str
    paused: bool
    at: str
    by: str
    job_type: str | None = None
    reason: str | None = None


class Cleared(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Waiting jobs accepted up to `before` are being cancelled; of ended ones the view forgets the counts."""

    queue: str
    cleared: list[str]
    before: str
    by: str
    job_type: str | None = None


@post("/queues/{name:str}/pause", status_code=200, guards=[allow(ADMINS)])
async def pause(
    request: Call, name: FromPath[str], job_type: OptionalType = None, reason: Reason = None
) -> Ordered:
    """Start no more jobs of a queue, or of one type of it, on any worker; running ones end."""
    return await _order(request, PAUSE, name, job_type, reason)


@post("/queues/{name:str}/resume", status_code=200, guards=[allow(ADMINS)])
async def resume(
    request: Call, name: FromPath[str], job_type: OptionalType = None, reason: Reason = None
) -> Ordered:
    """Start jobs of a queue, or of one type that was held, again."""
    return await _order(request, RESUME, name, job_type, reason)


@post("/queues/{name:str}/clear", status_code=202, guards=[allow(ADMINS)])
async def clear(
    request: Call,
    name: FromPath[str],
    type_: Annotated[str | None, QueryParameter(name="type")] = None,
    job_type: OptionalType = None,
    confirm: FromQuery[str | None] = None,
) -> Cleared:
    """Cancel the jobs of a queue that wait or are delayed; forget the counts of those that ended."""
    queue = find_queue(name)
    if type_ is not None and type_ not in WAITING | ENDED:
        raise ContractError.of("type", f"use one of {', '.join(sorted(WAITING | ENDED))}")
    if type_ is None and confirm != queue.name:
        raise ContractError.of("confirm", f"without a type everything goes: confirm={queue.name}")
    parts, by = parts_of(request), identity_of(request).subject
    kind, now = _kind(queue, job_type), parts.now_ms()
    cleared: list[str] = []
    if type_ is None or type_ in WAITING:
        state = WAITING[type_] if type_ else None
        order = Control(CLEAR, queue.name, now, by, kind, before=now, state=state and state.value)
        await _send(request, order)
        cleared += [state.value] if state else [State.WAITING.value, State.DELAYED.value]
    for word in [type_] if type_ else sorted(ENDED):
        for ended in ENDED.get(word, ()):
            await parts.status.forget(queue.name, ended.value)
            cleared.append(ended.value)
    audited(request, "queue.clear", queue.name, states=cleared, job_type=kind)
    return Cleared(queue.name, cleared, iso(now), by, kind)


async def _order(request: Call, action: str, name: str, job_type: str | None, reason: str | None) -> Ordered:
    queue, now, by = find_queue(name), parts_of(request).now_ms(), identity_of(request).subject
    kind = _kind(queue, job_type)
    await _send(request, Control(action, queue.name, now, by, kind, reason))
    audited(request, f"queue.{action}", queue.name, job_type=kind, reason=reason)
    return Ordered(queue.name, action == PAUSE, iso(now), by, kind, reason)


def _kind(queue: Queue, job_type: str | None) -> str | None:
    return None if job_type is None else find_type(queue.name, job_type).kind


async def _send(request: Call, order: Control) -> None:
    parts = parts_of(request)
    topic = parts.topology.control
    await parts.producer.send(topic, key_of(order).encode(), parts.codec.encode(order))


router = Router("/", route_handlers=[pause, resume, clear], tags=["queues"])
