"""A job type as it is shown to people and programs."""

from typing import Any

from agents.handlers.registry import Handler
from schemas.job_type import JobType


def described(job_type: JobType, handler: Handler | None) -> dict[str, Any]:
    """What it promises, and which function does it; None: this version has none."""
    function = None if handler is None else handler.function
    return {
        "queue": job_type.queue,
        "type": job_type.kind,
        "tier": job_type.tier.value,
        "priority": job_type.priority,
        "attempts": job_type.retry.attempts,
        "timeoutS": job_type.timeout_s,
        "limitGroup": job_type.limit_group,
        "idempotency": job_type.idempotency,
        "order": job_type.idempotency or job_type.order or None,
        "onUnknown": job_type.on_unknown if job_type.check_in else None,
        "members": sorted(job_type.contract.members()),
        "public": job_type.public,
        "handler": function and f"{function.__module__}.{function.__qualname__}",
        "runsIn": handler and handler.mode.value,
    }


def in_columns(line: dict[str, Any]) -> str:
    """The same as a line of a table."""
    policy = f"tier {line['tier']}  {line['attempts']:>2} x {line['timeoutS']:g} s"
    return f"{line['queue']:20} {line['type']:22} {policy:20}  {line['handler'] or '-'}"
