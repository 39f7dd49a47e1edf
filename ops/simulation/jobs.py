"""The jobs of a schedule: few keys, every kind of job, so that they meet."""

from random import Random
from typing import NamedTuple

from schemas.keys import digest
from schemas.priorities import Lane
from schemas.records import Job
from streams.core.gates import PROCESS_GATE, group_gate, queue_gate, type_gate

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
    parks: bool = False


KINDS = {
    "chat-message": Kind("chat_messages", False, False),
    "coding-task": Kind("agent-tasks", True, False),
    "send-email": Kind("communication", True, True),
    "nft-mint": Kind("money", True, True, parks=True),
    "validation": Kind("robot", False, False),
}
COMPUTES = "validation"
"""The type whose jobs run in processes."""
# What an operator may close, and what has room or has not.
ORDERED = (
    queue_gate("chat_messages"), queue_gate("agent-tasks"), type_gate("send-email"), queue_gate("robot"),
)  # fmt: skip
# What anybody's order closes and opens: an operator's, or a worker's that holds a type.
OPERATED = frozenset({*ORDERED, *map(type_gate, KINDS)})
LIMITED = (group_gate("sendgrid"), group_gate("agent-cli"))
# Where those who wait keep their keys.
KEEPING = (*LIMITED, PROCESS_GATE)
_GATES = {
    "chat-message": (ORDERED[0], type_gate("chat-message")),
    "coding-task": (ORDERED[1], type_gate("coding-task"), LIMITED[1]),
    "send-email": (ORDERED[2], LIMITED[0]),
    "nft-mint": (type_gate("nft-mint"),),
    COMPUTES: (ORDERED[3], type_gate(COMPUTES)),
}
# What an operator may clear: a queue, or one type of it.
CLEARABLE = (
    ("chat_messages", None), ("agent-tasks", None), ("communication", "send-email"), ("robot", None),
)  # fmt: skip
# A schedule of few keys has the first ones.
_KEYS = [
    ("chat-message", "x"), ("coding-task", "x"), ("send-email", "x"), ("chat-message", "y"),
    ("nft-mint", "x"), ("send-email", "y"),
]  # fmt: skip


def plan(number: int, partitions: int, random: Random, keys: int) -> Plan:
    """Draw a job."""
    draw = random.random
    kind, name = _KEYS[int(draw() * keys)]
    lane = Lane.NORMAL if draw() < 0.7 else Lane(int(draw() * 3))
    delay = 0 if draw() < 0.85 else (FAR_MS if draw() < 0.5 else 300)
    other = kind == "send-email" and draw() < 0.15
    # Jobs of two queues may share a key: of a document, of a conversation.
    key = f"shared-{name}" if draw() < 0.3 and not KINDS[kind].unique else f"{kind}-{name}"
    partition = _partition_of(key, partitions)
    return Plan(number, partition, lane, kind, key, 1 + int(draw() * 3), delay, other, draw() < 0.03)


def planned_as(kind: str, plan: Plan, partitions: int) -> Plan:
    """The same job as one of another type, on one of four keys of its own."""
    key = f"{kind}-{plan.number % 4}"
    return plan._replace(kind=kind, key=key, partition=_partition_of(key, partitions), delay_ms=0)


def which_compute(plans: list[Plan], partitions: int, random: Random) -> list[Plan]:
    """Some of the jobs without an effect compute instead; where they share a key, they still do."""
    return [
        plan._replace(
            kind=COMPUTES,
            key=(key := plan.key.replace("chat-message", COMPUTES)),
            partition=_partition_of(key, partitions),
        )
        if plan.kind == "chat-message" and random.random() < 0.6
        else plan
        for plan in plans
    ]


def _partition_of(key: str, partitions: int) -> int:
    """A key lives in one partition, as its hash would have it."""
    return (len(key) + ord(key[-1])) % partitions


def gates_of(kind: str) -> tuple[str, ...]:
    """The gates that a job of this type has to pass."""
    return _GATES[kind]


def job_of(plan: Plan, offset: int, now: int, series: int = 0) -> Job:
    """The tier record of a planned job, or of one that is brought back."""
    kind = KINDS[plan.kind]
    return Job(
        job_id=f"job-{plan.number}", series=series, queue=kind.queue, type=plan.kind, tier=2, priority=5,
        data=HUGE if plan.is_huge else "{}", data_hash=b"other" if plan.other_data else b"data",
        ordering_key=plan.key, accepted_at=now, attempts=plan.attempts, backoff="fixed",
        backoff_delay_ms=BACKOFF_MS, backoff_max_ms=BACKOFF_MS, backoff_jitter=False, timeout_ms=30_000,
        source_topic="job-requests", source_partition=0, source_offset=offset,
        not_before=now + plan.delay_ms if plan.delay_ms else None,
        idempotency=digest(plan.key) if kind.unique else None,
    )  # fmt: skip
