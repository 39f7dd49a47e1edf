"""`GET /queues`, `GET /queues/:name/status`: how many jobs stand where, and some of them."""

from typing import Any

import msgspec
from litestar import Request, Router, get
from litestar.params import FromPath

from connectors.gateway.identity import Identity
from connectors.gateway.job_answer import iso, iso_or_none
from connectors.gateway.parts import Parts, parts_of
from connectors.gateway.roles import EVERYONE, allow, identity_of, may_see
from connectors.views import JobView
from schemas.catalogue import QUEUES, find_queue
from schemas.states import State

Call = Request[Any, Any, Any]
SAMPLES = 10


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
    """A queue and its counts."""

    name: str
    tier: int


class Sample(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A job in a state."""

    id: str
    type: str
    created_at: str
    started_at: str | None = None
    failed_at: str | None = None
    reason: str | None = None


class QueueStatus(msgspec.Struct, frozen=True):
    """A queue's counts and the first jobs of each state that the caller may see."""

    name: str
    tier: int
    metrics: Metrics
    samples: dict[str, list[Sample]]


@get("/queues", guards=[allow(EVERYONE)])
async def queues(request: Call) -> list[QueueCounts]:
    """List every queue with its counts."""
    status = parts_of(request).status
    return [
        QueueCounts(name=queue.name, tier=queue.tier.value, **_counts(await status.counts(queue.name)))
        for queue in QUEUES.values()
    ]


@get("/queues/{name:str}/status", guards=[allow(EVERYONE)])
async def queue_status(request: Call, name: FromPath[str]) -> QueueStatus:
    """Show one queue: counts, and up to ten jobs of each state."""
    queue = find_queue(name)
    parts, identity = parts_of(request), identity_of(request)
    counts = await parts.status.counts(queue.name)
    samples = {
        state.value: await _samples(parts, identity, queue.name, state)
        for state in State
        if counts.get(state.value, 0) > 0
    }
    dead = samples.get("dead", [])
    shown = {name: samples.get(name, []) for name in ("waiting", "active", "completed", "delayed", "blocked")}
    shown["failed"] = [*samples.get("failed", []), *dead][:SAMPLES]
    return QueueStatus(queue.name, queue.tier.value, Metrics(**_counts(counts)), shown)


async def _samples(parts: Parts, identity: Identity, queue: str, state: State) -> list[Sample]:
    ids = await parts.status.samples(queue, state.value, SAMPLES)
    views = [await parts.status.job(job_id) for job_id in ids]
    return [
        _sample(view) for view in views if view and may_see(identity, view.user_id, view.tenant_id)
    ]  # fmt: skip


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
    counts = {state.value: found.get(state.value, 0) for state in State}
    return {**counts, "failed": counts["failed"] + counts["dead"]}


router = Router("/", route_handlers=[queues, queue_status], tags=["queues"])
