"""`GET /failed`: the dead letters, latest first."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get
from litestar.params import FromQuery, QueryParameter

from connectors.gateway.identity import Role
from connectors.gateway.job_answer import iso, raw
from connectors.gateway.parts import parts_of
from connectors.gateway.roles import TENANT_ADMINS, allow, identity_of
from schemas.catalogue import find_queue, find_type
from schemas.records import AttemptError, DeadLetter

Call = Request[Any, Any, Any]


class LetterError(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """Why it is here; what is here is not tried again by itself."""

    class_: str
    message: str
    retryable: bool = False


class LetterAttempt(msgspec.Struct, frozen=True, rename="camel"):
    """One failed attempt."""

    attempt: int
    at: str
    error: LetterError


class LetterSource(msgspec.Struct, frozen=True):
    """Where the record stood."""

    topic: str
    partition: int
    offset: int


class Letter(msgspec.Struct, frozen=True, rename="camel"):
    """A job that ended dead, or a record that is no job at all (then `jobId` and `queue` are null)."""

    id: str
    job_id: str | None
    queue: str | None
    type: str | None
    tier: int
    data: Any
    error: LetterError
    fingerprint: str
    attempts: list[LetterAttempt]
    first_failed_at: str
    last_failed_at: str
    source: LetterSource
    trace_id: str | None
    user_id: str | None
    tenant_id: str | None
    document_id: str | None


class Letters(msgspec.Struct, frozen=True):
    """A page; `cursor` asks for the next one and is null on the last."""

    failed: list[Letter]
    cursor: str | None


@get("/failed", guards=[allow(TENANT_ADMINS)])
async def failed(
    request: Call,
    queue: FromQuery[str | None] = None,
    type_: Annotated[str | None, QueryParameter(name="type")] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> Letters:
    """List dead letters: an admin every tenant's, a venue admin their own tenants'."""
    identity = identity_of(request)
    name = find_queue(queue).name if queue else None
    kind = find_type(name, type_).kind if name and type_ else type_
    page = await parts_of(request).records.failed(
        tenants=None if identity.role is Role.ADMIN else identity.tenants,
        queue=name,
        type=kind,
        cursor=cursor,
        limit=limit,
    )
    return Letters([_letter(letter) for letter in page.letters], page.cursor)


def _letter(letter: DeadLetter) -> Letter:
    return Letter(
        id=letter.letter_id,
        job_id=letter.job_id,
        queue=letter.queue,
        type=letter.type,
        tier=letter.tier,
        data=raw(letter.data),
        error=LetterError(letter.error_class, letter.message),
        fingerprint=letter.fingerprint,
        attempts=[_attempt(error) for error in letter.errors],
        first_failed_at=iso(letter.first_failed_at),
        last_failed_at=iso(letter.last_failed_at),
        source=LetterSource(letter.source_topic, letter.source_partition, letter.source_offset),
        trace_id=_trace_id(letter.traceparent),
        user_id=letter.user_id,
        tenant_id=letter.tenant_id,
        document_id=letter.document_id,
    )


def _attempt(error: AttemptError) -> LetterAttempt:
    return LetterAttempt(error.attempt, iso(error.at), LetterError(error.error_class, error.message))


def _trace_id(traceparent: str | None) -> str | None:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None


router = Router("/", route_handlers=[failed], tags=["dead letters"])
