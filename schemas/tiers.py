"""The three tiers and what each promises (durability, retention, default retry)."""

from dataclasses import dataclass
from enum import IntEnum

from schemas.retry import RetryPolicy

DAY_MS = 24 * 3600 * 1000


class Tier(IntEnum):
    """How durable a record must be."""

    CRITICAL = 1
    IMPORTANT = 2
    EPHEMERAL = 3


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """What a tier promises.

    `retention_ms` is how long the tier topics keep a record, `lifecycle_retention_ms` its history.
    `full_acks` asks every in-sync replica to hold a record before it counts as accepted.
    """

    name: str
    retention_ms: int
    lifecycle_retention_ms: int
    full_acks: bool
    retry: RetryPolicy


POLICIES = {
    # 365 days, not 90: Postgres is rebuilt from these topics, and NFT jobs are kept a year.
    Tier.CRITICAL: TierPolicy(
        "critical", 365 * DAY_MS, 365 * DAY_MS, True,
        RetryPolicy("exponential", attempts=10, delay_ms=2_000, max_delay_ms=300_000),
    ),
    Tier.IMPORTANT: TierPolicy(
        "important", 30 * DAY_MS, 30 * DAY_MS, True,
        RetryPolicy("fixed", attempts=3, delay_ms=5_000, max_delay_ms=5_000, jitter=False),
    ),
    Tier.EPHEMERAL: TierPolicy(
        "ephemeral", DAY_MS, DAY_MS, False,
        RetryPolicy("fixed", attempts=2, delay_ms=10_000, max_delay_ms=10_000, jitter=False),
    ),
}  # fmt: skip
