"""The Avro contracts: each is the record it is named for, field by field, and may change only compatibly."""

import copy
import json
from importlib.resources import files
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from schemas import records
from streams.codec import FILES, schema_text

Schema = dict[str, Any]
ROOM = Path(str(files("schemas")))
RELEASED = sorted(ROOM.glob("released/*/*.avsc"))
CHECKER: Any = ReaderWriterCompatibilityChecker
PRIMITIVES = {str: "string", int: "long", bool: "boolean", bytes: "bytes"}


def avro_of(kind: Any, known: set[str]) -> Any:
    """The Avro type that a Python annotation asks for."""
    if kind in PRIMITIVES:
        return PRIMITIVES[kind]
    if get_origin(kind) in (Union, UnionType):
        (inner,) = (arg for arg in get_args(kind) if arg is not NoneType)
        return ["null", avro_of(inner, known)]
    if get_origin(kind) is list:
        return {"type": "array", "items": avro_of(get_args(kind)[0], known)}
    if get_origin(kind) is dict:
        assert get_args(kind)[0] is str
        return {"type": "map", "values": avro_of(get_args(kind)[1], known)}
    return record_of(kind, known)


def record_of(record: type[msgspec.Struct], known: set[str]) -> Any:
    if record.__name__ in known:
        return record.__name__
    known.add(record.__name__)
    types = get_type_hints(record)
    fields = []
    for field in msgspec.structs.fields(record):
        made = {"name": field.name, "type": avro_of(types[field.name], known)}
        if not field.required:
            default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            made["default"] = msgspec.to_builtins(default)
        fields.append(made)
    return {"type": "record", "name": record.__name__, "fields": fields}


def bare(schema: Any) -> Any:
    """Without documentation and namespaces."""
    if isinstance(schema, dict):
        kept = {key: bare(value) for key, value in schema.items() if key not in ("doc", "namespace")}
        return kept | ({"default": schema["default"]} if "default" in schema else {})
    if isinstance(schema, list):
        return [bare(member) for member in schema]
    return schema.removeprefix("tierflow.") if isinstance(schema, str) else schema


@pytest.mark.parametrize("record", FILES, ids=lambda record: record.__name__)
def test_a_contract_has_exactly_the_fields_of_its_record(record: type[msgspec.Struct]) -> None:
    schema = json.loads(schema_text(record))
    assert schema["namespace"] == "tierflow"
    assert bare(schema) == record_of(record, set())


def test_every_contract_file_belongs_to_a_record() -> None:
    assert {path.stem for path in ROOM.glob("*.avsc")} == set(FILES.values())


def test_every_record_has_a_contract_or_stands_in_one() -> None:
    structs = [r for r in vars(records).values() if isinstance(r, type) and issubclass(r, msgspec.Struct)]
    inside: set[str] = set()
    for record in FILES:
        record_of(record, inside)
    assert {record.__name__ for record in structs} - {"Struct"} == inside


def incompatible(one: str, other: str) -> list[str]:
    """Why two versions cannot read each other, either way."""
    found = []
    for reader, writer in ((one, other), (other, one)):
        result = CHECKER().get_compatibility(parse(reader), parse(writer))
        if result.compatibility is not SchemaCompatibilityType.compatible:
            found += sorted(result.messages)
    return found


def test_every_contract_was_released_once() -> None:
    assert {path.name for path in RELEASED} >= {path.name for path in ROOM.glob("*.avsc")}


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_contract_and_every_released_one_read_each_other(released: Path) -> None:
    current = ROOM / released.name
    assert current.exists(), "a released record stays readable"
    assert incompatible(current.read_text(), released.read_text()) == []


def without_default(schema: Schema) -> Schema:
    schema["fields"].append({"name": "extra", "type": "string"})
    return schema


def removed(schema: Schema) -> Schema:
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "job_id"]
    return schema


def retyped(schema: Schema) -> Schema:
    schema["fields"][0]["type"] = "long"
    return schema


def optional_added(schema: Schema) -> Schema:
    schema["fields"].append({"name": "extra", "type": ["null", "string"], "default": None})
    return schema


@pytest.mark.parametrize("change", [without_default, removed, retyped])
def test_an_incompatible_change_is_found(change: Any) -> None:
    before = schema_text(records.JobRequest)
    assert incompatible(json.dumps(change(copy.deepcopy(json.loads(before)))), before)


def test_an_optional_field_may_be_added() -> None:
    before = schema_text(records.JobRequest)
    assert incompatible(json.dumps(optional_added(json.loads(before))), before) == []
