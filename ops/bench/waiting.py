"""Jobs that stand in their lane before a worker starts."""

import time

from ops.bench import load, offsets
from ops.bench.infrastructure import Infrastructure
from schemas.priorities import Lane
from schemas.tiers import Tier
from streams.settings import Settings
from streams.topics import Topology

_LIMIT_S = 900.0


def fill(
    on: Infrastructure, settings: Settings, made: load.Requests, lane: Lane, partitions: int, already: int = 0
) -> None:
    """Produce jobs of tier 2 and wait until all of them, and what was there already, stand in the lane."""
    topology, wanted = Topology.of(settings.kafka), already + len(made.records)
    load.produce(load.connect(settings.kafka), topology.job_requests, made.records)
    asking = offsets.reader(on.bootstrap, on.name("bench"))
    deadline = time.monotonic() + _LIMIT_S
    try:
        while offsets.written(asking, topology.lane(Tier.IMPORTANT, lane), partitions) < wanted:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{wanted} jobs were not routed in {_LIMIT_S:.0f} s")
            time.sleep(0.2)
    finally:
        asking.close()
