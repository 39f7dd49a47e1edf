"""Records to bytes and back: Avro with a frame that names the schema the bytes were written with.

Without a Schema Registry the frame is Avro's single-object encoding: C3 01 and the schema's CRC-64-AVRO
fingerprint. With one it is Confluent's: 00 and the registry's id. Decoding reads every version ever released:
today's with the functions of `streams/avro`, older ones with the library, which resolves them.
"""

import io
import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple, Protocol, TypeVar, cast

import msgspec
from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas import records
from schemas.errors import DecodeError
from streams.avro.module import reader_ahead, writer_ahead
from streams.avro.reading import Read, reader_of
from streams.avro.source import Schema
from streams.avro.writing import Write, writer_of

R = TypeVar("R", bound=msgspec.Struct)

FILES: dict[type[msgspec.Struct], str] = {
    records.Event: "event",
    records.JobRequest: "job_request",
    records.Job: "job",
    records.Lifecycle: "transition",
    records.DeadLetter: "dead_letter",
    records.LiveUpdate: "live_update",
    records.Control: "control",
    records.Parked: "parked",
    records.IdempotencyEntry: "idempotency_entry",
    records.Cell: "cell",
    records.LimitRequest: "limit_request",
    records.LimitGrant: "limit_grant",
    records.RateLimit: "rate_limit",
}
_SINGLE_OBJECT = b"\xc3\x01"
_CONFLUENT = b"\x00"


class Registry(Protocol):
    """What the codec needs of a Schema Registry."""

    def id_of(self, name: str, schema: str) -> int:
        """The id under which this schema is registered; registers it when it is not."""

    def schema_of(self, schema_id: int) -> str:
        """The schema of an id; LookupError when there is none of it. Any other error: it did not answer."""


def schema_text(record: type[msgspec.Struct]) -> str:
    """The contract of a record as it stands in `schemas/`."""
    return (files("schemas") / f"{FILES[record]}.avsc").read_text()


def schema_of(record: type[msgspec.Struct]) -> Schema:
    """The same, parsed."""
    return _made(record)[0]


def crc64(schema: Schema) -> bytes:
    """The schema's fingerprint as it stands in the frame: 8 bytes, little-endian."""
    value = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    return bytes.fromhex(value)


class _Form(NamedTuple):
    """How a record is written today: the frame before it, its schema, and the functions made from that."""

    frame: bytes
    schema: Schema
    write: Write
    read: Read


class Codec:
    """Encodes and decodes the records of the topics. Safe to share between threads once constructed."""

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry
        self._forms: dict[type[msgspec.Struct], _Form] = {}
        self._writers: dict[type[msgspec.Struct], dict[bytes, Schema]] = {}
        for record, name in FILES.items():
            schema, write, read = _made(record)
            self._forms[record] = _Form(self._frame(record, schema), schema, write, read)
            self._writers[record] = {crc64(old): old for old in (*_released(name), schema)}

    def _frame(self, record: type[msgspec.Struct], schema: Schema) -> bytes:
        if self._registry is None:
            return _SINGLE_OBJECT + crc64(schema)
        number = self._registry.id_of(f"tierflow.{record.__name__}", schema_text(record))
        return _CONFLUENT + number.to_bytes(4, "big")

    def frame_of(self, record: type[msgspec.Struct]) -> bytes:
        """What stands before the bytes of such records when they are written today."""
        return self._forms[record].frame

    def encode(self, record: msgspec.Struct) -> bytes:
        """The framed bytes of a record."""
        form = self._forms[type(record)]
        return form.frame + form.write(record)

    def decode(self, record: type[R], raw: bytes) -> R:
        """The record in framed bytes; DecodeError says what is wrong with them."""
        form = self._forms[record]
        if raw.startswith(form.frame):
            writer, start = form.schema, len(form.frame)
        else:
            # Outside of the `try`: a registry that is away says nothing about the record.
            writer, start = self._writer(record, raw)
        try:
            value, end = (
                form.read(raw, start)
                if writer is form.schema
                else _resolved(record, raw, start, writer, form)
            )
        except Exception as error:
            raise DecodeError.of(
                "value", f"not a {record.__name__}: {type(error).__name__}: {error}"
            ) from None
        if end != len(raw):
            raise DecodeError.of("value", _rest(record, len(raw) - end))
        return cast(R, value)

    def _writer(self, record: type[msgspec.Struct], raw: bytes) -> tuple[Schema, int]:
        if raw[:2] == _SINGLE_OBJECT:
            schema = self._writers[record].get(raw[2:10])
            if schema is None:
                raise DecodeError.of("value", f"unknown schema fingerprint {raw[2:10].hex()}")
            return schema, 10
        if raw[:1] == _CONFLUENT and self._registry is not None:
            return self._registered(record, raw[1:5]), 5
        raise DecodeError.of(
            "value", "no Avro frame: expected C3 01 (or 00 with a Schema Registry) at the start"
        )

    def _registered(self, record: type[msgspec.Struct], schema_id: bytes) -> Schema:
        known = self._writers[record]
        if schema_id not in known:
            assert self._registry is not None
            number = int.from_bytes(schema_id, "big")
            try:
                schema = _parsed(self._registry.schema_of(number))
            except LookupError:
                raise DecodeError.of("value", f"the Schema Registry has no schema {number}") from None
            # The same fields under another id are no other schema.
            known[schema_id] = known.get(crc64(schema), schema)
        return known[schema_id]


@cache
def _made(record: type[msgspec.Struct]) -> tuple[Schema, Write, Read]:
    schema = _parsed(schema_text(record))
    write = writer_ahead(record) or writer_of(schema, record)
    return schema, write, reader_ahead(record) or reader_of(schema, record)


def _resolved(
    record: type[msgspec.Struct], raw: bytes, start: int, writer: Schema, form: _Form
) -> tuple[msgspec.Struct, int]:
    """A record of an older schema, and where it ends."""
    body = io.BytesIO(raw)
    body.seek(start)
    value = schemaless_reader(body, writer, form.schema)
    return msgspec.convert(value, record, builtin_types=(bytes,)), body.tell()


def _rest(record: type[msgspec.Struct], left: int) -> str:
    return f"{left} bytes after the record's end" if left > 0 else f"not a {record.__name__}: it is cut short"


@cache
def _released(name: str) -> tuple[Schema, ...]:
    """The schema's earlier versions, from `schemas/released/VERSION/`."""
    folder: Traversable = files("schemas") / "released"
    if not folder.is_dir():
        return ()
    versions = sorted((version for version in folder.iterdir() if version.is_dir()), key=lambda v: v.name)
    found = [version / f"{name}.avsc" for version in versions]
    return tuple(_parsed(file.read_text()) for file in found if file.is_file())


def _parsed(text: str) -> Schema:
    return parse_schema(json.loads(text))
