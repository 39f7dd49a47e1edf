"""`GET /failed` and what is below it: dead letters listed, grouped, counted, shown whole, exported."""

from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from connectors.gateway.failed_answer import (
    LetterGroup,
    Letters,
    LetterStats,
    WholeLetter,
    group_of,
    letter_of,
    stats_of,
    whole_letter_of,
)
from connectors.gateway.failed_orders import ORDERS
from connectors.gateway.failed_query import letter_filter, tenants_of
from connectors.gateway.parts import parts_of
from connectors.gateway.problems import not_found
from connectors.gateway.roles import TENANT_ADMINS, allow
from connectors.letter_export import MEDIA_TYPES, Format, lines
from connectors.postgres.letter_filter import LetterFilter

Call = Request[Any, Any, Any]
Asked = NamedDependency[LetterFilter]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


@get("/failed", guards=[allow(TENANT_ADMINS)])
async def failed(
    request: Call, asked: Asked, cursor: FromQuery[str | None] = None, limit: Limit = 50
) -> Letters:
    """List dead letters, latest first: an admin every tenant's, a venue admin their own tenants'."""
    page = await parts_of(request).letters.page(asked, tenants_of(request), cursor=cursor, limit=limit)
    return Letters([letter_of(kept) for kept in page.letters], page.cursor)


@get("/failed/groups", guards=[allow(TENANT_ADMINS)])
async def groups(request: Call, asked: Asked, limit: Limit = 50) -> list[LetterGroup]:
    """Group dead letters by their cause (fingerprint), the largest group first."""
    found = await parts_of(request).letters.groups(asked, tenants_of(request), limit=limit)
    return [group_of(group) for group in found]


@get("/failed/stats", guards=[allow(TENANT_ADMINS)])
async def stats(request: Call, asked: Asked) -> LetterStats:
    """Count dead letters by error class, type and hour, with the largest groups."""
    letters, tenants = parts_of(request).letters, tenants_of(request)
    return stats_of(await letters.figures(asked, tenants), await letters.groups(asked, tenants, limit=20))


@get("/failed/export", guards=[allow(TENANT_ADMINS)])
async def export(
    request: Call,
    asked: Asked,
    kind: Annotated[Format, QueryParameter(name="format")] = "jsonl",
) -> Stream:
    """Export dead letters, oldest first, as CSV or as JSON lines with the original bytes in base64."""
    letters = parts_of(request).letters.stream(asked, tenants_of(request), with_bytes=kind == "jsonl")
    return Stream(
        lines(letters, kind),
        media_type=MEDIA_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="dead-letters.{kind}"'},
    )


@get("/failed/{letter_id:str}", guards=[allow(TENANT_ADMINS)])
async def whole(request: Call, letter_id: FromPath[str]) -> WholeLetter:
    """Show a dead letter with its original bytes and every error that was kept."""
    kept = await parts_of(request).letters.one(letter_id, tenants_of(request))
    if kept is None:
        raise not_found("dead letter")
    return whole_letter_of(kept)


router = Router(
    "/",
    route_handlers=[failed, groups, stats, export, whole, *ORDERS],
    dependencies={"asked": Provide(letter_filter)},
    tags=["dead letters"],
)
