"""`GET /queues`, `/queues/:name/status`, `/queues/:name/jobs`: how many jobs stand where, and the latest."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get
from litestar.params import FromPath, FromQuery, QueryParameter

from connectors.gateway.identity import Identity
from connectors.gateway.job_answer import iso, iso_or_none
from connectors.gateway.parts import Parts, parts_of
from connectors.gateway.roles import EVERYONE, allow, identity_of, may_see
from connectors.redis.keys import SAMPLES as KEPT
from connectors.views import JobView
from schemas.catalogue import JOB_TYPES, QUEUES, find_queue
from schemas.errors import ContractError
from schemas.records import Control
from schemas.states import State

Call = Request[Any, Any, Any]
SAMPLES = 10
# The words of the older API.
WORDS = {"wait": "waiting", "failed": "dead"}


class Metrics(msgspec.Struct, frozen=True):
    """Jobs by state. `failed` counts failed attempts that wait for another one, and dead jobs."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
    blocked: int
    dead: int
    cancelled: int
    duplicate: int


class QueueCounts(Metrics, frozen=True, kw_only=True):
    """A queue and its counts. `paused`: nothing of it starts; `held`: types of it of which nothing starts."""

    name: str
    tier: int
    paused: bool
    held: list[str]


class Sample(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A job in a state."""

    id: str
    type: str
    created_at: str
    started_at: str | None = None
    failed_at: str | None = None
    reason: str | None = None


class Stop(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An order under which nothing starts, of the queue or of one type."""

    at: str
    by: str
    job_type: str | None = None
    reason: str | None = None


class QueueStatus(msgspec.Struct, frozen=True):
    """A queue's counts and the first jobs of each state that the caller may see.

    `paused` and `held` as in the list of queues; `orders` say who ordered that, when, and why.
    """

    name: str
    tier: int
    paused: bool
    held: list[str]
    orders: list[Stop]
    metrics: Metrics
    samples: dict[str, list[Sample]]


@get("/queues", guards=[allow(EVERYONE)])
async def queues(request: Call) -> list[QueueCounts]:
    """List every queue with its counts."""
    parts = parts_of(request)
    return [
        QueueCounts(
            name=queue.name,
            tier=queue.tier.value,
            paused=parts.orders.is_paused(queue.name),
            held=_held(parts, queue.name),
            **_counts(await parts.status.counts(queue.name)),
        )
        for queue in QUEUES.values()
    ]


@get("/queues/{name:str}/status", guards=[allow(EVERYONE)])
async def queue_status(request: Call, name: FromPath[str]) -> QueueStatus:
    """Show one queue: counts, and up to ten jobs of each state."""
    queue = find_queue(name)
    parts, identity = parts_of(request), identity_of(request)
    counts = await parts.status.counts(queue.name)
    samples = {
        state.value: await _samples(parts, identity, queue.name, state.value)
        for state in State
        if counts.get(state.value, 0) > 0
    }
    dead = samples.get("dead", [])
    shown = {name: samples.get(name, []) for name in ("waiting", "active", "completed", "delayed", "blocked")}
    shown["failed"] = [*samples.get("failed", []), *dead][:SAMPLES]
    return QueueStatus(
        queue.name, queue.tier.value, parts.orders.is_paused(queue.name), _held(parts, queue.name),
        [_stop(order) for order in parts.orders.closed.values() if order.queue == queue.name],
        Metrics(**_counts(counts)), shown,
    )  # fmt: skip


@get("/queues/{name:str}/jobs", guards=[allow(EVERYONE)])
async def queue_jobs(
    request: Call,
    name: FromPath[str],
    status: FromQuery[str] = State.WAITING.value,
    start: Annotated[int, QueryParameter(ge=0, lt=KEPT)] = 0,
    end: Annotated[int, QueryParameter(ge=0, lt=KEPT)] = SAMPLES - 1,
) -> list[Sample]:
    """List jobs in a state, the latest first, from place `start` to `end`; so many of each state are kept."""
    queue, state = find_queue(name), WORDS.get(status, status)
    if state not in set(State):
        raise ContractError.of("status", f"use one of {', '.join(State)}")
    return await _samples(parts_of(request), identity_of(request), queue.name, state, start, end + 1)


async def _samples(
    parts: Parts, identity: Identity, queue: str, state: str, start: int = 0, end: int = SAMPLES
) -> list[Sample]:
    ids = (await parts.status.samples(queue, state, end))[start:]
    views = [await parts.status.job(job_id) for job_id in ids]
    return [
        _sample(view) for view in views if view and may_see(identity, view.user_id, view.tenant_id)
    ]  # fmt: skip


def _held(parts: Parts, queue: str) -> list[str]:
    return parts.orders.held_types([kind for kind, known in JOB_TYPES.items() if known.queue == queue])


def _stop(order: Control) -> Stop:
    return Stop(iso(order.at), order.by, order.type, order.reason)


def _sample(view: JobView) -> Sample:
    failed = view.state in (State.FAILED, State.DEAD)
    return Sample(
        id=view.job_id,
        type=view.type,
        created_at=iso(view.accepted_at),
        started_at=iso_or_none(view.processed_at),
        failed_at=iso_or_none(view.finished_at or view.processed_at) if failed else None,
        reason=view.error.message if failed and view.error else None,
    )


def _counts(found: dict[str, int]) -> dict[str, int]:
    # One that was forgotten and then left its state counts as minus one.
    counts = {state.value: max(0, found.get(state.value, 0)) for state in State}
    return {**counts, "failed": counts["failed"] + counts["dead"]}


router = Router("/", route_handlers=[queues, queue_status, queue_jobs], tags=["queues"])
