"""Rows of `dead_letter_jobs` as dead letters, and the cursors of their pages; pure."""

from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.errors import ContractError
from schemas.records import AttemptError, DeadLetter

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BASE64 = "base64:"

COLUMNS = """l.letter_id, l.tier, l.job_id, l.series, l.queue, l.type, l.data::text as data, l.document_id,
    l.user_id, l.tenant_id, l.request_id, l.traceparent, l.error_class, l.message, l.fingerprint,
    l.errors::text as errors, l.first_failed_at, l.last_failed_at, l.source_topic, l.source_partition,
    l.source_offset"""
BYTES = "l.key, l.value, l.headers"


def letter(row: dict[str, Any]) -> DeadLetter:
    """The dead letter of a row; key, value and headers where the row has them."""
    fields = {name: row[name] for name in DeadLetter.__struct_fields__ if name in row}
    headers = row.get("headers") or {}
    return DeadLetter(
        **{
            **fields,
            "first_failed_at": millis(row["first_failed_at"]),
            "last_failed_at": millis(row["last_failed_at"]),
            "errors": msgspec.json.decode(row["errors"], type=list[AttemptError]),
            "key": row.get("key"),
            "value": row.get("value"),
            "headers": {name: _header(text) for name, text in headers.items()},
        }
    )


def millis(at: datetime) -> int:
    """Milliseconds since the epoch, exactly."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def make_cursor(last: DeadLetter) -> str:
    """What stands after this letter."""
    return urlsafe_b64encode(f"{last.last_failed_at} {last.letter_id}".encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """The place that a cursor names."""
    try:
        at, _, letter_id = urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        return _EPOCH + timedelta(milliseconds=int(at)), letter_id
    except (ValueError, OverflowError):
        raise ContractError.of("cursor", "not a cursor that an earlier page gave") from None


def _header(text: str) -> bytes:
    """As `rows.header_text` wrote it."""
    return b64decode(text[len(_BASE64) :]) if text.startswith(_BASE64) else text.encode()
