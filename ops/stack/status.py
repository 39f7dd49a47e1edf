"""What runs on a data folder and how it does, asked now."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ops.stack.folder import DataFolder
from ops.stack.health import ask
from ops.stack.state import PartState, StackState, read

HEALTHY = "healthy"


def report(folder: DataFolder) -> dict[str, Any] | None:
    """Return the running stack as plain data for `--json`; None when none runs. Blocks for 3 s at most."""
    now = read(folder.state)
    return described(now) if now and now.runs() else None


def described(now: StackState) -> dict[str, Any]:
    """Return a state with the health of each part."""
    with ThreadPoolExecutor(max(1, len(now.parts))) as asking:
        reasons = list(asking.map(lambda part: ask(part.health, 3.0), now.parts))
    return {
        "phase": now.phase,
        "gateway_url": now.gateway_url,
        "kafka_bootstrap": now.kafka_bootstrap,
        "database_url": now.database_url,
        "redis_url": now.redis_url,
        "data": now.data,
        "supervisor": now.supervisor,
        "parts": [_part(part, reason) for part, reason in zip(now.parts, reasons, strict=True)],
    }


def stopped(folder: DataFolder) -> dict[str, Any]:
    """Return the same members for a stack that does not run."""
    addresses = dict.fromkeys(("gateway_url", "kafka_bootstrap", "database_url", "redis_url"))
    return {"phase": "stopped", **addresses, "data": str(folder.root), "supervisor": None, "parts": []}


def is_healthy(found: dict[str, Any]) -> bool:
    """Say whether the stack is up and every part answers."""
    return found["phase"] == "ready" and all(part["health"] == HEALTHY for part in found["parts"])


def _part(part: PartState, reason: str | None) -> dict[str, Any]:
    return {
        "name": part.name,
        "pid": part.pid,
        "address": part.address,
        "health": HEALTHY if reason is None else "unhealthy",
        "reason": reason,
        "restarts": part.restarts,
        "log": part.log,
    }
