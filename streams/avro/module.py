"""The generated functions of many records as the text of a module, and where that was compiled, they.

Nothing is compiled here: `ops/compiled` does it, and puts the module where it is found.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any

import msgspec

from streams.avro.reading import add_reader, readers
from streams.avro.source import Schema
from streams.avro.writing import add_writer, writers

NAME = "tierflow_avro"
_IMPORTING = Lock()
Schemas = Mapping[type[msgspec.Struct], Schema]
_HEAD = """\
from __future__ import annotations

from typing import Any

from streams.avro.names import NAMES, WRITTEN, share, written
from streams.avro.numbers import NUMBER, pack, unknown, unpack
from streams.avro.numbers import read_count as count, read_length as length, read_long as long
"""


def module_text(records: Schemas, parts: Schemas) -> str:
    """A module that writes and reads these records, and reads these parts of the records of a schema."""
    reading, writing = readers(), writers()
    writes = {of: add_writer(writing, schema, of) for of, schema in records.items()}
    reads = {of: add_reader(reading, schema, of) for of, schema in records.items()}
    reading.whole = False
    reads |= {of: add_reader(reading, schema, of) for of, schema in parts.items()}
    classes = {name: value for name, value in reading.named.items() if isinstance(value, type)}
    imports = [f"from {of.__module__} import {of.__name__} as {name}" for name, of in classes.items()]
    names = {of: name for name, of in classes.items()}
    tables = [_table("READS", reads, names), _table("WRITES", writes, names), ""]
    return "\n".join([_HEAD, *imports, reading.text, writing.text, *tables])


def reader_ahead(record: type[msgspec.Struct]) -> Any:
    """The function that reads a record or a part, if it was compiled."""
    return _ahead("READS", record)


def writer_ahead(record: type[msgspec.Struct]) -> Any:
    """The function that writes a record, if it was compiled."""
    return _ahead("WRITES", record)


def _ahead(table: str, record: type[msgspec.Struct]) -> Any:
    # While one thread imports a compiled module another one would find it, and not complete.
    with _IMPORTING:
        return None if find_spec(NAME) is None else getattr(import_module(NAME), table).get(record)


def _table(name: str, functions: Mapping[type, str], names: Mapping[type, str]) -> str:
    pairs = ", ".join(f"{names[of]}: {function}" for of, function in functions.items())
    return f"{name}: dict[type, Any] = {{{pairs}}}"
