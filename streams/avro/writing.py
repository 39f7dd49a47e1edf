"""Makes the function that writes a record: one statement per field and one `join` at the end.

Arrays and maps are one block with everything, as the library writes them.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from streams.avro.names import RECURRING, WRITTEN, written
from streams.avro.numbers import NUMBER, pack
from streams.avro.source import Field, Schema, Source, fields_of, indented, inside, nullable, unsupported

Write = Callable[[Any], bytes]
"""A record to its bytes. An error when a value is not of its field's type."""

_SIMPLE = {
    "int": ["{into} = NUMBER[{value}]"],
    "long": ["{into} = NUMBER[{value}]"],
    "double": ["{into} = pack({value})"],
    "boolean": [r"{into} = b'\1' if {value} else b'\0'"],
    # A compiler makes the most of a text and its bytes when each has a variable of its type.
    "string": [
        "text_{value}: str = {value}",
        "bytes_{value} = text_{value}.encode()",
        "{into} = NUMBER[len(bytes_{value})] + bytes_{value}",
    ],
    "bytes": ["{into} = NUMBER[len({value})] + {value}"],
}


def writer_of(schema: Schema, record: type[msgspec.Struct]) -> Write:
    """The function that writes a record. TypeError when the schema is not supported or not the record's."""
    source = writers()
    write: Write = source.function(add_writer(source, schema, record))
    return write


def writers() -> Source:
    """For functions that write, none yet."""
    return Source(NUMBER=NUMBER, pack=pack, WRITTEN=WRITTEN, written=written)


def add_writer(source: Source, schema: Schema, record: Any) -> str:
    """The name of the function for this record."""
    name = source.records[schema["name"], record] = source.fresh("write")
    body: list[str] = []
    pieces = []
    for field in fields_of(schema, record):
        value, piece = source.fresh("v"), source.fresh("p")
        body += [f"{value} = o.{field.name}", *_field(source, field, value, piece)]
        pieces.append(piece)
    source.add(f"def {name}(o: Any) -> bytes:", [*body, f"return b''.join(({', '.join(pieces)},))"])
    return name


def _field(source: Source, field: Field, value: str, into: str) -> list[str]:
    if field.name in RECURRING and field.schema == "string":
        return [f"{into} = WRITTEN.get({value}) or written({value})"]
    return _value(source, field.schema, field.hint, value, into)


def _value(source: Source, schema: Schema, hint: Any, value: str, into: str) -> list[str]:
    """Statements that leave the bytes of `value` in `into`."""
    union = nullable(schema)
    if union is None:
        return _plain(source, schema, hint, value, into)
    null, other = union
    plain = _plain(source, other, inside(hint), value, into)
    return [
        f"if {value} is None: {into} = {bytes([2 * null])!r}",
        "else:",
        *indented([*plain, f"{into} = {bytes([2 - 2 * null])!r} + {into}"]),
    ]


def _plain(source: Source, schema: Schema, hint: Any, value: str, into: str) -> list[str]:
    match schema:
        case str() if schema in _SIMPLE:
            return [line.format(value=value, into=into) for line in _SIMPLE[schema]]
        case str() if (schema, hint) in source.records:
            return [f"{into} = {source.records[schema, hint]}({value})"]
        case {"type": "record"}:
            return [f"{into} = {add_writer(source, schema, hint)}({value})"]
        case {"type": "array", "items": items}:
            return _array(source, items, inside(hint), value, into)
        case {"type": "map", "values": values}:
            return _map(source, values, inside(hint), value, into)
        case {"type": str() as simple}:
            return _plain(source, simple, hint, value, into)
    raise unsupported(schema)


def _array(source: Source, items: Schema, hint: Any, value: str, into: str) -> list[str]:
    item, piece, pieces = source.fresh("v"), source.fresh("p"), source.fresh("all")
    return [
        f"{pieces} = []",
        f"for {item} in {value}:",
        *indented([*_value(source, items, hint, item, piece), f"{pieces}.append({piece})"]),
        _block(value, pieces, into),
    ]


def _map(source: Source, values: Schema, hint: Any, value: str, into: str) -> list[str]:
    key, item, piece, pieces = (source.fresh(kind) for kind in ("k", "v", "p", "all"))
    return [
        f"{pieces} = []",
        f"for {key}, {item} in {value}.items():",
        *indented(
            [
                *_plain(source, "string", str, key, piece),
                f"{pieces}.append({piece})",
                *_value(source, values, hint, item, piece),
                f"{pieces}.append({piece})",
            ]
        ),
        _block(value, pieces, into),
    ]


def _block(value: str, pieces: str, into: str) -> str:
    """The count, the items, and the empty block that ends them."""
    return rf"{into} = NUMBER[len({value})] + b''.join({pieces}) + b'\0' if {value} else b'\0'"
