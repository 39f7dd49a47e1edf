"""`tierflow bench jobs`: no-op jobs of tier 2 from `job-requests` to their terminal state, and the cost."""

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Any

import psutil

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

ROLES = ("router", "worker-2", "sink")
REPLACED = {"router": ("router",), "worker-2": ("worker", "nothing")}
WARM_UP = 500
LIMIT_S = 300.0
PROFILED = ("router", "worker-2")


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


async def run(jobs: int, profile: bool, say: Say) -> dict[str, Any]:
    """Drain the jobs; then, when `profile`, half as many with the loops of router and worker sampled."""
    figures, _ = await _run(jobs, False, say)
    say(f"jobs: {jobs} ended after {figures.ended_s:.1f} s")
    # Apart and on fresh servers, because the sampling costs a little.
    samples = (await _run(max(jobs // 2, 1), True, say))[1] if profile else {}
    return {**as_dict(figures), "profile": samples, "lines": [*_table(figures), *_profile(samples)]}


async def _run(jobs: int, profile: bool, say: Say) -> tuple[Figures, dict[str, Any]]:
    async with infrastructure(say) as on:
        settings = load_settings(on.environment)
        await asyncio.to_thread(create_topics, on.environment)
        await asyncio.to_thread(migrate, on.environment)
        async with roles(on, ROLES, REPLACED, profile=profile) as running:
            figures = await _measure(on, settings, running, jobs)
        return figures, running.samples()


async def _measure(on: Infrastructure, settings: Settings, running: Running, jobs: int) -> Figures:
    status = StatusStore(settings.redis.url.get_secret_value(), settings.kafka.topic_prefix)
    try:
        await _drain(on, settings, running, status, min(WARM_UP, jobs), sampled=False)
        return await _drain(on, settings, running, status, jobs)
    finally:
        await status.close()


async def _drain(
    on: Infrastructure, settings: Settings, running: Running, status: StatusStore, jobs: int,
    *, sampled: bool = True,
) -> Figures:  # fmt: skip
    codec, topology = Codec(), Topology.of(settings.kafka)
    made = load.requests(jobs, codec)
    before = (await status.counts(load.QUEUE)).get("completed", 0)
    lifecycle = topology.lifecycle(Tier.IMPORTANT)
    drain = await asyncio.to_thread(load.Drain.begin, on.bootstrap, on.name("bench"), lifecycle, PARTITIONS)
    try:
        threads = {name: by_thread(running.pids[name]) for name in PROFILED}
        transactions = await asyncio.to_thread(running.transactions)
        meter = Meter.start({**on.pids, **running.pids, "bench itself": os.getpid()})
        running.sample(sampled)
        began = time.monotonic()
        ended, produced = await asyncio.gather(
            asyncio.to_thread(drain.until_ended, made.ids, codec, LIMIT_S),
            asyncio.to_thread(load.produce, settings.kafka, topology.job_requests, made.records),
        )
        running.sample(False)
        await _readable(status, before + jobs)
        readable = time.monotonic()
        used = meter.used()
    finally:
        drain.close()
    return Figures(
        jobs,
        produced - began,
        ended - began,
        readable - began,
        load.steady_rate(drain.pace),
        used,
        {name: _difference(by_thread(running.pids[name]), threads[name]) for name in PROFILED},
        {name: psutil.Process(pid).memory_info().rss >> 20 for name, pid in running.pids.items()},
        _difference(await asyncio.to_thread(running.transactions), transactions),
    )


async def _readable(status: StatusStore, completed: int) -> None:
    """Return when the status store shows every job as completed."""
    deadline = time.monotonic() + LIMIT_S
    while (seen := (await status.counts(load.QUEUE)).get("completed", 0)) < completed:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the status store shows {seen} completed jobs instead of {completed}")
        await asyncio.sleep(0.05)


def _difference(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {kind: after[kind] - before[kind] for kind in after}


def as_dict(figures: Figures) -> dict[str, Any]:
    """For JSON; CPU in microseconds a job."""
    jobs = figures.jobs
    per_job = {name: round(used / jobs * 1e6, 1) for name, used in figures.cpu_s.items()}
    return {
        "jobs": jobs,
        "jobs_per_s": round(jobs / figures.ended_s),
        "steady_jobs_per_s": round(figures.steady_rate),
        "readable_jobs_per_s": round(jobs / figures.readable_s),
        "seconds": {
            "produced": round(figures.produced_s, 2),
            "ended": round(figures.ended_s, 2),
            "readable": round(figures.readable_s, 2),
        },
        "cpu_us_per_job": per_job,
        "cpu_us_per_job_total": round(sum(us for name, us in per_job.items() if name != "bench itself"), 1),
        "threads_us_per_job": {
            name: {kind: round(used / jobs * 1e6, 1) for kind, used in threads.items()}
            for name, threads in figures.threads_s.items()
        },
        "rss_mb": figures.rss_mb,
        "jobs_per_transaction": {
            name: round(jobs / max(count, 1), 1) for name, count in figures.transactions.items()
        },
    }


def _table(figures: Figures) -> list[str]:
    found = as_dict(figures)
    lines = [
        f"no-op jobs of tier 2, {found['jobs']:,} drained",
        f"  ended     {found['jobs_per_s']:>8,} jobs/s  (in the middle {found['steady_jobs_per_s']:,})",
        f"  readable  {found['readable_jobs_per_s']:>8,} jobs/s  (status of the last one)",
        f"  CPU       {found['cpu_us_per_job_total']:>8,} us a job",
    ]
    for name, used in sorted(found["cpu_us_per_job"].items(), key=lambda item: -item[1]):
        threads = found["threads_us_per_job"].get(name, {})
        detail = ", ".join(f"{kind} {us}" for kind, us in threads.items())
        lines.append(f"    {name:14} {used:>7} us  {f'({detail})' if detail else ''}".rstrip())
    each = ", ".join(f"{name} {count:g}" for name, count in found["jobs_per_transaction"].items())
    memory = ", ".join(f"{name} {size} MB" for name, size in found["rss_mb"].items())
    return [*lines, f"  jobs a transaction: {each}; memory: {memory}"]


def _profile(samples: dict[str, Any], top: int = 15) -> list[str]:
    lines = []
    for name, found in samples.items():
        busy = max(found["busy"], 1)
        lines += ["", f"{name}: loop's thread in Python code in {busy} of {found['samples']} samples"]
        own = [(who, seen) for who, seen in found["own"].items() if who != "loop"][:top]
        lines += [f"  {seen / busy:5.1%} {who}" for who, seen in own]
    return lines
