"""What the gateway is made of: everything it talks to, given to it by whoever starts it."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from litestar.connection import ASGIConnection
from prometheus_client import CollectorRegistry
from uuid_utils import uuid7

from connectors.gateway.identity import Verifier
from connectors.gateway.metrics import GatewayMetrics
from connectors.kafka.producer import Outgoing
from connectors.redis.status import CompletedKey
from connectors.redrive.ports import LetterStore
from connectors.redrive.service import Redrives
from connectors.views import JobView
from schemas.catalogue import JobType
from schemas.limits import GROUPS, ProviderLimit
from schemas.records import JobRequest, RateLimit
from streams.codec import Codec
from streams.core.orders import Orders
from streams.settings import GatewaySettings
from streams.topics import Topology


class Sender(Protocol):
    """Writes to Kafka; returns when the brokers have acknowledged. UnavailableError when they do not."""

    async def send(
        self, topic: str, key: bytes | None, value: bytes, headers: Mapping[str, bytes] | None = None
    ) -> None:
        """Write one record."""

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        """Write all records or none."""


class Status(Protocol):
    """The status of jobs; UnavailableError when it cannot be read."""

    async def accepted(self, request: JobRequest, job_type: JobType, ordering_key: str) -> None:
        """Show a job as waiting before anyone has seen it."""

    async def job(self, job_id: str) -> JobView | None:
        """The job, or None."""

    async def completed_by_key(self, digest: bytes) -> CompletedKey | None:
        """The job that completed under this idempotency digest."""

    async def counts(self, queue: str) -> dict[str, int]:
        """How many jobs are in each state."""

    async def samples(self, queue: str, state: str, limit: int) -> list[str]:
        """Ids of some jobs in a state."""

    async def forget(self, queue: str, state: str) -> None:
        """Count no job in this state, and show none, until more come into it."""


class Records(Protocol):
    """The durable records; UnavailableError when they cannot be read."""

    async def job(self, job_id: str) -> JobView | None:
        """A tier-1 job, or None."""


Probe = Callable[[], Awaitable[object]]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _new_id() -> str:
    return str(uuid7())


@dataclass(frozen=True, kw_only=True)
class Parts:
    """All of them.

    `available` are the kinds that have a handler; `missing_setting` names the setting without which jobs of a
    kind cannot run. `probes` (kafka, postgres, redis) return when the service answers and raise when not.
    `orders` are the operators' orders as they stand, `rate_limits` the limiter's rows by group, both kept up
    to date by whoever made the parts.
    """

    settings: GatewaySettings
    topology: Topology
    codec: Codec
    verifier: Verifier
    producer: Sender
    status: Status
    records: Records
    letters: LetterStore
    redrives: Redrives
    available: frozenset[str]
    missing_setting: Callable[[str], str | None]
    probes: Mapping[str, Probe]
    registry: CollectorRegistry
    orders: Orders = field(default_factory=Orders)
    limits: Mapping[str, ProviderLimit] = field(default_factory=lambda: GROUPS)
    rate_limits: Mapping[str, RateLimit] = field(default_factory=dict)
    loopback_only: bool = False
    cors_origins: tuple[str, ...] = ()
    now_ms: Callable[[], int] = _now_ms
    new_id: Callable[[], str] = _new_id
    metrics: GatewayMetrics = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", GatewayMetrics(self.registry))


def parts_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Parts:
    """The parts of the application that serves this request."""
    parts: Parts = connection.app.state["parts"]
    return parts
