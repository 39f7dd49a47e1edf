"""Makes the function that reads a record: from `p` on in the bytes `b`, each field into a variable.

Only numbers and branches are checked where they stand. A text cut short by the end of the bytes moves `p`
behind that end, where the next read raises IndexError, or the caller sees it: so nothing else is compared.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from streams.avro.names import NAMES, RECURRING, share
from streams.avro.numbers import read_count, read_length, read_long, unknown, unpack
from streams.avro.source import Field, Schema, Source, fields_of, indented, inside, nullable, unsupported

Read = Callable[[bytes, int], tuple[Any, int]]
"""Bytes and where the record begins in them -> the record and where it ends.

Of bytes that are no record it raises ValueError, IndexError or struct.error, or answers an end behind
theirs, which the caller must compare. Time and memory are bounded by the bytes, whatever they claim.
"""

# So many fields in a row that may be null are worth a look whether all are.
_RUN = 3
_LENGTH = ["n = b[p]; p += 1", "if n > 127 or n & 1: n, p = length(b, p, n)", "q = p + (n >> 1)"]
_NAME = [*_LENGTH, "{into} = NAMES.get(b[p:q]) or share(b[p:q]); p = q"]
_LONG = ["n = b[p]; p += 1", "if n > 127: n, p = long(b, p, n)", "{into} = (n >> 1) ^ -(n & 1)"]
_SIMPLE = {
    "int": _LONG,
    "long": _LONG,
    "double": ["({into},) = unpack(b, p); p += 8"],
    "boolean": ["{into} = b[p] == 1; p += 1", "if b[p - 1] > 1: unknown('boolean', p - 1)"],
    "string": [*_LENGTH, "{into} = b[p:q].decode(); p = q"],
    "bytes": [*_LENGTH, "{into} = b[p:q]; p = q"],
}
# The same checks where nothing is made of the value. A number of ten bytes is read, since it may be too long.
_SKIPPED = ["q = p", "while b[p] > 127: p += 1", "p += 1", "if p - q > 9: long(b, q + 1, b[q])"]
_CHECKED = {
    "int": _SKIPPED,
    "long": _SKIPPED,
    "double": ["p += 8"],
    "boolean": ["if b[p] > 1: unknown('boolean', p)", "p += 1"],
    "string": [*_LENGTH, "b[p:q].decode(); p = q"],
    "bytes": [*_LENGTH, "p = q"],
}


def reader_of(schema: Schema, record: type[msgspec.Struct], part: bool = False) -> Read:
    """The function that reads a record. TypeError when the schema is not supported or not the record's.

    When only a `part` is asked for, the record may lack fields of the schema: they are checked like the
    others, and nothing is made of them.
    """
    source = readers()
    source.whole = not part
    read: Read = source.function(add_reader(source, schema, record))
    return read


def readers() -> Source:
    """For functions that read, none yet."""
    return Source(
        long=read_long, length=read_length, count=read_count, unpack=unpack, unknown=unknown,
        NAMES=NAMES, share=share,
    )  # fmt: skip


def add_reader(source: Source, schema: Schema, record: Any) -> str:
    """The name of the function for this record; without a record, of one that only finds its end."""
    name = source.records[schema["name"], record] = source.fresh("read")
    variables: dict[str, str] = {}
    body: list[str] = []
    for run in _runs(fields_of(schema, record, source.whole)):
        into = {field.name: source.fresh("v") for field in run}
        variables |= into
        lines = [line for field in run for line in _field(source, field, into[field.name])]
        body += _all_null(run, into, lines) if len(run) >= _RUN else lines
    head = f"def {name}(b: bytes, p: int) -> tuple[Any, int]:"
    if record is None:
        source.add(head, [*body, "return None, p"])
        return name
    made = source.fresh("Record")
    source.give(made, record)
    values = ", ".join(variables[field] for field in record.__struct_fields__)
    source.add(head, [*body, f"return {made}({values}), p"])
    return name


def _field(source: Source, field: Field, into: str) -> list[str]:
    if field.name in RECURRING and field.schema == "string" and field.hint is not None:
        return [line.format(into=into) for line in _NAME]
    return _value(source, field.schema, field.hint, into)


def _runs(fields: list[Field]) -> list[list[Field]]:
    """Neighbours that are a zero byte when they are null together, every other field by itself."""
    runs: list[list[Field]] = []
    before = False
    for field in fields:
        union = nullable(field.schema)
        now = union is not None and union[0] == 0
        if now and before:
            runs[-1].append(field)
        else:
            runs.append([field])
        before = now
    return runs


def _all_null(run: list[Field], into: dict[str, str], lines: list[str]) -> list[str]:
    made = [into[field.name] for field in run if field.hint is not None]
    return [
        f"if b[p:p + {len(run)}] == {bytes(len(run))!r}:",
        f" p += {len(run)}",
        *([f" {' = '.join(made)} = None"] if made else []),
        "else:",
        *indented(lines),
    ]


def _value(source: Source, schema: Schema, hint: Any, into: str) -> list[str]:
    """Statements that read a value into the variable `into`; without a type for it, over it."""
    union = nullable(schema)
    if union is None:
        return _plain(source, schema, hint, into)
    null, other = union
    return [
        "t = b[p]; p += 1",
        f"if t == {2 * null}: {'pass' if hint is None else f'{into} = None'}",
        f"elif t == {2 - 2 * null}:",
        *indented(_plain(source, other, inside(hint), into)),
        "else: unknown('branch of a union', p - 1)",
    ]


def _plain(source: Source, schema: Schema, hint: Any, into: str) -> list[str]:
    match schema:
        case str() if schema in _SIMPLE:
            return [line.format(into=into) for line in (_CHECKED if hint is None else _SIMPLE)[schema]]
        case str() if (schema, hint) in source.records:
            return [f"{into}, p = {source.records[schema, hint]}(b, p)"]
        case {"type": "record"}:
            return [f"{into}, p = {add_reader(source, schema, hint)}(b, p)"]
        case {"type": "array", "items": items}:
            return _array(source, items, inside(hint), into)
        case {"type": "map", "values": values}:
            return _map(source, values, inside(hint), into)
        case {"type": str() as simple}:
            return _plain(source, simple, hint, into)
    raise unsupported(schema)


def _array(source: Source, items: Schema, hint: Any, into: str) -> list[str]:
    item = source.fresh("v")
    one = _value(source, items, hint, item)
    if hint is None:
        return _blocks(source, one)
    return [f"{into} = []", *_blocks(source, [*one, f"{into}.append({item})"])]


def _map(source: Source, values: Schema, hint: Any, into: str) -> list[str]:
    key, item = source.fresh("k"), source.fresh("v")
    one = [*_plain(source, "string", None if hint is None else str, key), *_value(source, values, hint, item)]
    if hint is None:
        return _blocks(source, one)
    return [f"{into} = {{}}", *_blocks(source, [*one, f"{into}[{key}] = {item}"])]


def _blocks(source: Source, one: list[str]) -> list[str]:
    """Blocks until the empty one. An item takes a byte at least, so a wrong count ends with the bytes."""
    left = source.fresh("n")
    size = [
        f"{left} = b[p] >> 1",
        f"if b[p] > 127 or b[p] & 1: {left}, p = count(b, p)",
        "else: p += 1",
    ]
    return [
        *size,
        f"while {left}:",
        f" for _ in range({left}):",
        *indented(indented(one)),
        *indented(size),
    ]
