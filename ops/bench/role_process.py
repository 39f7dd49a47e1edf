"""A role as in production but for its handlers: `python -m ops.bench.role_process router|worker`.

The handlers of the worker are replaced through composition: one that does nothing, says when it started,
waits for 10 ms, or never ends. TIERFLOW_BENCH_PROFILE names a file for the samples of the loop's thread;
SIGUSR1 begins and SIGUSR2 ends the sampling.
"""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from agents.context import Context
from agents.handlers.registry import Handler, Result
from ops import compose, probe, role
from ops.bench.load import ROW, SHORT_S
from ops.bench.sampling import Sampler
from schemas.catalogue import JOB_TYPES, declare
from schemas.tiers import Tier
from streams.settings import load

PROFILE = "TIERFLOW_BENCH_PROFILE"
STARTED = "startedNs"


async def started(context: Context, data: Any) -> Result:
    """Do nothing but say when the handler started, by the clock that all processes of a machine share."""
    return {STARTED: time.time_ns()}


async def nothing(context: Context, data: Any) -> Result:
    """Do nothing."""
    return None


async def short(context: Context, data: Any) -> Result:
    """Wait for 10 ms, as for a provider."""
    await asyncio.sleep(SHORT_S)
    return None


async def endless(context: Context, data: Any) -> Result:
    """Stay in flight."""
    await asyncio.get_running_loop().create_future()
    return None


HANDLERS = {"nothing": nothing, "started": started, "short": short, "endless": endless}


def main(name: str, handler: str = "nothing", tier: str = "2") -> None:
    """Run the role until SIGTERM."""
    declare(ROW)
    settings, metrics = load(), probe.registry()
    handlers = {kind: Handler(kind, HANDLERS[handler]) for kind in JOB_TYPES}
    path = os.environ.get(PROFILE)
    sampler = Sampler() if path else None
    if sampler:
        signal.signal(signal.SIGUSR1, lambda *_: sampler.on.set())
        signal.signal(signal.SIGUSR2, lambda *_: sampler.on.clear())
        sampler.start()

    def make() -> role.Made:
        if name == "router":
            return compose.router(settings, metrics)
        return compose.worker(Tier(int(tier)), handlers, settings, metrics, limited=False)

    try:
        role.run(make, settings.process, metrics)
    finally:
        if sampler and path:
            sampler.stop()
            Path(path).write_text(json.dumps(sampler.figures()))


if __name__ == "__main__":
    main(*sys.argv[1:])
