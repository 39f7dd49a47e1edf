"""The jobs of a schedule: few keys, every kind of job, so that they meet."""

from random import Random
from typing import NamedTuple

from schemas.keys import digest
from schemas.priorities import Lane
from schemas.records import Job

# Longer than any retry waits: what is due only then must hold nobody up.
FAR_MS = 3_600_000
BACKOFF_MS = 500
# The data of a job whose result no record can hold.
HUGE = '{"huge":true}'


class Plan(NamedTuple):
    """A job before it is sent."""

    number: int
    partition: int
    lane: Lane
    kind: str
    key: str
    attempts: int
    delay_ms: int
    other_data: bool
    is_huge: bool


class Kind(NamedTuple):
    """A job type of the catalogue and what the model needs of it."""

    queue: str
    check_in: bool
    unique: bool


KINDS = {
    "chat-message": Kind("chat_messages", False, False),
    "coding-task": Kind("agent-tasks", True, False),
    "send-email": Kind("communication", True, True),
}
_KEYS = [(kind, name) for kind in KINDS for name in ("x", "y")]


def plan(number: int, partitions: int, random: Random, keys: int) -> Plan:
    """Draw a job."""
    draw = random.random
    chosen = int(draw() * keys)
    kind, name = _KEYS[(chosen * 2) % len(_KEYS) + chosen // 3]
    lane = Lane.NORMAL if draw() < 0.7 else Lane(int(draw() * 3))
    delay = 0 if draw() < 0.85 else (FAR_MS if draw() < 0.5 else 300)
    other = kind == "send-email" and draw() < 0.15
    # A key lives in one partition, as its hash would have it.
    partition = (len(kind) + ord(name)) % partitions
    return Plan(
        number, partition, lane, kind, f"{kind}-{name}", 1 + int(draw() * 3), delay, other, draw() < 0.03
    )


def job_of(plan: Plan, offset: int, now: int) -> Job:
    """The tier record of a planned job."""
    kind = KINDS[plan.kind]
    return Job(
        job_id=f"job-{plan.number}", series=0, queue=kind.queue, type=plan.kind, tier=2, priority=5,
        data=HUGE if plan.is_huge else "{}", data_hash=b"other" if plan.other_data else b"data",
        ordering_key=plan.key, accepted_at=now, attempts=plan.attempts, backoff="fixed",
        backoff_delay_ms=BACKOFF_MS, backoff_max_ms=BACKOFF_MS, backoff_jitter=False, timeout_ms=30_000,
        source_topic="job-requests", source_partition=0, source_offset=offset,
        not_before=now + plan.delay_ms if plan.delay_ms else None,
        idempotency=digest(plan.key) if kind.unique else None,
    )  # fmt: skip
