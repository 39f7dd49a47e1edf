"""Which group reads which topics, and where its positions are kept: what lag is measured against."""

from dataclasses import dataclass

from connectors.postgres import sink as postgres
from connectors.redis import projector as redis
from schemas.tiers import Tier
from streams.topics import Topology


@dataclass(frozen=True, slots=True)
class Reader:
    """A consumer group. `kept_in` names the store whose positions are the truth; None: the group's own."""

    group: str
    topics: tuple[str, ...]
    kept_in: str | None = None


def readers(topology: Topology) -> list[Reader]:
    """Every group of an installation, also one that has never run."""
    prefix = topology.prefix
    return [
        Reader(f"{prefix}router", (topology.events, topology.job_requests)),
        Reader(f"{prefix}limiter", (topology.limit_requests,)),
        *(Reader(f"{prefix}worker-{tier.value}", tuple(topology.lanes(tier))) for tier in Tier),
        Reader(f"{prefix}{postgres.GROUP}", tuple(postgres.record_types(topology)), "postgres"),
        Reader(f"{prefix}{redis.GROUP}", tuple(redis.record_types(topology)), "redis"),
    ]
