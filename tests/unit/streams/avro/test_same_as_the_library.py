"""The generated functions write the library's bytes and read what the library reads."""

import io
import json
import tracemalloc
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DecodeError
from schemas.records import Cell
from streams.avro.numbers import read_count, read_long, varint
from streams.avro.reading import reader_of
from streams.avro.writing import writer_of
from streams.codec import FILES, Codec, schema_text

CODEC = Codec()
FRAME = 10
RECORDS = sorted(FILES, key=lambda record: record.__name__)
SCHEMAS = {record: parse_schema(json.loads(schema_text(record))) for record in RECORDS}
LONGS = st.integers(-(2**63), 2**63 - 1)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: LONGS | st.integers(-100, 10_000),
    str: st.text(max_size=200),
    bytes: st.binary(max_size=200),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    type(None): st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of our records."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return st.one_of([values(one) for one in inside])
    if origin is list:
        return st.lists(values(inside[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(values(inside[0]), values(inside[1]), max_size=3)
    if hint in PLAIN:
        return PLAIN[hint]
    return st.builds(hint, **{name: values(of) for name, of in get_type_hints(hint).items()})


# Made once: a strategy knows what it has drawn before, and a large record's takes its time to make.
OF = {record: values(record) for record in RECORDS}
ANY_RECORD = st.sampled_from(RECORDS).flatmap(OF.__getitem__)


def library_bytes(record: msgspec.Struct) -> bytes:
    out = io.BytesIO()
    schemaless_writer(out, SCHEMAS[type(record)], msgspec.to_builtins(record, builtin_types=(bytes,)))
    return out.getvalue()


def library_record(record: type[msgspec.Struct], raw: bytes) -> msgspec.Struct:
    value = schemaless_reader(io.BytesIO(raw), SCHEMAS[record], None)
    return msgspec.convert(value, record, builtin_types=(bytes,))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(data=st.data())
def test_every_record_has_the_librarys_bytes_and_comes_back(
    record: type[msgspec.Struct], data: st.DataObject
) -> None:
    made = data.draw(OF[record])
    raw = CODEC.encode(made)
    assert raw[FRAME:] == library_bytes(made)
    assert CODEC.decode(record, raw) == made


@given(ANY_RECORD, st.data())
def test_bytes_with_defects_are_refused_or_are_the_record_that_the_library_reads(
    record: msgspec.Struct, data: st.DataObject
) -> None:
    raw = bytearray(CODEC.encode(record))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(FRAME, len(raw) - 1)) if len(raw) > FRAME else FRAME
        match data.draw(st.sampled_from(["change", "remove", "insert"])):
            case "change" if at < len(raw):
                raw[at] = data.draw(st.integers(0, 255))
            case "remove":
                del raw[at : at + data.draw(st.integers(1, 20))]
            case _:
                raw[at:at] = data.draw(st.binary(max_size=12))
    try:
        found = CODEC.decode(type(record), bytes(raw))
    except DecodeError:
        return
    assert found == library_record(type(record), bytes(raw[FRAME:]))


@given(st.sampled_from(RECORDS), st.binary(max_size=300))
def test_any_bytes_raise_nothing_but_a_decode_error(record: type[msgspec.Struct], raw: bytes) -> None:
    try:
        CODEC.decode(record, CODEC._forms[record].frame + raw)
    except DecodeError as error:
        assert error.problems[0].field == "value"  # noqa: PT017


class Leaf(msgspec.Struct, frozen=True):
    name: str


class Tree(msgspec.Struct, frozen=True):
    texts: list[str]
    sizes: dict[str, int]
    leaf: Leaf | None
    other: Leaf
    raw: bytes
    share: float
    flag: bool


TREE = parse_schema(
    {
        "type": "record",
        "name": "Tree",
        "fields": [
            {"name": "texts", "type": {"type": "array", "items": "string"}},
            {"name": "sizes", "type": {"type": "map", "values": "int"}},
            {
                "name": "leaf",
                "type": [
                    {"type": "record", "name": "Leaf", "fields": [{"name": "name", "type": "string"}]},
                    "null",
                ],
            },
            {"name": "other", "type": "Leaf"},
            {"name": "raw", "type": "bytes"},
            {"name": "share", "type": "double"},
            {"name": "flag", "type": "boolean"},
        ],
    }
)
EMPTY = bytes([0, 0, 2, 0, 0, *[0] * 8, 0])
WRITE, READ = writer_of(TREE, Tree), reader_of(TREE, Tree)
HUGE = varint(2**62 - 1)


@given(values(Tree))
def test_every_type_that_is_supported_has_the_librarys_bytes(tree: Tree) -> None:
    out = io.BytesIO()
    schemaless_writer(out, TREE, msgspec.to_builtins(tree, builtin_types=(bytes,)))
    assert WRITE(tree) == out.getvalue()
    assert READ(b"..." + WRITE(tree), 3) == (tree, len(WRITE(tree)) + 3)


def test_blocks_with_their_size_are_read() -> None:
    # Two blocks of an array: one item with the block's size before it, then one without; as other writers do.
    texts = varint(-1) + varint(2) + b"\x02a" + varint(1) + b"\x02b" + b"\x00"
    assert READ(texts + EMPTY[1:], 0)[0].texts == ["a", "b"]


@pytest.mark.parametrize(
    "raw",
    [
        HUGE,
        HUGE + b"\x02a" * 1_000,
        varint(1) + HUGE,
        varint(1) + varint(-1) + b"a",
        varint(-(2**62)) + HUGE,
        varint(-1) + varint(-1) + EMPTY,
        b"\x00" + HUGE,
        b"\xff" * 2_000_000,
        b"\x80" * 9 + b"\x02" + EMPTY,
        b"\x00\x00\x04" + EMPTY[3:],
        EMPTY[:-1] + b"\x02",
    ],
    ids=[
        "items without end", "more items than bytes", "a text without end", "a text of negative length",
        "a block of the most negative count", "a block of negative size", "entries without end",
        "a number without end", "a number of 65 bits", "a branch that is none", "a boolean of two",
    ],
)  # fmt: skip
def test_what_claims_more_than_it_holds_is_refused_at_once(raw: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, IndexError)):
            READ(raw, 0)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("end", range(len(EMPTY)))
def test_a_record_that_is_cut_off_does_not_end_within_its_bytes(end: int) -> None:
    try:
        _, reached = READ(EMPTY[:end], 0)
    except Exception:
        return
    assert reached > end


def test_a_text_that_is_cut_off_ends_behind_the_bytes() -> None:
    raw = CODEC.encode(Cell("content", 1, "user"))
    for end in range(FRAME, len(raw)):
        with pytest.raises(DecodeError):
            CODEC.decode(Cell, raw[:end])


@given(LONGS)
def test_a_number_comes_back(number: int) -> None:
    raw = varint(number)
    zigzag, end = read_long(raw, 1, raw[0]) if raw[0] > 127 else (raw[0], 1)
    assert ((zigzag >> 1) ^ -(zigzag & 1), end) == (number, len(raw))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_of_more_than_64_bits_is_not_written(number: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        varint(number)


def test_a_count_is_never_negative() -> None:
    assert read_count(varint(-3) + varint(7), 0) == (3, 2)


class Unlike(msgspec.Struct):
    content: str


@pytest.mark.parametrize("of", ["enum", "fixed", ["null"], ["null", "string", "long"], ["string", "long"]])
def test_what_our_contracts_do_not_use_is_refused_when_the_code_is_made(of: Any) -> None:
    schema = {"name": "Unlike", "fields": [{"name": "content", "type": of}]}
    for make in (writer_of, reader_of):
        with pytest.raises(TypeError):
            make(schema, Unlike)


def test_a_schema_of_another_record_is_refused() -> None:
    with pytest.raises(TypeError, match="different fields"):
        reader_of(TREE, Unlike)


@pytest.mark.parametrize(
    "tree",
    [
        Tree([], {}, None, None, b"", 0.0, False),  # type: ignore[arg-type]
        Tree([1], {}, None, Leaf("a"), b"", 0.0, False),  # type: ignore[list-item]
        Tree([], {"a": "1"}, None, Leaf("a"), b"", 0.0, False),  # type: ignore[dict-item]
        Tree([], {}, None, Leaf("\ud800"), b"", 0.0, False),
        Tree([], {}, None, Leaf("a"), "text", 0.0, False),  # type: ignore[arg-type]
        Tree([], {"a": 2**70}, None, Leaf("a"), b"", 0.0, False),
    ],
)
def test_a_value_that_is_not_of_its_fields_type_is_not_written(tree: Tree) -> None:
    with pytest.raises((TypeError, AttributeError, ValueError)):
        WRITE(tree)
