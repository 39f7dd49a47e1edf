"""What the tests of `cpu=True` run in a process of its own."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from agents.context import Context
from agents.handlers.registry import handles
from schemas.errors import PermanentError, TransientError
from schemas.job_type import Queue, job_type
from schemas.payloads.contract import Contract
from schemas.tiers import Tier

SUMS = Queue("sums", Tier.IMPORTANT)


class Add(Contract):
    """What to do: the name of a member of `Doing`, and where to leave a mark."""

    do: str = "add"
    mark: str = ""


@handles(job_type("add", Add, SUMS, timeout_s=60), cpu=True)
def add(ctx: Context, data: Add) -> dict[str, Any]:
    """Compute, or misbehave as asked."""
    if data.mark:
        Path(data.mark).write_text(str(os.getpid()))
    match data.do:
        case "exit":
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "spin":
            while True:
                sum(range(1_000))
        case "later":
            raise TransientError("not now", code="busy", retry_after_s=4)
        case "never":
            raise PermanentError("no", code="no")
        case "unpicklable":
            raise type("Own", (Exception,), {})(lambda: None)
        case "provider":
            ctx.providers.stripe.pay()  # type: ignore[union-attr,call-arg]
        case "sleep":
            time.sleep(2.0)
    ctx.progress(50, "adding", "half of it")
    ctx.submit("add", {"do": "again"})
    ctx.log.info("added")
    return {"pid": os.getpid(), "attempt": ctx.attempt, "key": ctx.idempotency_key}
