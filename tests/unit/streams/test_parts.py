"""A part of a record is what the whole one says, and its reader refuses what the whole one's refuses."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.redis.parts import PARTS as KNOWN
from connectors.redis.parts import JobPart, LifecyclePart
from schemas.errors import DecodeError
from schemas.records import Job, Lifecycle
from streams.avro.reading import reader_of
from streams.codec import Codec, schema_of, schema_text
from streams.parts import PartReader
from tests.unit.connectors.postgres.builders import job
from tests.unit.streams.avro.test_same_as_the_library import OF, TREE, WRITE, Tree, values
from tests.unit.streams.test_codec import MemoryRegistry

CODEC = Codec()
PARTS: list[tuple[type[msgspec.Struct], type[Any]]] = [(Job, JobPart), (Lifecycle, LifecyclePart)]
READERS = {record: PartReader(CODEC, record, part) for record, part in PARTS}
EITHER = st.sampled_from(PARTS)


def part_of(record: msgspec.Struct, part: type[Any]) -> Any:
    return msgspec.convert(msgspec.to_builtins(record, builtin_types=(bytes,)), part, builtin_types=(bytes,))


@given(EITHER.flatmap(lambda pair: st.tuples(OF[pair[0]], st.just(pair[1]))))
def test_a_part_is_what_the_record_says_and_its_bytes_stay(found: tuple[msgspec.Struct, type[Any]]) -> None:
    record, part = found
    raw = CODEC.encode(record)
    assert READERS[type(record)].read(raw) == (part_of(record, part), raw)


@given(EITHER.flatmap(lambda pair: OF[pair[0]]), st.data())
def test_what_the_whole_reader_refuses_is_refused(record: msgspec.Struct, data: st.DataObject) -> None:
    raw = bytearray(CODEC.encode(record))
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=12))
        if not raw:
            return
    reader = READERS[type(record)]
    try:
        whole = CODEC.decode(type(record), bytes(raw))
    except DecodeError:
        with pytest.raises(DecodeError):
            reader.read(bytes(raw))
    else:
        part, kept = reader.read(bytes(raw))
        assert part == part_of(whole, type(part))
        assert CODEC.decode(type(record), kept) == whole


def test_with_a_registry_the_bytes_kept_need_none() -> None:
    record = job()
    codec = Codec(MemoryRegistry())
    part, kept = PartReader(codec, Job, JobPart).read(codec.encode(record))
    assert (part, kept) == (part_of(record, JobPart), CODEC.encode(record))


def test_a_record_of_another_schema_is_kept_in_todays() -> None:
    record, registry = job(), MemoryRegistry()
    codec = Codec(registry)
    registry.schemas.append(schema_text(Job))
    raw = b"\x00" + len(registry.schemas).to_bytes(4, "big") + codec.encode(record)[5:]
    part, kept = PartReader(codec, Job, JobPart).read(raw)
    assert (part, kept) == (part_of(record, JobPart), CODEC.encode(record))


class Nothing(msgspec.Struct, frozen=True):
    flag: bool


@given(values(Tree))
def test_every_type_is_skipped(tree: Any) -> None:
    read = reader_of(TREE, Nothing, part=True)
    assert read(b"..." + WRITE(tree), 3) == (Nothing(tree.flag), len(WRITE(tree)) + 3)


def test_a_part_with_fields_of_its_own_is_refused() -> None:
    with pytest.raises(TypeError, match="different fields"):
        reader_of(schema_of(Job), Nothing, part=True)


def test_the_parts_that_are_compiled_ahead_are_these() -> None:
    assert {part: record for record, part in PARTS} == KNOWN
