"""Drains jobs of one shape: from `job-requests` to their terminal state, with their status readable."""

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
from confluent_kafka import Producer

from connectors.redis.status import StatusStore
from ops.bench import load
from ops.bench.cpu import Meter, by_thread
from ops.bench.infrastructure import PARTITIONS, Infrastructure, infrastructure
from ops.bench.roles import Running, roles
from ops.stack.prepare import create_topics, migrate
from ops.stack.progress import Say
from schemas.tiers import Tier
from streams.codec import Codec
from streams.settings import Settings
from streams.settings import load as load_settings
from streams.topics import Topology

# A broker that has just started takes three times the CPU a job: its JVM has compiled nothing yet.
WARM_UP = 20_000
LIMIT_S = 300.0
LOOK_S = 0.02


@dataclass(frozen=True)
class Shape:
    """What kind of jobs, and how many ordering keys and partitions they spread over."""

    name: str
    handler: str = "nothing"
    row: bool = False
    """Tier 1: each job leaves a row in Postgres, and is readable when it is there, too."""
    keys: int = load.CONVERSATIONS
    partitions: int = PARTITIONS
    concurrency: int = 200
    """TIERFLOW_CONCURRENCY of the worker."""

    @property
    def tier(self) -> Tier:
        """Where the jobs run."""
        return Tier.CRITICAL if self.row else Tier.IMPORTANT

    @property
    def worker(self) -> str:
        """The role that runs them."""
        return f"worker-{self.tier.value}"

    @property
    def queue(self) -> str:
        """Their queue."""
        return load.ROW.queue if self.row else load.QUEUE


@dataclass(frozen=True)
class Figures:
    """One drain. Seconds count from the first job produced; `cpu_s` until the last status was readable."""

    jobs: int
    produced_s: float
    ended_s: float
    readable_s: float
    steady_rate: float
    cpu_s: dict[str, float]
    threads_s: dict[str, dict[str, float]]
    rss_mb: dict[str, int]
    transactions: dict[str, float]
    out_of_order: int = 0


async def drain(
    shape: Shape, jobs: int, say: Say, *, profile: bool = False
) -> tuple[Figures, dict[str, Any]]:
    """Drain on fresh servers, after a warm-up; the figures, and the samples of the loops when `profile`."""
    replaced = {
        "router": ("router",),
        shape.worker: ("worker", shape.handler, str(shape.tier.value)),
    }
    async with infrastructure(say, partitions=shape.partitions) as on:
        settings = load_settings(on.environment)
        await asyncio.to_thread(create_topics, on.environment)
        await asyncio.to_thread(migrate, on.environment)
        names = "router", shape.worker, "sink"
        extra = {"TIERFLOW_CONCURRENCY": str(shape.concurrency)}
        async with roles(on, names, replaced, profile=profile, extra=extra) as running:
            status = StatusStore(settings.redis.url.get_secret_value(), settings.kafka.topic_prefix)
            # Connected by the warm-up, as a producer in production is.
            measured = _Drain(on, settings, running, status, load.connect(settings.kafka), shape)
            try:
                await measured.run(min(WARM_UP, 2 * jobs), sampled=False)
                figures = await measured.run(jobs)
            finally:
                await status.close()
        return figures, running.samples()


@dataclass(frozen=True)
class _Drain:
    on: Infrastructure
    settings: Settings
    running: Running
    status: StatusStore
    producer: Producer
    shape: Shape

    async def run(self, jobs: int, *, sampled: bool = True) -> Figures:
        codec, topology = Codec(), Topology.of(self.settings.kafka)
        shape, running = self.shape, self.running
        made = load.requests(jobs, codec, row=shape.row, keys=shape.keys)
        before = (await self.status.counts(shape.queue)).get("completed", 0)
        reader = await asyncio.to_thread(
            load.Drain.begin, self.on.bootstrap, self.on.name("bench"), topology.lifecycle(shape.tier),
            shape.partitions,
        )  # fmt: skip
        try:
            watched = ("router", shape.worker)
            threads = {name: by_thread(running.pids[name]) for name in watched}
            transactions = await asyncio.to_thread(running.transactions)
            meter = Meter.start({**self.on.pids, **running.pids, "bench itself": os.getpid()})
            running.sample(sampled)
            began = time.monotonic()
            ended, produced = await asyncio.gather(
                asyncio.to_thread(reader.until_ended, made.ids, codec, LIMIT_S),
                asyncio.to_thread(load.produce, self.producer, topology.job_requests, made.records),
            )
            running.sample(False)
            await self._readable(before + jobs, reader.ends)
            readable = time.monotonic()
            used = meter.used()
        finally:
            reader.close()
        return Figures(
            jobs,
            produced - began,
            ended - began,
            readable - began,
            load.steady_rate(reader.pace),
            used,
            {name: _difference(by_thread(running.pids[name]), threads[name]) for name in watched},
            {name: psutil.Process(pid).memory_info().rss >> 20 for name, pid in running.pids.items()},
            _difference(await asyncio.to_thread(running.transactions), transactions),
            reader.out_of_order(made.keys, codec),
        )

    async def _readable(self, completed: int, ends: dict[int, int]) -> None:
        """Return when the status store, and Postgres for jobs with rows, show every job as completed."""
        deadline = time.monotonic() + LIMIT_S
        while (seen := (await self.status.counts(self.shape.queue)).get("completed", 0)) < completed:
            _still_in_time(deadline, seen, completed)
            await asyncio.sleep(LOOK_S)
        if self.shape.row:
            await asyncio.to_thread(self._await_rows, completed, ends, deadline)

    def _await_rows(self, completed: int, ends: dict[int, int], deadline: float) -> None:
        """Blocks. Rows are counted once the sink has read to the `ends` of the lifecycle topic by partition.

        To count them at each look takes a tenth of the machine from what is measured.
        """
        topic = Topology.of(self.settings.kafka).lifecycle(self.shape.tier)
        with psycopg.connect(self.settings.postgres.url.get_secret_value(), autocommit=True) as connection:
            while True:
                found = connection.execute(
                    "select partition, next from sink_offsets where topic = %s", (topic,)
                )
                written: dict[int, int] = dict(found.fetchall())
                seen = -1
                if all(written.get(partition, 0) >= end for partition, end in ends.items()):
                    seen = _rows(connection)
                    if seen >= completed:
                        return
                _still_in_time(deadline, seen, completed)
                time.sleep(LOOK_S)


def _rows(connection: "psycopg.Connection[Any]") -> int:
    """Jobs that have ended and whose envelope is there."""
    found = connection.execute(
        "select count(*) from jobs where state = 'completed' and data is not null"
    ).fetchone()
    return int(found[0]) if found else 0


def _still_in_time(deadline: float, seen: int, wanted: int) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError(f"{seen} jobs are shown as completed instead of {wanted}")


def _difference(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {kind: after[kind] - before[kind] for kind in after}
