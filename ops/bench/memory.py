"""`tierflow bench memory`: what a worker's process takes with jobs in flight whose handlers do not end."""

import asyncio
import time
from typing import Any

import psutil

from ops.bench import load
from ops.bench.infrastructure import infrastructure
from ops.bench.roles import Running, roles
from ops.stack.prepare import create_topics
from ops.stack.progress import Say
from streams.codec import Codec
from streams.settings import load as load_settings
from streams.topics import Topology

WORKER = "worker-2"
LIMIT_S = 120.0
WANTED_MB = 150
# A job counts as running when it has its slot; then its handler starts, and later its offset is let go.
SETTLING_S = 6.0
# Two lanes, so that no lane of a partition comes to its cap before all run.
_PRIORITIES = (5, 2)


async def run(count: int, say: Say) -> dict[str, Any]:
    """Resident megabytes of a worker: without jobs, and the most with `count` of different keys in flight."""
    replaced = {"router": ("router",), WORKER: ("worker", "endless")}
    async with infrastructure(say) as on:
        await asyncio.to_thread(create_topics, on.environment)
        settings, codec = load_settings(on.environment), Codec()
        settled = {"TIERFLOW_CONCURRENCY": str(2 * count)}
        async with roles(on, ("router", WORKER), replaced, profile=False, extra=settled) as running:
            idle_mb = _rss_mb(running)
            made = load.requests(count, codec, keys=count, priorities=_PRIORITIES)
            topic = Topology.of(settings.kafka).job_requests
            await asyncio.to_thread(load.produce, load.connect(settings.kafka), topic, made.records)
            in_flight = await _until_running(running, count)
            busy_mb = await _most_mb(running)
    reached = "reached" if busy_mb <= WANTED_MB else "MISSED"
    line = f"worker: {idle_mb} MB idle, {busy_mb} MB with {in_flight:,} jobs in flight"
    return {
        "idle_mb": idle_mb,
        "busy_mb": busy_mb,
        "in_flight": in_flight,
        "lines": [line, f"  wanted: <= {WANTED_MB} MB: {reached}"],
    }


async def _until_running(running: Running, count: int) -> int:
    deadline = time.monotonic() + LIMIT_S
    while (seen := await asyncio.to_thread(running.gauge, WORKER, "jobs_running")) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{seen} of {count} jobs run after {LIMIT_S:.0f} s")
        await asyncio.sleep(0.2)
    return seen


async def _most_mb(running: Running) -> int:
    """The most while all handlers start and what they do not need any more is let go."""
    deadline, most = time.monotonic() + SETTLING_S, 0
    while time.monotonic() < deadline:
        most = max(most, _rss_mb(running))
        await asyncio.sleep(0.2)
    return most


def _rss_mb(running: Running) -> int:
    return int(psutil.Process(running.pids[WORKER]).memory_info().rss >> 20)
