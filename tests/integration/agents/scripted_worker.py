"""A tier-2 worker whose handlers do what their job's data says, run as a process by the tests.

`python -m tests.integration.agents.scripted_worker EFFECTS` appends a line per execution to the file EFFECTS:
job id, key, sequence, attempt, `start`; and one when a job that listens is asked to stop: job id, `heard`.
The data member `script` may be `{"fail": N}` (the first N attempts raise), `{"refuse": true}` (not
retryable), `{"exit": true}` (the process dies), `{"sleep": seconds}`, or `{"call": url}` (a provider is
called there).
"""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.context import Context
from agents.handlers.coding_task import coding_task
from agents.handlers.registry import Handler
from ops import compose, probe, role
from schemas.errors import PermanentError, TransientError
from schemas.tiers import Tier
from streams.core import outcome
from streams.settings import load

# A job that so many workers died of is dead. Five in the product, and in memory; each costs a session here.
INTERRUPTIONS = 3
# What a provider that gets too many calls asks for.
RETRY_AFTER_S = 4.0


def scripted(effects: Path, die: Callable[[], None]) -> dict[str, Handler]:
    """Handlers of types without and with idempotency and check-in. `die` ends the process.

    One whose script says `{"listen": true}` works until it is asked to stop.
    """
    out = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def run(ctx: Context, data: Any) -> dict[str, Any]:
        # The contract keeps members that it does not name as they are given.
        extra = data.model_extra or {}
        line = f"{ctx.job.job_id} {ctx.job.ordering_key} {extra.get('seq', 0)} {ctx.attempt} start\n"
        os.write(out, line.encode())
        script = extra.get("script", {})
        if script.get("exit"):
            die()
            await asyncio.Event().wait()
        if script.get("listen"):
            await ctx.cancelled.wait()
            os.write(out, f"{ctx.job.job_id} heard\n".encode())
            ctx.cancelled.check()
        if "sleep" in script:
            await asyncio.sleep(script["sleep"])
        if "call" in script:
            await call(script["call"])
        if script.get("refuse"):
            raise PermanentError("refused on purpose", code="refused")
        if ctx.attempt <= script.get("fail", 0):
            raise TransientError(f"attempt {ctx.attempt} fails on purpose", code="scripted")
        return {"seq": extra.get("seq", 0), "attempt": ctx.attempt}

    return {kind: Handler(kind, run) for kind in ("chat-message", "send-email", "validation-request")}


async def call(url: str) -> None:
    """Ask a provider, and say what its answer means."""
    host, _, port = url.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        status = int((await reader.readline()).split()[1])
    finally:
        writer.close()
    if status == 429:
        raise TransientError("too many calls", code="rate_limited", retry_after_s=RETRY_AFTER_S)
    if status >= 500:
        raise TransientError("it does not work", code=f"provider_{status}")


def executions_in(effects: Path) -> list[tuple[str, str, int, int]]:
    """Every execution that was started: job id, ordering key, sequence, attempt."""
    lines = effects.read_text().splitlines() if effects.exists() else []
    # A key may hold blanks.
    parts = [line.split(" ", 1)[:1] + line.rsplit(" ", 3)[:3] for line in lines if line.endswith(" start")]
    return [(job, head.partition(" ")[2], int(seq), int(attempt)) for job, head, seq, attempt in parts]


if __name__ == "__main__":
    outcome.MAX_INTERRUPTIONS = INTERRUPTIONS
    settings = load()
    metrics = probe.registry()
    # One is the product's own.
    handlers = {
        "coding-task": coding_task.__dict__["handlers"][0],
        **scripted(Path(sys.argv[1]), lambda: os._exit(9)),
    }
    role.run(lambda: compose.worker(Tier.IMPORTANT, handlers, settings, metrics), settings.process, metrics)
