"""Dead letters of records that are no job: what they were, where they stood, and why they were refused."""

import uuid
from typing import Any

import msgspec
from confluent_kafka import Message

from agents.failures import MESSAGE_KEPT
from schemas.errors import ContractError
from schemas.records import AttemptError, DeadLetter, Event, Failure, JobRequest
from streams.core.outcome import fingerprint

NO_TIER = 0
# What the large parts of a letter may hold together, so that with ten errors it fits into a record.
MAX_LETTER_BYTES = 860_000
ID_KEPT = 1_000
MAX_TRACEPARENT = 128
_NAMESPACE = uuid.UUID("6b2f6e0e-6a43-5d0c-9a3c-0f8a3c1f7d11")


def undecodable(message: Message, tier: int, error: ContractError, now: int) -> DeadLetter:
    """The letter of one record; the same record always gives the same letter id."""
    topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
    failure = Failure("contract", str(error)[:MESSAGE_KEPT], retryable=False)
    headers = dict(headers_in(message))
    letter = DeadLetter(
        letter_id=str(uuid.uuid5(_NAMESPACE, f"{topic}/{partition}/{offset}")), tier=tier, source_topic=topic,
        source_partition=partition, source_offset=offset, key=message.key(), value=message.value(),
        headers=headers, error_class=failure.error_class, message=failure.message,
        fingerprint=fingerprint(topic, failure), first_failed_at=now, last_failed_at=now,
        errors=[AttemptError(0, now, failure.error_class, failure.message)],
        job_id=_text(headers, "job-id"), request_id=_text(headers, "request-id"),
        tenant_id=_text(headers, "tenant"), traceparent=traceparent_in(message),
    )  # fmt: skip
    return fitting(letter)


def refused(
    message: Message, tier: int, record: JobRequest | Event, error: ContractError, now: int
) -> DeadLetter:
    """The letter of a record that decodes but does not hold: it carries what the record says of itself."""
    letter = undecodable(message, tier, error, now)
    said = {
        "job_id": record.job_id if isinstance(record, JobRequest) else record.event_id,
        "queue": record.queue if isinstance(record, JobRequest) else None,
        "type": record.type, "document_id": record.document_id, "user_id": record.user_id,
        "tenant_id": record.tenant_id or letter.tenant_id,
        "request_id": record.request_id or letter.request_id,
    }  # fmt: skip
    failure = Failure(letter.error_class, letter.message, retryable=False)
    return fitting(
        msgspec.structs.replace(
            letter,
            **{name: text and text[:ID_KEPT] for name, text in said.items()},
            data=record.data,
            fingerprint=fingerprint(record.type[:ID_KEPT], failure),
        )
    )


def fitting(letter: DeadLetter) -> DeadLetter:
    """The letter without what no record can hold: first what stands in it twice, then the original bytes.

    Where the whole record stands is always said.
    """
    smaller: tuple[dict[str, Any], ...] = ({"data": None}, {"headers": {}}, {"value": None}, {"key": None})
    for less in smaller:
        if _size(letter) <= MAX_LETTER_BYTES:
            break
        letter = msgspec.structs.replace(letter, **less)
    return letter


def headers_in(message: Message) -> list[tuple[str, bytes]]:
    """The headers of a fetched record, as bytes."""
    given = message.headers() or []
    pairs = given.items() if isinstance(given, dict) else given
    return [(name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs]


def traceparent_in(message: Message) -> str | None:
    """The trace of a fetched record; None for what is too long to be one."""
    if not message.headers():
        return None
    value = dict(headers_in(message)).get("traceparent")
    return None if value is None or len(value) > MAX_TRACEPARENT else value.decode(errors="replace")


def _size(letter: DeadLetter) -> int:
    """Bytes of what can be large; the key counts twice, as it is the key of the letter's record, too."""
    parts = [letter.data.encode() if letter.data else None, letter.value, letter.key, letter.key]
    parts += [part for name, value in letter.headers.items() for part in (name.encode(), value)]
    return sum(len(part) for part in parts if part is not None)


def _text(headers: dict[str, bytes], name: str) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode(errors="replace")[:ID_KEPT]
