"""`tierflow bench backlog`: does a long queue slow the worker down, and does an urgent job wait behind it.

The backlog stands in the bulk lane before the worker starts, and shrinks while it is drained: the rate with
all of it before the worker is compared with the rate at its end, in the same run. Beside its beginning urgent
jobs come in and tell when they started.
"""

import asyncio
import gc
import threading
import time
from typing import Any

import msgspec
from confluent_kafka import Producer

from connectors.kafka.producer import client_config
from ops.bench import load
from ops.bench.infrastructure import PARTITIONS, Infrastructure, infrastructure
from ops.bench.latency import percentiles
from ops.bench.role_process import STARTED
from ops.bench.roles import roles
from ops.bench.waiting import fill
from ops.stack.errors import StackError
from ops.stack.prepare import create_topics
from ops.stack.progress import Say
from schemas.priorities import Lane
from schemas.records import Lifecycle
from schemas.tiers import Tier
from streams.codec import Codec
from streams.settings import Settings
from streams.settings import load as load_settings
from streams.topics import Topology

# What still waits when the measuring ends.
SMALL = 10_000
# Not measured: the worker and the broker begin.
WARM_UP = 20_000
BULK, URGENT = 2, 9
URGENT_NAME = "urgent"
MEASURED_S = 15.0
URGENT_PER_S = 10
DRAINED_LIMIT_S = 900.0
STARTED_LIMIT_S = 60.0
_CHUNK = 100_000
_REPLACED = {"router": ("router",), "worker-2": ("worker", "started")}


async def run(count: int, say: Say) -> dict[str, Any]:
    """The rate with `count` jobs before the worker and with 10,000, and how long urgent jobs waited."""
    if count < 5 * SMALL:
        raise StackError(f"a long queue has at least {5 * SMALL:,} jobs: --records")
    async with infrastructure(say) as on:
        await asyncio.to_thread(create_topics, on.environment)
        settings = load_settings(on.environment)
        async with roles(on, ("router",), _REPLACED, profile=False):
            await asyncio.to_thread(_fill, on, settings, WARM_UP + count)
            say(f"backlog: {count} jobs wait")
            async with roles(on, ("worker-2",), _REPLACED, profile=False):
                large, small, waited = await asyncio.to_thread(_watch, on, settings, count)
    ratio = large / small
    reached = "reached" if waited["p99"] <= 250 and ratio >= 0.9 else "MISSED"
    return {
        "jobs_per_s": {str(count): round(large), str(SMALL): round(small)},
        "ratio": round(ratio, 2),
        "urgent_ms": waited,
        "lines": [
            f"worker: {large:,.0f} jobs/s with {count:,} before it, {small:,.0f} with {SMALL:,}: {ratio:.2f}",
            f"  urgent jobs behind {count:,} bulk jobs, request to start, ms: "
            + ", ".join(f"{name} {value:.1f}" for name, value in waited.items()),
            f"  wanted: within 10 %, p99 <= 250 ms: {reached}",
        ],
    }


def _fill(on: Infrastructure, settings: Settings, count: int) -> None:
    codec = Codec()
    for start in range(0, count, _CHUNK):
        made = load.requests(min(_CHUNK, count - start), codec, priorities=(BULK,))
        fill(on, settings, made, Lane.BULK, PARTITIONS, start)


class _Progress:
    """Reads what ended, in a thread: how many by when, and the records of urgent jobs."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.pace: list[tuple[float, int]] = []
        self.urgent: list[bytes] = []
        self._consumer = load.Drain.begin(bootstrap, "bench-progress", topic, PARTITIONS).consumer
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> int:
        """Jobs that have ended."""
        return self.pace[-1][1] if self.pace else 0

    def close(self) -> None:
        """End the thread. Blocks for a moment."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def rate(self, first: int, last: int) -> float:
        """Jobs a second between two counts of ended ones."""
        inside = [(at, seen) for at, seen in self.pace if first <= seen <= last]
        if len(inside) < 2:
            raise RuntimeError("too few jobs for a rate: ask for more --records")
        return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])

    def _run(self) -> None:
        seen, prefix = 0, URGENT_NAME.encode()
        while not self._stopping.is_set():
            messages = [m for m in self._consumer.consume(5_000, 0.05) if m.error() is None]
            if messages:
                seen += len(messages)
                self.pace.append((time.monotonic(), seen))
                # The few that matter, by their key: to decode all would take a part of what is measured.
                self.urgent += [m.value() or b"" for m in messages if (m.key() or b"").startswith(prefix)]


def _watch(on: Infrastructure, settings: Settings, count: int) -> tuple[float, float, dict[str, float]]:
    """Jobs a second while all wait and while few do, and how long urgent ones waited."""
    topology = Topology.of(settings.kafka)
    gc.freeze()
    progress = _Progress(on.bootstrap, topology.lifecycle(Tier.IMPORTANT))
    try:
        sent = _urgent(settings, topology.job_requests, count, progress)
        total = WARM_UP + count + len(sent)
        deadline = time.monotonic() + DRAINED_LIMIT_S
        while progress.ended < total:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{total - progress.ended} jobs did not end in {DRAINED_LIMIT_S:.0f} s")
            time.sleep(0.1)
    finally:
        progress.close()
    window = count // 10
    waited = percentiles(_waits(progress.urgent, sent))
    end = WARM_UP + count - SMALL
    return progress.rate(WARM_UP, WARM_UP + window), progress.rate(end - window, end), waited


def _urgent(settings: Settings, topic: str, count: int, progress: _Progress) -> dict[str, int]:
    """Write urgent jobs one by one while the worker is at the backlog; job id -> the moment, in ns."""
    producer = Producer({**client_config(settings.kafka), "linger.ms": 0})
    number = int(MEASURED_S * URGENT_PER_S)
    made = load.requests(number, Codec(), priorities=(URGENT,), named=URGENT_NAME)
    sent: dict[str, int] = {}
    deadline = time.monotonic() + STARTED_LIMIT_S
    while progress.ended < WARM_UP // 2:
        if time.monotonic() > deadline:
            raise RuntimeError(f"no job ended in {STARTED_LIMIT_S:.0f} s")
        time.sleep(0.05)
    for job_id, (key, value) in zip(made.keys, made.records, strict=True):
        if progress.ended > WARM_UP + 0.8 * count:
            break  # the backlog is nearly gone
        sent[job_id] = time.time_ns()
        producer.produce(topic, value, key)
        producer.flush(10)
        time.sleep(1 / URGENT_PER_S)
    return sent


def _waits(values: list[bytes], sent: dict[str, int]) -> list[float]:
    """Milliseconds from the request of each urgent job to the start of its handler."""
    codec = Codec()
    records = [codec.decode(Lifecycle, value) for value in values]
    return [(began - sent[record.job_id]) / 1e6 for record in records if (began := _started(record))]


def _started(record: Lifecycle) -> int | None:
    results = [change.result for change in record.transitions if change.result is not None]
    return int(msgspec.json.decode(results[-1])["data"][STARTED]) if results else None
