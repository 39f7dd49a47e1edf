"""Every Kafka topic, declared once: name, partitions, retention, cleanup, acks, key, record."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from schemas import records
from schemas.priorities import Lane
from schemas.tiers import DAY_MS, POLICIES, Tier
from streams.settings import KafkaSettings

# A store that was detached for less than this finds every tombstone it missed (KIP-1259).
TOMBSTONES_KEPT_MS = 7 * DAY_MS
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `keyed` topics share one partition count, so that one worker owns partition p of all."""

    name: str
    record: type | None
    key: str
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int = 7 * DAY_MS
    keyed: bool = True
    full_acks: bool = True
    log_time: bool = False
    """The broker's clock stamps the records, not the producer's."""

    def config(self, min_in_sync: int) -> dict[str, str]:
        """Its settings at the broker."""
        common = {
            "cleanup.policy": self.cleanup,
            "min.insync.replicas": str(min_in_sync if self.full_acks else 1),
        }
        if self.log_time:
            common["message.timestamp.type"] = "LogAppendTime"
        if self.cleanup == "delete":
            return {**common, "retention.ms": str(self.retention_ms)}
        return {
            **common,
            "delete.retention.ms": str(TOMBSTONES_KEPT_MS),
            "segment.ms": "3600000",
            "segment.bytes": str(64 << 20),
        }


@dataclass(frozen=True, slots=True)
class Topology:
    """All topics under one prefix."""

    prefix: str
    partitions: int
    replication: int
    min_in_sync: int

    @classmethod
    def of(cls, kafka: KafkaSettings) -> "Topology":
        """The topology that the settings ask for."""
        return cls(kafka.topic_prefix, kafka.partitions, kafka.replication, kafka.min_in_sync)

    @property
    def events(self) -> str:
        """Frontend events, key documentId."""
        return f"{self.prefix}events"

    @property
    def job_requests(self) -> str:
        """Jobs as producers ask for them."""
        return f"{self.prefix}job-requests"

    def lane(self, tier: Tier, lane: Lane) -> str:
        """A tier topic, which only the router writes."""
        return f"{self.prefix}tier-{tier.value}.{lane.label}"

    def lanes(self, tier: Tier) -> list[str]:
        """The tier topics of a tier, most urgent first."""
        return [self.lane(tier, lane) for lane in Lane]

    def retry(self, tier: Tier) -> str:
        """The changelog of the table of parked jobs."""
        return f"{self.prefix}tier-{tier.value}.retry"

    def idempotency(self, tier: Tier) -> str:
        """The changelog of the idempotency table."""
        return f"{self.prefix}tier-{tier.value}.idempotency"

    @property
    def documents(self) -> str:
        """The changelog of the table of document cells."""
        return f"{self.prefix}documents"

    def dead_letters(self, tier: Tier) -> str:
        """Dead letters of a tier's jobs."""
        return f"{self.prefix}dlq.tier-{tier.value}"

    @property
    def ingress_dead_letters(self) -> str:
        """Records that are no events and no jobs."""
        return f"{self.prefix}dlq.ingress"

    @property
    def all_dead_letters(self) -> list[str]:
        """Every dead-letter topic."""
        return [*map(self.dead_letters, Tier), self.ingress_dead_letters]

    def lifecycle(self, tier: Tier) -> str:
        """Every transition of a tier's jobs, in the partition of the job."""
        return f"{self.prefix}lifecycle.tier-{tier.value}"

    @property
    def router_positions(self) -> str:
        """The changelog of the router's positions: should the group's offsets be forgotten, these count."""
        return f"{self.prefix}router.positions"

    @property
    def live_updates(self) -> str:
        """What browsers should hear, key documentId."""
        return f"{self.prefix}live-updates"

    @property
    def control(self) -> str:
        """Operators' orders to every worker."""
        return f"{self.prefix}control"

    @property
    def limit_requests(self) -> str:
        """What workers hold and want of the providers' limits, and operators' stops; key: the group."""
        return f"{self.prefix}limit-requests"

    @property
    def limit_grants(self) -> str:
        """What the limiter gives, in the partition of the group's requests; every worker reads all of it."""
        return f"{self.prefix}limit-grants"

    @property
    def rate_limits(self) -> str:
        """The changelog of the table of provider groups."""
        return f"{self.prefix}rate-limits"

    def topics(self) -> list[Topic]:
        """All of them."""
        return list(self._topics())

    def _topics(self) -> Iterator[Topic]:
        yield Topic(self.events, records.Event, "documentId")
        yield Topic(self.job_requests, records.JobRequest, "ordering key", retention_ms=30 * DAY_MS)
        for tier in Tier:
            yield from self._tier_topics(tier)
        yield Topic(self.ingress_dead_letters, records.DeadLetter, "as produced", retention_ms=90 * DAY_MS)
        yield Topic(self.router_positions, None, "source topic", "compact")
        yield Topic(self.documents, records.Cell, "documentId, cell", "compact")
        yield Topic(self.live_updates, records.LiveUpdate, "documentId", retention_ms=DAY_MS, full_acks=False)
        yield Topic(self.control, records.Control, "queue", "compact", keyed=False)
        yield Topic(self.limit_requests, records.LimitRequest, "group", retention_ms=HOUR_MS, log_time=True)
        yield Topic(self.limit_grants, records.LimitGrant, "worker", retention_ms=HOUR_MS)
        yield Topic(self.rate_limits, records.RateLimit, "group", "compact")

    def _tier_topics(self, tier: Tier) -> Iterator[Topic]:
        policy = POLICIES[tier]
        for lane in self.lanes(tier):
            yield Topic(
                lane,
                records.Job,
                "ordering key",
                retention_ms=policy.retention_ms,
                full_acks=policy.full_acks,
            )
        yield Topic(self.retry(tier), records.Parked, "ordering key, lane, offset", "compact")
        yield Topic(self.idempotency(tier), records.IdempotencyEntry, "digest", "compact")
        yield Topic(self.dead_letters(tier), records.DeadLetter, "ordering key", retention_ms=90 * DAY_MS)
        yield Topic(
            self.lifecycle(tier),
            records.Lifecycle,
            "ordering key",
            retention_ms=policy.lifecycle_retention_ms,
        )
