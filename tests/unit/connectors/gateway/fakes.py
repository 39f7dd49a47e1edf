"""In-memory stand-ins for what the gateway talks to, and the application built on them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from litestar import Litestar
from litestar.testing import AsyncTestClient
from prometheus_client import CollectorRegistry

from connectors.gateway.app import create_app
from connectors.gateway.identity import Role, TokenVerifier, Verifier
from connectors.gateway.keys import SharedSecret
from connectors.gateway.parts import Parts
from connectors.gateway.tokens import make_token
from connectors.kafka.producer import Outgoing
from connectors.redis.status import CompletedKey
from connectors.redrive.runner import Runner
from connectors.redrive.service import Redrives
from connectors.views import JobView
from schemas.catalogue import JobType
from schemas.errors import UnavailableError
from schemas.records import DeadLetter, Event, JobRequest, RateLimit
from streams.codec import Codec
from streams.core.orders import Orders
from streams.settings import GatewaySettings
from streams.topics import Topology
from tests.unit.connectors.redrive.memory import MemoryLetters

NOW_MS = 1_800_000_000_000
SECRET = "a secret that is long enough for a test"
API = "/api/v1/queue"
KINDS = frozenset({"payment-process", "send-email", "formula_calculation", "coding-task", "cell_update"})
LONG_AGO_S = 1_700_000_000
FAR_FUTURE_S = 4_000_000_000
CODEC = Codec()


class MemoryProducer:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.batches: list[int] = []
        self.away = False

    async def send(
        self, topic: str, key: bytes | None, value: bytes, headers: Mapping[str, bytes] | None = None
    ) -> None:
        await self.send_all([Outgoing(topic, key, value, headers or {})])

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        if self.away:
            raise UnavailableError("Kafka does not answer", retry_after_s=2)
        self.sent += records
        self.batches.append(len(records))

    @property
    def requests(self) -> list[JobRequest]:
        return [CODEC.decode(JobRequest, r.value) for r in self.sent if r.topic.endswith("job-requests")]

    @property
    def events(self) -> list[Event]:
        return [CODEC.decode(Event, r.value) for r in self.sent if r.topic.endswith("events")]


class MemoryStatus:
    """A status store that can be away."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobView] = {}
        self.completed: dict[bytes, CompletedKey] = {}
        self.by_state: dict[tuple[str, str], list[str]] = {}
        self.shown: list[str] = []
        self.asked = 0
        self.away = False

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise UnavailableError("Redis does not answer")

    async def accepted(self, request: JobRequest, job_type: JobType, ordering_key: str) -> None:
        self._ask()
        self.shown.append(request.job_id)

    async def job(self, job_id: str) -> JobView | None:
        self._ask()
        return self.jobs.get(job_id)

    async def completed_by_key(self, digest: bytes) -> CompletedKey | None:
        self._ask()
        return self.completed.get(digest)

    async def counts(self, queue: str) -> dict[str, int]:
        self._ask()
        return {state: len(ids) for (name, state), ids in self.by_state.items() if name == queue}

    async def samples(self, queue: str, state: str, limit: int) -> list[str]:
        self._ask()
        return self.by_state.get((queue, state), [])[:limit]

    async def forget(self, queue: str, state: str) -> None:
        self._ask()
        self.by_state.pop((queue, state), None)


class MemoryRecords:
    """Durable records that can be away; remembers what was asked."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobView] = {}
        self.away = False

    async def job(self, job_id: str) -> JobView | None:
        if self.away:
            raise UnavailableError("Postgres does not answer")
        return self.jobs.get(job_id)


@dataclass
class Gateway:
    """An application on fakes, and a client of it."""

    producer: MemoryProducer = field(default_factory=MemoryProducer)
    status: MemoryStatus = field(default_factory=MemoryStatus)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    letters: MemoryLetters = field(default_factory=MemoryLetters)
    services_down: set[str] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)
    verifier: Verifier = field(default_factory=lambda: TokenVerifier(SharedSecret(SECRET)))
    settings: GatewaySettings = field(default_factory=lambda: GatewaySettings.model_validate({}))
    rate_limits: dict[str, RateLimit] = field(default_factory=dict)
    loopback_only: bool = False
    cors_origins: tuple[str, ...] = ()
    orders: Orders = field(default_factory=Orders)

    def app(self) -> Litestar:
        topology = Topology("t.", 4, 1, 1)
        runner = Runner(
            self.letters,
            self._send,
            self.status.job,
            topology,
            CODEC,
            "gateway",
            sleep=lambda _: asyncio.sleep(0),
        )  # fmt: skip
        return create_app(
            Parts(
                settings=self.settings,
                topology=topology,
                codec=CODEC,
                verifier=self.verifier,
                producer=self.producer,
                status=self.status,
                records=self.records,
                letters=self.letters,
                redrives=Redrives(self.letters, runner, "gateway", lambda: f"run-{len(self.letters.known)}"),
                available=KINDS,
                missing_setting=self.missing.get,
                probes={name: self._probe(name) for name in ("kafka", "postgres", "redis")},
                registry=CollectorRegistry(),
                orders=self.orders,
                rate_limits=self.rate_limits,
                loopback_only=self.loopback_only,
                cors_origins=self.cors_origins,
                now_ms=lambda: NOW_MS,
            )
        )

    def client(self, base_url: str = "http://testserver.local") -> AsyncTestClient[Litestar]:
        return AsyncTestClient(self.app(), base_url=base_url)

    async def _send(self, record: Outgoing) -> None:
        await self.producer.send_all([record])

    def _probe(self, name: str) -> Any:
        async def probe() -> None:
            if name in self.services_down:
                raise UnavailableError(f"{name} does not answer")

        return probe


def bearer(role: Role = Role.ADMIN, user: str = "ada", *tenants: str) -> dict[str, str]:
    token = make_token(
        SECRET, subject=user, role=role, tenants=tenants, now_s=LONG_AGO_S, ttl_s=FAR_FUTURE_S - LONG_AGO_S
    )
    return {"Authorization": f"Bearer {token}"}


def formula(document: str = "d1", **members: Any) -> dict[str, Any]:
    data = {"documentId": document, "userId": "ada", "cellId": "A1", "formula": "=1+1"}
    return {"queue": "robot", "type": "formula_calculation", "data": data, **members}


VENUE = "11111111-1111-4111-8111-111111111111"
USER = "22222222-2222-4222-8222-222222222222"


def payment(amount: int = 100, **members: Any) -> dict[str, Any]:
    data = {
        "userId": USER,
        "venueId": VENUE,
        "eventId": "33333333-3333-4333-8333-333333333333",
        "amount": amount,
        "paymentMethod": "pm_1",
    }
    return {"queue": "money", "type": "payment-process", "data": data, **members}


def view(job_id: str, **members: Any) -> JobView:
    given: dict[str, Any] = {
        "job_id": job_id, "series": 0, "queue": "robot", "type": "formula_calculation", "tier": 2,
        "state": "waiting", "accepted_at": NOW_MS, "user_id": "ada", "tenant_id": "acme",
    }  # fmt: skip
    return JobView(**{**given, **members})


def letter(**members: Any) -> DeadLetter:
    given: dict[str, Any] = {
        "letter_id": "l-1", "tier": 1, "source_topic": "tier-1.urgent", "source_partition": 2,
        "source_offset": 7, "key": b"k", "value": b"secret bytes", "headers": {},
        "error_class": "card_declined", "message": "declined", "fingerprint": "f",
        "first_failed_at": NOW_MS, "last_failed_at": NOW_MS,
    }  # fmt: skip
    return DeadLetter(**{**given, **members})
