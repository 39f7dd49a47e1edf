"""The data of every job type in the OpenAPI document, those of job authors included."""

from collections.abc import Collection
from typing import Any

from connectors.gateway.request_schema import inlined
from schemas.catalogue import JOB_TYPES
from schemas.job_type import JobType


def with_data_schemas(document: dict[str, Any], available: Collection[str]) -> dict[str, Any]:
    """The document with a schema `data.KIND` for each type that may be submitted here."""
    components = document.get("components", {})
    described = {
        f"data.{kind}": _schema(job_type)
        for kind, job_type in JOB_TYPES.items()
        if job_type.public and kind in available
    }
    schemas = {**components.get("schemas", {}), **described}
    return {**document, "components": {**components, "schemas": schemas}}


def _schema(job_type: JobType) -> dict[str, Any]:
    once = f"; once per {job_type.idempotency!r}" if job_type.idempotency else ""
    policy = (
        f"Queue {job_type.queue!r}, type {job_type.kind!r}, tier {job_type.tier.value}, priority"
        f" {job_type.priority}, {job_type.retry.attempts} attempts of {job_type.timeout_s:g} s{once}."
    )
    schema = inlined(job_type.contract)
    return {**schema, "description": f"{schema.get('description', '')}\n\n{policy}".strip()}
