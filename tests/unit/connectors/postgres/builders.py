"""Records of jobs as the router and the workers write them, for tests."""

import random
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Message

from schemas.keys import digest
from schemas.records import AttemptError, DeadLetter, Failure, Job, Lifecycle, Transition

NOW = 1_763_829_908_123


def job(job_id: str = "job-1", *, series: int = 0, tier: int = 1, at: int = NOW, **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "queue": "money",
        "type": "payment-process",
        "priority": 10,
        "data": '{"amount": 1250, "note": "Grüße"}',
        "data_hash": digest(job_id),
        "ordering_key": f"key of {job_id}",
        "attempts": 10,
        "backoff": "exponential",
        "backoff_delay_ms": 2_000,
        "backoff_max_ms": 300_000,
        "backoff_jitter": True,
        "timeout_ms": 60_000,
        "source_topic": "job-requests",
        "source_partition": 0,
        "source_offset": 7,
        "idempotency": digest("venue-1", f"pay {job_id}"),
        "idempotency_key": f"pay {job_id}",
        "tenant_id": "venue-1",
        "user_id": "user-1",
        "request_id": "request-1",
    }
    return Job(job_id=job_id, series=series, tier=tier, accepted_at=at, **{**fields, **changes})


def lifecycle(of: Job, *transitions: Transition) -> Lifecycle:
    return Lifecycle(
        job_id=of.job_id,
        series=of.series,
        queue=of.queue,
        type=of.type,
        tier=of.tier,
        worker="worker-1-0",
        transitions=list(transitions),
        accepted_at=of.accepted_at,
        document_id=of.document_id,
        user_id=of.user_id,
        tenant_id=of.tenant_id,
        request_id=of.request_id,
    )


def started(number: int = 1, attempt: int = 1, at: int = NOW + 5, old: str = "waiting") -> Transition:
    return Transition(number, old, "active", attempt, at)


def completed(number: int = 2, attempt: int = 1, at: int = NOW + 30) -> Transition:
    return Transition(number, "active", "completed", attempt, at, result='{"success": true}')


def failed(number: int, attempt: int, at: int) -> Transition:
    failure = Failure("timeout", "no answer in 60 s", True)
    return Transition(number, "active", "failed", attempt, at, error=failure)


def delayed(number: int, attempt: int, at: int) -> Transition:
    return Transition(number, "failed", "delayed", attempt, at, due=at + 2_000)


def history(of: Job, chance: random.Random) -> list[Job | Lifecycle]:
    """A job's records as its owner writes them: its envelope, then its transitions, some in one record."""
    changes, number, at = [], 0, of.accepted_at
    old = "waiting"
    for attempt in range(1, chance.randint(1, 3)):
        at += chance.randint(1, 500)
        changes.append(Transition(number := number + 1, old, "active", attempt, at))
        if chance.random() < 0.5:
            changes.append(
                Transition(
                    number := number + 1, "active", "active", attempt, at, progress=chance.randint(0, 99)
                )
            )
        changes.append(failed(number := number + 1, attempt, at + 3))
        changes.append(delayed(number := number + 1, attempt, at + 3))
        old = "delayed"
    last = chance.choice(["completed", "dead", "cancelled", "open"])
    attempt = max((change.attempt for change in changes), default=0) + 1
    if last in ("completed", "dead"):
        changes.append(Transition(number := number + 1, old, "active", attempt, at + 10))
        old = "active"
    if last != "open":
        result = '{"success": true}' if last == "completed" else None
        error = Failure("declined", "card declined", False) if last == "dead" else None
        changes.append(Transition(number + 1, old, last, attempt, at + 20, result=result, error=error))
    records: list[Job | Lifecycle] = [of]
    while changes:
        size = chance.randint(1, len(changes))
        records.append(lifecycle(of, *changes[:size]))
        changes = changes[size:]
    return records


def dead_letter(letter_id: str = "letter-1", **changes: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "tier": 2,
        "source_topic": "tierflow.tier-2.normal",
        "source_partition": 1,
        "source_offset": 42,
        "key": b"k",
        "value": b"\x00\xff bytes",
        "headers": {"job-id": b"job-1", "raw": b"\xff\xfe"},
        "error_class": "timeout",
        "message": "no answer",
        "fingerprint": "f1",
        "first_failed_at": NOW,
        "last_failed_at": NOW + 10,
        "errors": [AttemptError(1, NOW, "timeout", "no answer")],
        "job_id": "job-1",
        "queue": "communication",
        "type": "send-email",
        "data": '{"to": "a@example.com"}',
        "tenant_id": "venue-1",
    }
    return DeadLetter(letter_id=letter_id, **{**fields, **changes})


def message(topic: str, offset: int, value: bytes | None, *, partition: int = 0, at: int = NOW) -> Message:
    """A record as the consumer hands it out."""
    return Message(
        topic=topic, partition=partition, offset=offset, key=b"k", value=value, headers=[], timestamp=(1, at)
    )


def shuffled(records: Sequence[Any], chance: random.Random) -> list[Any]:
    """In another order, some of them twice."""
    again = [record for record in records if chance.random() < 0.3]
    return chance.sample([*records, *again], len(records) + len(again))
