"""`tierflow bench latency`: from a job's POST to the start of its handler on an idle stack, hop by hop.

All processes run on this machine and share CLOCK_REALTIME. The handler returns when it started; a reader of
our own notes when a record became readable to everyone, which is when its transaction was committed.
"""

import asyncio
import http.client
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ops.bench.infrastructure import infrastructure
from ops.bench.role_process import STARTED
from ops.bench.roles import Running, roles
from ops.bench.tail import Tail
from ops.stack.prepare import create_topics, migrate
from ops.stack.progress import Say
from schemas.priorities import Lane
from schemas.records import Job, JobRequest, Lifecycle
from schemas.tiers import Tier
from streams.codec import Codec
from streams.settings import Settings
from streams.settings import load as load_settings
from streams.topics import Topology

ROLES = ("router", "worker-1", "worker-2", "worker-3", "sink", "gateway")
REPLACED = {"worker-2": ("worker", "started")}
PER_S = 10.0
WARM_UP = 30
SETTLE_LIMIT_S = 30.0
WANTED_P50_MS, WANTED_P99_MS = 20.0, 100.0
PATH = "/api/v1/queue/jobs"


@dataclass(frozen=True)
class Sent:
    """A request as the client saw it, in nanoseconds since the epoch."""

    job_id: str
    at: int
    answered: int


async def run(requests: int, say: Say) -> dict[str, Any]:
    """Percentiles in milliseconds of the whole way and of each hop."""
    async with infrastructure(say) as on:
        settings = load_settings(on.environment)
        await asyncio.to_thread(create_topics, on.environment)
        await asyncio.to_thread(migrate, on.environment)
        async with roles(on, ROLES, REPLACED, profile=False) as running:
            say(f"latency: {requests} requests, {PER_S:.0f} a second")
            measured = await _measure(settings, running, requests)
    figures = {name: percentiles(values) for name, values in measured.items()}
    whole = figures["submit to handler start"]
    reached = whole["p50"] <= WANTED_P50_MS and whole["p99"] <= WANTED_P99_MS
    return {
        "requests": requests,
        "hops_ms": figures,
        "wanted_ms": {"p50": WANTED_P50_MS, "p99": WANTED_P99_MS},
        "reached": reached,
        "lines": _table(figures, requests, reached),
    }


async def _measure(settings: Settings, running: Running, requests: int) -> dict[str, list[float]]:
    topology = Topology.of(settings.kafka)
    topics = [
        topology.job_requests,
        topology.lane(Tier.IMPORTANT, Lane.NORMAL),
        topology.lifecycle(Tier.IMPORTANT),
    ]
    tail = Tail(settings.kafka.bootstrap_servers, topics, settings.kafka.partitions)
    tail.start()
    try:
        warm_up = min(WARM_UP, requests)
        await asyncio.to_thread(_send, running.gateway_url, warm_up)
        sent = await asyncio.to_thread(_send, running.gateway_url, requests)
        await _settled(tail, len(topics) * (warm_up + requests))
    finally:
        await asyncio.to_thread(tail.stop)
    return hops(sent, tail.seen, topics)


async def _settled(tail: Tail, records: int) -> None:
    """Return when every request has left its record in every topic."""
    deadline = time.monotonic() + SETTLE_LIMIT_S
    while len(tail.seen) < records:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(tail.seen)} records instead of {records} after {SETTLE_LIMIT_S:.0f} s")
        await asyncio.sleep(0.05)


def _send(url: str, requests: int) -> list[Sent]:
    """One request after the other over one connection, each at its time. Blocks."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    sent, first = [], time.monotonic()
    try:
        for number in range(requests):
            time.sleep(max(0.0, first + number / PER_S - time.monotonic()))
            sent.append(_post(connection, number))
    finally:
        connection.close()
    return sent


def _post(connection: http.client.HTTPConnection, number: int) -> Sent:
    data = {
        "documentId": f"document-{number % 50}",
        "userId": "bench",
        "cellIds": ["A1"],
        "rules": [{"type": "required"}],
    }
    body = msgspec.json.encode({"queue": "robot", "type": "validation", "data": data})
    at = time.time_ns()
    connection.request("POST", PATH, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    answered = time.time_ns()
    if answer.status != 201:
        raise RuntimeError(f"POST {PATH}: {answer.status} {text[:300].decode(errors='replace')}")
    return Sent(msgspec.json.decode(text)["jobId"], at, answered)


def hops(sent: list[Sent], seen: list[tuple[str, int, bytes]], topics: list[str]) -> dict[str, list[float]]:
    """Milliseconds of each request, by hop. `seen`: topic, moment, value; `topics` in a job's order."""
    codec = Codec()
    requested = {codec.decode(JobRequest, v).job_id: at for topic, at, v in seen if topic == topics[0]}
    routed = {codec.decode(Job, v).job_id: at for topic, at, v in seen if topic == topics[1]}
    started = dict(_started(codec, v) for topic, _, v in seen if topic == topics[2])
    found: dict[str, list[tuple[int, int]]] = {
        "submit to handler start": [(one.at, started[one.job_id]) for one in sent],
        "1 gateway: to the request readable": [(one.at, requested[one.job_id]) for one in sent],
        "2 router: to the job readable": [(requested[one.job_id], routed[one.job_id]) for one in sent],
        "3 worker: to the handler start": [(routed[one.job_id], started[one.job_id]) for one in sent],
        "(submit to its 201)": [(one.at, one.answered) for one in sent],
    }
    return {name: [(after - before) / 1e6 for before, after in pairs] for name, pairs in found.items()}


def _started(codec: Codec, value: bytes) -> tuple[str, int]:
    record = codec.decode(Lifecycle, value)
    result = next(t.result for t in reversed(record.transitions) if t.result is not None)
    return record.job_id, int(msgspec.json.decode(result)["data"][STARTED])


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p90, p99 and the largest, by nearest rank."""
    ordered = sorted(values)
    ranks = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)], 2)
        for name, share in ranks.items()
    }


def _table(figures: dict[str, dict[str, float]], requests: int, reached: bool) -> list[str]:
    heads = ("p50", "p90", "p99", "max")
    lines = [f"{f'{requests} requests, {PER_S:.0f}/s, ms':38}" + "".join(f"{head:>9}" for head in heads)]
    lines += [
        f"{name:38}" + "".join(f"{values[head]:>9.1f}" for head in heads) for name, values in figures.items()
    ]
    verdict = "reached" if reached else "MISSED"
    return [*lines, f"wanted: p50 <= {WANTED_P50_MS:.0f} ms, p99 <= {WANTED_P99_MS:.0f} ms: {verdict}"]
