"""Jobs of 10 ms over 1,000 keys on one partition, against doing one after the other.

They stand in their lane before the worker starts: how many it does at a time is the question, not how fast a
router fills the lane beside it. All else runs as in production, on the same machine.
"""

import asyncio
from typing import Any

from ops.bench import load
from ops.bench.infrastructure import infrastructure
from ops.bench.roles import roles
from ops.bench.waiting import fill
from ops.stack.prepare import create_topics, migrate
from ops.stack.progress import Say
from schemas.priorities import Lane
from schemas.tiers import Tier
from streams.codec import Codec
from streams.settings import load as load_settings
from streams.topics import Topology

NAME = "jobs of 10 ms over 1,000 keys on one partition, all there before the worker"
KEYS = 1_000
TIMES_SERIAL = 100
LIMIT_S = 300.0
# Normal jobs may take nine tenths of the slots: as many as there are keys.
_SLOTS = {"TIERFLOW_CONCURRENCY": "1200"}
_REPLACED = {"router": ("router",), "worker-2": ("worker", "short")}


async def run(count: int, say: Say) -> dict[str, Any]:
    """How many times as fast as one after the other they end, from the first end to the last."""
    codec = Codec()
    made = load.requests(count, codec, keys=KEYS)
    async with infrastructure(say, partitions=1) as on:
        settings = load_settings(on.environment)
        await asyncio.to_thread(create_topics, on.environment)
        await asyncio.to_thread(migrate, on.environment)
        async with roles(on, ("router", "sink"), _REPLACED, profile=False):
            await asyncio.to_thread(fill, on, settings, made, Lane.NORMAL, 1)
            lifecycle = Topology.of(settings.kafka).lifecycle(Tier.IMPORTANT)
            reader = await asyncio.to_thread(
                load.Drain.begin, on.bootstrap, on.name("bench"), lifecycle, 1
            )  # fmt: skip
            try:
                async with roles(on, ("worker-2",), _REPLACED, profile=False, extra=_SLOTS):
                    await asyncio.to_thread(reader.until_ended, made.ids, codec, LIMIT_S)
            finally:
                reader.close()
    (first_at, first), (last_at, last) = reader.pace[0], reader.pace[-1]
    rate = (last - first) / (last_at - first_at)
    times, wrong = round(rate * load.SHORT_S, 1), reader.out_of_order(made.keys, codec)
    reached = "reached" if times >= TIMES_SERIAL else "MISSED"
    return {
        "jobs_per_s": round(rate),
        "times_serial": times,
        "out_of_order": wrong,
        "lines": [
            f"{NAME}: {rate:,.0f} jobs/s, {times} times as fast as one after the other",
            f"  wanted {TIMES_SERIAL} times: {reached}; ended out of their key's order: {wrong}",
        ],
    }
