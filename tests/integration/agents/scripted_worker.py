"""A tier-2 worker whose handlers do what their job's data says, run as a process by the tests.

`python -m tests.integration.agents.scripted_worker EFFECTS` appends a line per execution to the file EFFECTS:
job id, key, sequence, attempt, `start`. The data member `script` may be `{"fail": N}` (the first N attempts
raise), `{"refuse": true}` (not retryable), `{"exit": true}` (the process dies) or `{"sleep": seconds}`.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from agents.context import Context
from agents.handlers.registry import Handler
from ops import compose, probe, role
from schemas.errors import PermanentError, TransientError
from schemas.tiers import Tier
from streams.settings import load


def scripted(effects: Path) -> dict[str, Handler]:
    """Handlers of two types: without and with idempotency and check-in."""
    out = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def run(ctx: Context, data: Any) -> dict[str, Any]:
        # The contract keeps members that it does not name as they are given.
        extra = data.model_extra or {}
        line = f"{ctx.job.job_id} {ctx.job.ordering_key} {extra.get('seq', 0)} {ctx.attempt} start\n"
        os.write(out, line.encode())
        script = extra.get("script", {})
        if script.get("exit"):
            os._exit(9)
        if "sleep" in script:
            await asyncio.sleep(script["sleep"])
        if script.get("refuse"):
            raise PermanentError("refused on purpose", code="refused")
        if ctx.attempt <= script.get("fail", 0):
            raise TransientError(f"attempt {ctx.attempt} fails on purpose", code="scripted")
        return {"seq": extra.get("seq", 0), "attempt": ctx.attempt}

    return {kind: Handler(kind, run) for kind in ("chat-message", "send-email")}


if __name__ == "__main__":
    settings = load()
    metrics = probe.registry()
    handlers = scripted(Path(sys.argv[1]))
    role.run(lambda: compose.worker(Tier.IMPORTANT, handlers, settings, metrics), settings.process, metrics)
