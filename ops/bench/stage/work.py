"""What every engine does with a record, and the records: 143 bytes of Avro each, a change of a cell."""

import io
from typing import Any, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "tierflow.bench.CellChange",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "document", "type": "string"},
        {"name": "revision", "type": "int"},
        {"name": "user", "type": "string"},
        {"name": "cell", "type": "string"},
        {"name": "value", "type": "double"},
        {"name": "formula", "type": ["null", "string"]},
        {"name": "at", "type": "long"},
        {"name": "tenant", "type": "string"},
    ],
}
RECORD_BYTES = 143
DOCUMENTS = 1_000
# Ids and times of one length, so that all records have the same size.
_FIRST_ID, _FIRST_MS = 10_000_000, 1_750_000_000_000
_SCHEMA = parse_schema(SCHEMA)


def record(number: int) -> tuple[bytes, bytes]:
    """Key and value of the n-th record."""
    document = f"spreadsheet-{number % DOCUMENTS:06d}"
    change = {
        "id": _FIRST_ID + number,
        "document": document,
        "revision": 1,
        "user": f"7b0c5b0e-30e4-4d0f-8a0a-{number % 997:012d}",
        "cell": f"AB{number % 1000:04d}",
        "value": number * 0.25,
        "formula": f"=SUM(A{number % 1000:04d}:B{number % 1000:04d})*1.19",
        "at": _FIRST_MS + number,
        "tenant": f"2f6b1d3a-5d3c-4b8e-9d52-{number % 31:012d}",
    }
    return document.encode(), encode(change)


def decode(raw: bytes) -> dict[str, Any]:
    """The change in the bytes."""
    return cast(dict[str, Any], schemaless_reader(io.BytesIO(raw), _SCHEMA, None))


def decide(change: dict[str, Any]) -> dict[str, Any]:
    """The smallest decision that reads the record and changes it."""
    change["revision"] += 1
    if change["value"] < 0:
        change["formula"] = None
    return change


def encode(change: dict[str, Any]) -> bytes:
    """Its bytes."""
    out = io.BytesIO()
    schemaless_writer(out, _SCHEMA, change)
    return out.getvalue()


def stage(raw: bytes) -> tuple[bytes, bytes]:
    """From a source record's value to key and value of its output."""
    change = decide(decode(raw))
    return change["document"].encode(), encode(change)
