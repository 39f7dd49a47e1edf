"""Tells the OpenAPI document what a body is that an endpoint reads by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from pydantic import BaseModel

_DATA: Mapping[str, Any] = {
    "type": "object",
    "description": "The job's data; its contract depends on queue and type.",
}


def body_schema(model: type[BaseModel], *, with_data: bool = False) -> type[Operation]:
    """An operation whose body is this model; `with_data` adds the free-form member `data`."""
    schema = inlined(model)
    if with_data:
        schema["properties"]["data"] = dict(_DATA)
        schema["required"] = [*schema.get("required", []), "data"]

    @dataclass
    class WithBody(Operation):
        def __post_init__(self) -> None:
            # Litestar passes on what is JSON Schema already.
            self.request_body = RequestBody(
                content={"application/json": OpenAPIMediaType(schema=cast(Schema, schema))},
                required=True,
            )

    return WithBody


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """The model's schema without references: each endpoint's body can be read on its own."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                rest = {name: member for name, member in value.items() if name != "$ref"}
                return {**resolved(definitions[value["$ref"].rpartition("/")[2]]), **rest}
            return {name: resolved(member) for name, member in value.items()}
        return [resolved(item) for item in value] if isinstance(value, list) else value

    return cast(dict[str, Any], resolved(schema))
