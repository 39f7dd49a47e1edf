"""A rolling restart of all roles under load, as a deployment does it: two of each, one after the other.

`python -m tests.chaos.rolling`: no request fails twice, no tier stands still for long.
"""

import contextlib
import itertools
import os
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from connectors.kafka.registry import codec
from ops.demo.observer import Observer
from ops.stack.health import ask
from ops.stack.roles import ROLES
from schemas.tiers import Tier
from streams.settings import KafkaSettings, load
from tests.chaos.surroundings import PARTITIONS, Kept
from tests.integration.agents.emulators import emulator, free_port
from tests.stack import TestStack, clean_environment

WARM_S, BETWEEN_S, READY_LIMIT_S = 5.0, 1.0, 60.0
PERIOD_S, RETRY_AFTER_S = 0.05, 1.0
# One job in turn for each tier; each says in its data which it is.
KINDS = ((Tier.CRITICAL, "money"), (Tier.IMPORTANT, "robot"), (Tier.EPHEMERAL, "background"))


@dataclass
class Outcome:
    """`failed` requests after one retry; `still_s` the longest time in which no job of a tier ended."""

    sent: int = 0
    retried: int = 0
    failed: list[str] = field(default_factory=list)
    accepted: dict[str, int] = field(default_factory=dict)
    still_s: dict[int, float] = field(default_factory=dict)
    lost: int = 0
    twice: int = 0
    restarts: list[str] = field(default_factory=list)


@dataclass
class Fleet:
    """The stack and a second replica of each role."""

    stack: TestStack
    replicas: dict[str, Kept]
    addresses: dict[str, str]
    kafka: KafkaSettings

    def restart_one_by_one(self) -> Iterator[str]:
        """SIGTERM each process and wait until its successor is ready; tells each."""
        for role in ROLES:
            for name in (role.name, f"{role.name}-b"):
                began = time.monotonic()
                before = self._pid(name)
                os.kill(before, signal.SIGTERM)
                while self._pid(name) in (0, before) or ask(self._health(name)) is not None:
                    if time.monotonic() - began > READY_LIMIT_S:
                        raise TimeoutError(f"{name} did not come back")
                    time.sleep(0.1)
                yield f"{name}: {time.monotonic() - began:.1f} s"
                time.sleep(BETWEEN_S)

    def _pid(self, name: str) -> int:
        if name in self.replicas:
            return self.replicas[name].pid
        return self.stack.part(name).pid or 0

    def _health(self, name: str) -> str:
        """Where this very process answers: on the port that two gateways share, the other one would."""
        if name in self.addresses:
            return self.addresses[name]
        pairs = Path(f"/proc/{self._pid(name)}/environ").read_bytes().split(b"\0")
        port = dict(pair.partition(b"=")[::2] for pair in pairs)[b"TIERFLOW_METRICS_PORT"]
        return f"http://127.0.0.1:{port.decode()}/health/ready"


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Two of each role, ready."""
    with contextlib.ExitStack() as ends:
        port = free_port()
        ends.enter_context(emulator("stripe", f"http://127.0.0.1:{port}/_control", "--port", str(port)))
        settings = {
            "STRIPE_SECRET_KEY": "sk_test_rolling",
            "STRIPE_API_BASE": f"http://127.0.0.1:{port}",
            "TIERFLOW_SHARED_PORT": "true",
        }
        stack = TestStack(folder / "stack", "--partitions", str(PARTITIONS), environment=settings)
        ends.enter_context(stack)
        state = stack.state
        assert state.gateway_url is not None
        shared = clean_environment(settings) | {
            "KAFKA_BOOTSTRAP_SERVERS": state.kafka_bootstrap, "DATABASE_URL": state.database_url,
            "REDIS_URL": state.redis_url, "TIERFLOW_PARTITIONS": str(PARTITIONS), "TIERFLOW_REPLICATION": "1",
            "TIERFLOW_AUTH": "open", "TIERFLOW_PORT": state.gateway_url.rpartition(":")[2],
        }  # fmt: skip
        replicas: dict[str, Kept] = {}
        addresses: dict[str, str] = {}
        for role in ROLES:
            name, metrics = f"{role.name}-b", free_port()
            own = {
                "TIERFLOW_INSTANCE": name, "TIERFLOW_METRICS_PORT": str(metrics),
                "TIERFLOW_DATA_DIR": str(folder / name),
            }  # fmt: skip
            command = (sys.executable, "-m", "ops.cli.main", *role.args)
            kept = Kept(command, folder / f"{name}.log", shared | own, pause_s=0.0)
            replicas[name] = ends.enter_context(kept.running())
            addresses[name] = f"http://127.0.0.1:{metrics}/health/ready"
        _wait(addresses)
        kafka = load({k: v for k, v in shared.items() if k.startswith(("KAFKA_", "TIERFLOW_P"))}).kafka
        yield Fleet(stack, replicas, addresses, kafka)


def _wait(addresses: dict[str, str]) -> None:
    deadline = time.monotonic() + READY_LIMIT_S
    for name, address in addresses.items():
        while (reason := ask(address)) is not None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is not ready: {reason}")
            time.sleep(0.1)


def rolling_restart(folder: Path) -> Outcome:
    """Do it, under load from before the first restart until after the last."""
    outcome, stop = Outcome(), threading.Event()
    with fleet(folder) as all_of_it:
        observer = Observer(all_of_it.kafka, codec(all_of_it.kafka))
        observer.start()
        url = f"{all_of_it.stack.state.gateway_url}/api/v1/queue/jobs"
        sending = threading.Thread(target=_send, args=(url, outcome, stop))
        sending.start()
        time.sleep(WARM_S)
        try:
            for line in all_of_it.restart_one_by_one():
                outcome.restarts.append(line)
        finally:
            stop.set()
            sending.join()
        deadline = time.monotonic() + 30.0
        while observer.ended(outcome.accepted) < len(outcome.accepted) and time.monotonic() < deadline:
            time.sleep(0.2)
        observer.close()
    _count(outcome, observer)
    return outcome


def _send(url: str, outcome: Outcome, stop: threading.Event) -> None:
    """Twenty jobs a second, one of each tier in turn, each on a connection of its own, as strangers would."""
    began = time.monotonic()
    while not stop.is_set():
        number = outcome.sent
        outcome.sent += 1
        time.sleep(max(0.0, began + number * PERIOD_S - time.monotonic()))
        tier, queue = KINDS[number % len(KINDS)]
        job_id = str(uuid.uuid4())
        body = {"queue": queue, "jobId": job_id, **_job(tier)}
        answer = _post(url, body)
        if answer is None:
            outcome.retried += 1
            time.sleep(RETRY_AFTER_S)
            answer = _post(url, body)
        if answer is None or answer.status_code not in (200, 201):
            outcome.failed.append("no answer" if answer is None else answer.text[:200])
        else:
            outcome.accepted[job_id] = tier


def _post(url: str, body: dict[str, object]) -> httpx.Response | None:
    try:
        answer = httpx.post(url, json=body, timeout=10.0, trust_env=False)
    except httpx.HTTPError:
        return None
    return None if answer.status_code >= 500 else answer


def _job(tier: Tier) -> dict[str, object]:
    one = str(uuid.uuid4())
    match tier:
        case Tier.CRITICAL:
            data: dict[str, object] = {"userId": one, "venueId": one, "eventId": one, "amount": 100}
            return {"type": "payment-process", "data": data | {"paymentMethod": "pm_card_visa"}}
        case Tier.IMPORTANT:
            data = {
                "documentId": one,
                "userId": "rolling",
                "cellIds": ["A1"],
                "rules": [{"type": "required"}],
            }
            return {"type": "validation", "data": data}
        case Tier.EPHEMERAL:
            data = {"eventType": f"rolling-{one}", "timestamp": "2026-01-01T00:00:00Z"}
            return {"type": "analytics-track", "data": data}


def _count(outcome: Outcome, observer: Observer) -> None:
    seen = {job_id: observer.jobs.get(job_id) for job_id in outcome.accepted}
    outcome.lost = sum(job is None or not job.ends for job in seen.values())
    outcome.twice = sum(job is not None and job.ends > 1 for job in seen.values())
    for tier in Tier:
        times = sorted(j.ended_at for j in seen.values() if j and j.tier == tier and j.ended_at is not None)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        outcome.still_s[tier.value] = max(gaps, default=0) / 1000


def main() -> None:
    """Do it and print; exit status 1 when a request failed, a job was lost or a tier stood still."""
    with tempfile.TemporaryDirectory(prefix="tierflow-rolling-") as folder:
        outcome = rolling_restart(Path(folder))
    print("\n".join(outcome.restarts))
    still = ", ".join(f"tier {tier} {gap:.1f} s" for tier, gap in outcome.still_s.items())
    print(
        f"{outcome.sent} requests, {outcome.retried} sent twice, {len(outcome.failed)} failed; "
        f"{outcome.lost} lost, {outcome.twice} ended twice; longest standstill: {still}"
    )
    bad = outcome.failed or outcome.lost or outcome.twice or max(outcome.still_s.values()) > 5
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
