"""Which dead letters a request means: from its query, or from a body's `filter`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request
from litestar.params import FromQuery, QueryParameter

from connectors.gateway.identity import Role
from connectors.gateway.roles import identity_of
from connectors.postgres.letter_filter import Fate, LetterFilter
from schemas.catalogue import find_queue, find_type
from schemas.errors import ContractError

Call = Request[Any, Any, Any]
Moment = Annotated[datetime | None, QueryParameter(description="ISO 8601; without a zone UTC")]


async def letter_filter(
    queue: FromQuery[str | None] = None,
    type_: Annotated[str | None, QueryParameter(name="type")] = None,
    tier: Annotated[int | None, QueryParameter(ge=0, le=3)] = None,
    error_class: Annotated[str | None, QueryParameter(name="errorClass")] = None,
    fingerprint: FromQuery[str | None] = None,
    job_id: Annotated[str | None, QueryParameter(name="jobId")] = None,
    document_id: Annotated[str | None, QueryParameter(name="documentId")] = None,
    user_id: Annotated[str | None, QueryParameter(name="userId")] = None,
    tenant_id: Annotated[str | None, QueryParameter(name="tenantId")] = None,
    since: Moment = None,
    until: Moment = None,
    fate: FromQuery[Fate] = "open",
) -> LetterFilter:
    """The filter of a query. `fate` open (not re-driven yet), redriven or all."""
    given = LetterFilter(
        queue=queue, type=type_, tier=tier, error_class=error_class, fingerprint=fingerprint, job_id=job_id,
        document_id=document_id, user_id=user_id, tenant_id=tenant_id, since=since, until=until, fate=fate,
    )  # fmt: skip
    return named(given)


def filter_of(members: Mapping[str, Any]) -> LetterFilter:
    """The filter in a body; ContractError for members that are none."""
    try:
        return named(msgspec.convert(members, LetterFilter))
    except msgspec.ValidationError as error:
        raise ContractError.of("filter", str(error)) from None


def named(given: LetterFilter) -> LetterFilter:
    """The filter with the catalogue's own names, and times with a zone."""
    queue = find_queue(given.queue).name if given.queue else None
    kind = find_type(queue, given.type).kind if queue and given.type else given.type
    texts = (getattr(given, name) for name in given.__struct_fields__)
    if any("\x00" in text for text in texts if isinstance(text, str)):
        raise ContractError.of("", "a filter's texts have no NUL character")
    return msgspec.structs.replace(
        given, queue=queue, type=kind, since=_zoned(given.since), until=_zoned(given.until)
    )


def tenants_of(request: Call) -> tuple[str, ...] | None:
    """Whose letters the caller may touch; None: everyone's."""
    identity = identity_of(request)
    return None if identity.role is Role.ADMIN else identity.tenants


def _zoned(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
