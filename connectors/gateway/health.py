"""`/health`, `/health/live`, `/health/ready`, `/health/startup`: open to everyone, so they say little.

Only Kafka decides whether jobs can be accepted; Postgres or Redis away makes the gateway degraded.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Request, Response, Router, get

from connectors.gateway.job_answer import iso
from connectors.gateway.metrics import GatewayMetrics
from connectors.gateway.parts import Probe, parts_of
from streams.log import get as logger

log = logger(__name__)

Call = Request[Any, Any, Any]
NEEDED = "kafka"
TIMEOUT_S = 2.5
SLOW_S = 0.5
# Probes come from everywhere and without a token: the services hear of at most two rounds a second.
FRESH_S = 0.5

_WORDS = {"ok": "healthy", "degraded": "degraded", "down": "unhealthy"}


class Check(msgspec.Struct, frozen=True, rename="camel"):
    """One service: `ok`, `degraded` (it answers slowly) or `down`."""

    status: str
    latency_ms: float


class Ready(msgspec.Struct, frozen=True):
    """`ready`, `degraded` (accepts, but something is away) or `unavailable`."""

    status: str
    checks: dict[str, Check]
    timestamp: str


class Health(msgspec.Struct, frozen=True):
    """The same in the words of older clients: healthy, degraded, unhealthy."""

    status: str
    checks: dict[str, str]
    timestamp: str


class Live(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Checks:
    """Asks the services, all at once, and remembers the answer for a moment."""

    def __init__(
        self,
        probes: Mapping[str, Probe],
        metrics: GatewayMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes = probes
        self._metrics = metrics
        self._clock = clock
        self._turn = asyncio.Lock()
        self._asked_at = float("-inf")
        self._found: dict[str, Check] = {}
        self.started = False

    async def found(self) -> dict[str, Check]:
        """How each service is; takes at most TIMEOUT_S."""
        async with self._turn:
            if self._clock() - self._asked_at > FRESH_S:
                checks = await asyncio.gather(*map(_ask, self._probes.values()))
                self._note(dict(zip(self._probes, checks, strict=True)))
                self._asked_at = self._clock()
            return self._found

    async def until_started(self) -> None:
        """Ask until Kafka has answered once, for probes that only look at `started`."""
        while not self.started:
            await self.found()
            await asyncio.sleep(FRESH_S)

    def _note(self, found: dict[str, Check]) -> None:
        for name, check in found.items():
            before = self._found.get(name)
            if before is None or (before.status == "down") != (check.status == "down"):
                log.info("service", service=name, status=check.status)
            self._metrics.away.labels(name).set(check.status == "down")
        self._found = found
        self.started = self.started or found[NEEDED].status != "down"


async def _ask(probe: Probe) -> Check:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await probe()
    except Exception:  # why it does not answer is in the service's own log lines, not in a public answer
        return Check("down", _ms(began))
    took = time.perf_counter() - began
    return Check("ok" if took < SLOW_S else "degraded", _ms(began))


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


@get("/live")
async def live() -> Live:
    """Say that the process answers."""
    return Live("alive")


@get("/ready")
async def ready(request: Call) -> Response[Ready]:
    """Say how each service is. 503 only when jobs cannot be accepted."""
    found = await checks_of(request).found()
    can = found[NEEDED].status != "down"
    well = all(check.status == "ok" for check in found.values())
    status = "unavailable" if not can else "ready" if well else "degraded"
    return Response(Ready(status, found, _now(request)), status_code=200 if can else 503)


@get("/startup")
async def startup(request: Call) -> Response[Live]:
    """Say whether Kafka was reached since the start."""
    checks = checks_of(request)
    if not checks.started:
        await checks.found()
    status = "started" if checks.started else "starting"
    return Response(Live(status), status_code=200 if checks.started else 503)


@get("/")
async def health(request: Call) -> Response[Health]:
    """Say how each part is, in one word each."""
    found = await checks_of(request).found()
    words = {name: _WORDS[check.status] for name, check in found.items()}
    can = found[NEEDED].status != "down"
    well = all(word == "healthy" for word in words.values())
    checks = {
        "service": "healthy",
        "database": words["postgres"],
        "redis": words["redis"],
        "kafka": words["kafka"],
        "queues": words["kafka"],
    }
    status = "unhealthy" if not can else "healthy" if well else "degraded"
    return Response(Health(status, checks, _now(request)), status_code=200 if can else 503)


def checks_of(request: Call) -> Checks:
    """The application's."""
    checks: Checks = request.app.state["checks"]
    return checks


def _now(request: Call) -> str:
    return iso(parts_of(request).now_ms())


def router() -> Router:
    """A router of its own for each place: the API's prefix, and the root for probes."""
    return Router("/health", route_handlers=[health, live, ready, startup], tags=["health"], security=[{}])
