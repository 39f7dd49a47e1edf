"""The generated text and what both generators ask of a schema."""

import re
from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple, get_args, get_type_hints

Schema = Any
"""A parsed schema: a name, a mapping, or a list of a union's branches."""


_VALUES = re.compile(r"\b[vk]\d+\b")


class Field(NamedTuple):
    """A field of a record: its schema and its Python type, None when nothing is made of it."""

    name: str
    schema: Schema
    hint: Any


class Source:
    """The functions made so far, and the values that their text names."""

    def __init__(self, **named: Any) -> None:
        self.whole = True
        """Whether a Python record has all the fields of its schema."""
        self.records: dict[tuple[str, Any], str] = {}
        """Record in the schema, and what is made of it -> the function for it."""
        self._text: list[str] = []
        self._named = named
        self._numbers = count()

    def fresh(self, kind: str) -> str:
        """A name that is used nowhere else."""
        return f"{kind}{next(self._numbers)}"

    def add(self, head: str, body: list[str]) -> None:
        """A whole function; the body is indented here.

        Its types are for a compiler: that of a value is known to nobody before it is read.
        """
        values = sorted(set(_VALUES.findall("\n".join(body))))
        self._text += [head, *indented([f"{name}: Any" for name in values]), *indented(body)]

    def give(self, name: str, value: Any) -> None:
        """Let the functions use a value by this name."""
        self._named[name] = value

    @property
    def text(self) -> str:
        """Every function."""
        return "\n".join(self._text)

    @property
    def named(self) -> Mapping[str, Any]:
        """The values that the functions use."""
        return self._named

    def function(self, name: str) -> Any:
        """Compile everything and return one function of it."""
        text = f"from __future__ import annotations\n{self.text}"
        exec(compile(text, f"<avro {name}>", "exec"), self._named)
        return self._named[name]


def indented(lines: list[str]) -> list[str]:
    """The lines, one step to the right."""
    return [f" {line}" for line in lines]


def fields_of(schema: Schema, record: Any, whole: bool = True) -> list[Field]:
    """The fields in the schema's order; no record takes none. TypeError when the record has others.

    If it need not be the `whole`, it may have fewer.
    """
    hints: Mapping[str, Any] = {} if record is None else get_type_hints(record)
    names = {field["name"] for field in schema["fields"]}
    taken = set() if record is None else set(record.__struct_fields__)
    if not taken <= names or (whole and taken != names):
        raise TypeError(f"{record.__name__} and its schema have different fields")
    return [Field(field["name"], field["type"], hints.get(field["name"])) for field in schema["fields"]]


def nullable(schema: Schema) -> tuple[int, Schema] | None:
    """The number of the null branch and the other type, when the schema is such a union."""
    if not isinstance(schema, list):
        return None
    if len(schema) != 2 or schema.count("null") != 1:
        raise unsupported(schema)
    null = schema.index("null")
    return null, schema[1 - null]


def inside(hint: Any) -> Any:
    """The type within `X | None`, `list[X]` or `dict[str, X]`; of nothing, nothing."""
    if hint is None:
        return None
    found = [one for one in get_args(hint) if one is not type(None)]
    if not found:
        raise TypeError(f"{hint} holds nothing else")
    return found[-1]


def unsupported(schema: Schema) -> TypeError:
    """The error for what our contracts do not use."""
    return TypeError(f"no code can be made for {schema}")
