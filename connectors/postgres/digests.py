"""Rows as 64-bit digests, the same computed by Postgres and from the record: sums of them compare tables.

A digest is the first 8 bytes of the MD5 of the row's texts. Not against forgers with time for collisions: it
tells rows apart that were lost, doubled or changed.
"""

import hashlib
import json
from typing import Any

from connectors.postgres.rows import ENVELOPE, LETTER, TIMES, TRANSITION, Row, Value

MODULUS = 1 << 64
_BYTES = frozenset({"data_hash", "idempotency", "key", "value"})
_JSONB = frozenset({"errors", "headers"})
_SEPARATOR, _NULL = "\x1f", "\x02"

# The job's own record says these; what its other columns say follows from its transitions.
ENVELOPE_DIGESTED = (
    "job_id", "queue", "type", "tier", "document_id", "user_id", "tenant_id", *ENVELOPE,
)  # fmt: skip
TRANSITION_DIGESTED = TRANSITION
LETTER_DIGESTED = LETTER


def digest_sql(columns: tuple[str, ...], table: str) -> str:
    """The expression that gives a row's digest as a signed bigint."""
    texts = ", ".join(f"coalesce({_text_sql(name, f'{table}.{name}')}, E'\\x02')" for name in columns)
    return f"('x' || substr(md5(concat_ws(E'\\x1f', {texts})), 1, 16))::bit(64)::bigint"


def _text_sql(name: str, column: str) -> str:
    if name in TIMES:
        return f"round(extract(epoch from {column}) * 1000)::bigint::text"
    if name in _BYTES:
        return f"md5({column})"
    return f"{column}::text"


def digest_of(columns: tuple[str, ...], row: Row) -> int:
    """The same for the values that were written, in the order of the columns."""
    return digest_text(_SEPARATOR.join(map(_text, columns, row)))


def digest_text(text: str) -> int:
    """64 bits of a text."""
    raw = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
    return int.from_bytes(raw[:8], "big")


def _text(name: str, value: Value) -> str:
    if value is None:
        return _NULL
    if isinstance(value, bytes):
        return hashlib.md5(value, usedforsecurity=False).hexdigest()
    return jsonb_text(json.loads(str(value))) if name in _JSONB else str(value)


def jsonb_text(value: Any) -> str:
    """The text that Postgres gives of a jsonb: members by length of their name, then by its bytes."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        return "{" + ", ".join(f"{_json(name)}: {jsonb_text(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(jsonb_text, value)) + "]"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
