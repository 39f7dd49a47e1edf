"""How fast records are replayed, audited, and rebuilt into Postgres and Redis: the commands themselves."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from confluent_kafka import Producer

from connectors.kafka.admin import create_topics
from connectors.postgres.migrate import migrate
from ops.bench.infrastructure import Infrastructure, infrastructure
from ops.stack.progress import Say
from schemas.keys import digest
from schemas.priorities import Lane
from schemas.records import Job, JobRequest, Lifecycle, Transition
from schemas.tiers import Tier
from streams.acknowledgement import ONE_REQUEST
from streams.codec import Codec
from streams.settings import load
from streams.topics import Topology

Report = dict[str, Any]

_ANY_PARTITION = -1


async def run(jobs: int, say: Say) -> Report:
    """Three records a job, three transitions: written, replayed raw and filtered, rebuilt, audited."""
    async with infrastructure(say) as on:
        say(f"writing {jobs:,} jobs")
        await asyncio.to_thread(_write, on, jobs)
        lane = Topology.of(load(on.environment).kafka).lane(Tier.CRITICAL, Lane.NORMAL)
        steps = {
            "replay": ("replay", lane, "--into", on.name("copy"), "--execute"),
            "replay of a tenant, no index": ("replay", lane, "--tenant", "tenant-7", "--no-index"),
            "replay of a job, index made": ("replay", lane, "--job", "job-7"),
            "replay of a job, by the index": ("replay", lane, "--job", "job-8"),
            "rebuild postgres": ("rebuild", "postgres", "--swap"),
            "rebuild redis": ("rebuild", "redis", "--swap"),
            "audit": ("audit",),
            "audit of the topics alone": ("audit", "--topics-only"),
        }
        found: Report = {"jobs": jobs, "lines": [f"{jobs:,} jobs, {3 * jobs:,} records"]}
        for name, arguments in steps.items():
            say(name)
            told = found[name] = await asyncio.to_thread(_timed, on, arguments)
            found["lines"].append(
                f"{name:32}{told['wall_s']:8.1f} s {told['cpu_s']:8.1f} s CPU {told['peak_mb']:8,.0f} MB"
            )
        return found


def _timed(on: Infrastructure, arguments: tuple[str, ...]) -> Report:
    """Run a command of ours; its report, and what it took, start of the interpreter included. Blocks."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        began = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", "ops.cli.main", *arguments, "--json"],
            env=dict(on.environment), stdout=out, stderr=said,
        )  # fmt: skip
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.monotonic() - began
        out.seek(0)
        said.seek(0)
        if child.returncode:
            told = (said.read() or out.read()).decode()[-500:]
            raise RuntimeError(f"tierflow {' '.join(arguments)}: {told}")
        cpu_s, peak_mb = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        return {**json.load(out), "wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": peak_mb}


def _write(on: Infrastructure, jobs: int) -> None:
    settings = load(on.environment)
    create_topics(settings.kafka)
    migrate(settings.postgres.url.get_secret_value())
    topology, codec = Topology.of(settings.kafka), Codec()
    lane, lifecycle = topology.lane(Tier.CRITICAL, Lane.NORMAL), topology.lifecycle(Tier.CRITICAL)
    # Idempotent, so that the order holds that the requests' places are computed from.
    ordered = {**ONE_REQUEST, "partitioner": "murmur2_random", "linger.ms": 20, "enable.idempotence": True}
    producer = Producer({**settings.kafka.client(), **ordered})
    now, partitions = round(time.time() * 1000), settings.kafka.partitions
    for number in range(jobs):
        # A partition after the other, so that it is known where the request will stand.
        job = _job(number, now, topology.job_requests, number % partitions, number // partitions)
        _produce(producer, topology.job_requests, codec.encode(_request(job)), job, job.source_partition)
        _produce(producer, lane, codec.encode(job), job)
        _produce(producer, lifecycle, codec.encode(_history(job)), job)
    producer.flush()


def _produce(producer: Producer, topic: str, value: bytes, job: Job, partition: int = _ANY_PARTITION) -> None:
    while True:
        try:
            producer.produce(topic, value, job.ordering_key, partition)
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.1)


def _request(job: Job) -> JobRequest:
    return JobRequest(
        job.job_id, job.queue, job.type, job.data, job.accepted_at, ordering_key=job.ordering_key,
        user_id=job.user_id, tenant_id=job.tenant_id, request_id=job.request_id,
    )  # fmt: skip


def _job(number: int, now: int, requests: str, partition: int, offset: int) -> Job:
    return Job(
        job_id=f"job-{number}", series=0, queue="money", type="payment-process", tier=1, priority=5,
        data='{"amount": 1250, "currency": "EUR", "userId": "user-1", "venueId": "venue-1"}',
        data_hash=digest(str(number)), ordering_key=f"key-{number}", accepted_at=now, attempts=10,
        backoff="exponential", backoff_delay_ms=2_000, backoff_max_ms=300_000, backoff_jitter=True,
        timeout_ms=60_000, source_topic=requests, source_partition=partition, source_offset=offset,
        idempotency=digest("key", str(number)), idempotency_key=f"payment-{number}",
        tenant_id=f"tenant-{number % 1000}", user_id="user-1", request_id=f"request-{number}",
    )  # fmt: skip


def _history(job: Job) -> Lifecycle:
    at = job.accepted_at
    moves = [
        Transition(1, "waiting", "active", 1, at + 5),
        Transition(2, "active", "completed", 1, at + 30, result='{"success": true}'),
    ]
    return Lifecycle(
        job.job_id, 0, job.queue, job.type, 1, "worker-1", moves, at, None, job.user_id, job.tenant_id,
        job.request_id,
    )  # fmt: skip
