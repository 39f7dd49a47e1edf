"""What a reader is told of a provider's limit: the limiter's last word, and what its bucket gained since."""

import msgspec

from connectors.gateway.job_answer import iso
from schemas.limits import ProviderLimit
from schemas.records import RateLimit
from streams.core.breaker import Circuit
from streams.core.limiter import SLOT_S

FULL_WAIT_MS = 100


class LimitConfig(msgspec.Struct, frozen=True, rename="camel"):
    """The figures of the group, as they are set."""

    max_per_second: float
    max_concurrent: int
    burst_size: int
    cooldown_ms: int
    requests_per_attempt: int


class LimitStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A group now; `tokensAvailable` are attempts that could start.

    `maxConcurrent` is 0 while it is stopped; `circuit` is closed, open or half_open.
    """

    tokens_available: int
    concurrent: int
    max_concurrent: int
    last_activity: str | None
    circuit: str
    stopped: bool
    stopped_by: str | None
    members: list[str]
    config: LimitConfig


class LimitCheck(msgspec.Struct, frozen=True, rename="camel"):
    """Whether a call would wait now, why, and for how long at least (null: until an operator resumes it)."""

    service: str
    rate_limited: bool
    wait_time_ms: int | None
    wait_time_seconds: int | None
    reason: str | None = None


def status_of(limit: ProviderLimit, row: RateLimit | None, now_ms: int) -> LimitStatus:
    """The group's status."""
    stopped = row is not None and row.stopped
    return LimitStatus(
        tokens_available=int(tokens_of(limit, row, now_ms)),
        concurrent=slots_of(row, now_ms),
        max_concurrent=0 if stopped else limit.concurrent,
        last_activity=None if row is None else iso(row.at),
        circuit=_circuit(row, now_ms),
        stopped=stopped,
        stopped_by=row.stopped_by if row is not None and stopped else None,
        members=list(limit.members),
        config=LimitConfig(
            limit.per_second, limit.concurrent, limit.burst, limit.cooldown_ms, limit.requests
        ),
    )


def check_of(service: str, limit: ProviderLimit, row: RateLimit | None, now_ms: int) -> LimitCheck:
    """Whether a call would wait."""
    reason, wait_ms = _waits(limit, row, now_ms)
    seconds = None if wait_ms is None else -(-wait_ms // 1000)
    return LimitCheck(service, reason is not None, wait_ms, seconds, reason)


def tokens_of(limit: ProviderLimit, row: RateLimit | None, now_ms: int) -> float:
    """Calls that could start now, as far as the rate goes."""
    if row is None:
        return limit.capacity
    gained = limit.attempts_per_second * max(0, now_ms - row.at) / 1000
    return min(limit.capacity, row.milli_tokens / 1000 + gained)


def slots_of(row: RateLimit | None, now_ms: int) -> int:
    """Calls that run or may start at once; those of a worker that was not heard lately are gone with it."""
    if row is None:
        return 0
    since = row.log_time + (now_ms - row.at) - SLOT_S * 1000
    live = (holder for holder in row.holders if holder.renewed >= since)
    return sum(holder.held + sum(grant.tokens for grant in holder.granted) for holder in live)


def _circuit(row: RateLimit | None, now_ms: int) -> str:
    if row is None:
        return Circuit.CLOSED
    is_over = row.circuit == Circuit.OPEN and row.open_until <= now_ms
    return Circuit.HALF_OPEN if is_over else row.circuit


def _waits(limit: ProviderLimit, row: RateLimit | None, now_ms: int) -> tuple[str | None, int | None]:
    if row is not None and row.stopped:
        return "stopped", None
    if row is not None:
        for reason, until in (("cooldown", row.closed_until), ("open", row.open_until)):
            if until > now_ms:
                return reason, until - now_ms
    if slots_of(row, now_ms) >= limit.concurrent:
        return "concurrent", FULL_WAIT_MS
    tokens = tokens_of(limit, row, now_ms)
    if tokens < 1:
        return "rate", max(1, round((1 - tokens) / limit.attempts_per_second * 1000))
    return None, 0
