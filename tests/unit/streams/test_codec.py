"""Records survive their bytes; bytes that are none are refused with the reason."""

import io
import json
from typing import Any

import msgspec
import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas import records
from schemas.errors import DecodeError
from schemas.records import AttemptError, Backoff, Cell, Event, Job, JobOptions, JobRequest, Parked
from streams import codec as codec_module
from streams.codec import FILES, Codec, crc64, schema_text
from tests.unit.streams.core.builders import NOW, a_job

CODEC = Codec()
# Every record, with any values, is tried in avro/test_same_as_the_library.py.
FULL = [
    JobRequest(
        "j", "q", "t", '{"ü":1}', NOW, JobOptions(1, 0, NOW, 2, Backoff("fixed", 1, 2, False), 5, "key"),
        "d", "o", "u", "t", "r",
    ),
    JobRequest("j", "q", "t", "", 0),
    Event("e", "t", "d", "u", NOW, "{}", None, "r"),
    a_job(idempotency=b"\x00\xff", not_before=NOW),
    Parked(a_job(), 2, "delayed", True, 3, 9, NOW, 2, [AttemptError(1, NOW, "timeout", "slow")]),
    records.Lifecycle(
        "j", 0, "q", "t", 1, "w",
        [records.Transition(1, "active", "failed", 1, NOW, error=records.Failure("c", "m", True))], NOW,
    ),
    records.DeadLetter("l", 0, "t", 1, 2, None, b"\x00", {"h": b"\xff"}, "c", "m", "f", 1, 2),
    records.LiveUpdate("k", "d", 2**40, NOW, "{}"),
    records.Control("pause", "money", NOW, "ann"),
    records.IdempotencyEntry("j", b"h", "completed", NOW, None),
    Cell('"=A1"', NOW, "u"),
]  # fmt: skip


class MemoryRegistry:
    """A Schema Registry."""

    def __init__(self) -> None:
        self.schemas: list[str] = []
        self.asked = 0

    def id_of(self, name: str, schema: str) -> int:
        self.schemas.append(schema)
        return len(self.schemas)

    def schema_of(self, schema_id: int) -> str:
        self.asked += 1
        return self.schemas[schema_id - 1]


@pytest.mark.parametrize("record", FULL, ids=lambda record: type(record).__name__)
def test_a_record_survives_its_bytes(record: msgspec.Struct) -> None:
    raw = CODEC.encode(record)
    assert raw[:2] == b"\xc3\x01"
    assert raw[2:10] == crc64(json.loads(schema_text(type(record))))
    assert CODEC.decode(type(record), raw) == record


@given(st.builds(Cell, st.text(), st.integers(-(2**63), 2**63 - 1), st.none() | st.text()))
def test_any_text_and_number_survives(cell: Cell) -> None:
    assert CODEC.decode(Cell, CODEC.encode(cell)) == cell


def test_the_fingerprint_is_that_of_the_avro_specification() -> None:
    # CRC-64-AVRO of the canonical form "int", from the specification's own table, little-endian.
    assert crc64("int") == bytes.fromhex("8f5c393f1ad57572")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no Avro frame"),
        (b"{}", "no Avro frame"),
        (b"\x00\x00\x00\x00\x01", "no Avro frame"),
        (b"\xc3\x01", "unknown schema fingerprint"),
        (b"\xc3\x01" + b"x" * 20, "unknown schema fingerprint 7878"),
        (CODEC.encode(Cell("1", 1))[:-2], "not a Cell"),
        (CODEC.encode(Cell("1", 1)) + b"x", "1 bytes after the record's end"),
    ],
)
def test_what_is_no_record_is_refused_with_the_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        CODEC.decode(Cell, raw)


def test_a_record_of_another_kind_is_refused() -> None:
    with pytest.raises(DecodeError, match="unknown schema fingerprint"):
        CODEC.decode(Job, CODEC.encode(Cell("1", 1)))


@given(st.binary(max_size=200), st.booleans())
def test_nothing_but_a_decode_error_comes_out_of_any_bytes(raw: bytes, framed: bool) -> None:
    frame = CODEC.encode(FULL[0])[:10] if framed else b""
    try:
        CODEC.decode(JobRequest, frame + raw)
    except DecodeError as error:
        assert error.problems[0].field == "value"  # noqa: PT017


def older(record: type[msgspec.Struct], missing: str) -> dict[str, Any]:
    """The contract before a field was added."""
    schema: dict[str, Any] = json.loads(schema_text(record))
    schema["fields"] = [field for field in schema["fields"] if field["name"] != missing]
    return schema


def test_a_record_of_a_released_version_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    schema: Any = parse_schema(older(Cell, "user_id"))
    out = io.BytesIO(b"\xc3\x01" + crc64(schema))
    out.seek(0, io.SEEK_END)
    schemaless_writer(out, schema, {"content": "1", "at": 2})
    with pytest.raises(DecodeError, match="unknown schema"):
        CODEC.decode(Cell, out.getvalue())
    monkeypatch.setattr(codec_module, "_released", lambda name: (schema,) if name == "cell" else ())
    assert Codec().decode(Cell, out.getvalue()) == Cell("1", 2, None)


def test_the_released_contracts_are_found() -> None:
    assert all(codec_module._released(name) for name in FILES.values())
    assert codec_module._released("nothing") == ()


def test_with_a_registry_the_frame_is_confluents() -> None:
    registry = MemoryRegistry()
    codec = Codec(registry)
    raw = codec.encode(Cell("1", 1))
    number = int.from_bytes(raw[1:5], "big")
    assert (raw[0], json.loads(registry.schemas[number - 1])["name"]) == (0, "Cell")
    assert codec.decode(Cell, raw) == Cell("1", 1)
    assert codec.decode(Cell, raw) == Cell("1", 1)
    assert registry.asked == 0  # what it registered itself is known


def test_a_schema_with_another_id_and_the_same_fields_is_asked_for_once() -> None:
    registry = MemoryRegistry()
    codec = Codec(registry)
    registry.schemas.append(schema_text(Cell))
    raw = b"\x00" + len(registry.schemas).to_bytes(4, "big") + codec.encode(Cell("1", 1))[5:]
    assert codec.decode(Cell, raw) == codec.decode(Cell, raw) == Cell("1", 1)
    assert registry.asked == 1


def test_with_a_registry_records_from_before_it_are_read() -> None:
    assert Codec(MemoryRegistry()).decode(Cell, CODEC.encode(Cell("1", 1))) == Cell("1", 1)


def test_an_id_that_the_registry_does_not_know_is_refused() -> None:
    with pytest.raises(DecodeError, match="has no schema 9999"):
        Codec(MemoryRegistry()).decode(Cell, b"\x00\x00\x00\x27\x0f")
