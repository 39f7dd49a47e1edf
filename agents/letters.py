"""Dead letters of records that are no job: what they were, where they stood, and why they were refused."""

import uuid

from confluent_kafka import Message

from schemas.errors import ContractError
from schemas.records import AttemptError, DeadLetter, Failure
from streams.core.outcome import fingerprint

NO_TIER = 0
_NAMESPACE = uuid.UUID("6b2f6e0e-6a43-5d0c-9a3c-0f8a3c1f7d11")


def undecodable(message: Message, tier: int, error: ContractError, now: int) -> DeadLetter:
    """The letter of one record; the same record always gives the same letter id."""
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    failure = Failure("contract", str(error), retryable=False)
    headers = dict(headers_in(message))
    return DeadLetter(
        letter_id=str(uuid.uuid5(_NAMESPACE, f"{topic}/{partition}/{offset}")), tier=tier, source_topic=topic,
        source_partition=partition, source_offset=offset, key=message.key(), value=message.value(),
        headers=headers, error_class=failure.error_class, message=failure.message,
        fingerprint=fingerprint(topic, failure), first_failed_at=now, last_failed_at=now,
        errors=[AttemptError(0, now, failure.error_class, failure.message)],
        job_id=_text(headers, "job-id"), request_id=_text(headers, "request-id"),
        tenant_id=_text(headers, "tenant"), traceparent=_text(headers, "traceparent"),
    )  # fmt: skip


def headers_in(message: Message) -> list[tuple[str, bytes]]:
    """The headers of a fetched record, as bytes."""
    given = message.headers() or []
    pairs = given.items() if isinstance(given, dict) else given
    return [(name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs]


def _text(headers: dict[str, bytes], name: str) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode(errors="replace")
