"""Re-driving and deleting dead letters: one, some, or all that a filter means."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath

from connectors.gateway.audit import audited
from connectors.gateway.body import read_json
from connectors.gateway.failed_answer import LetterGroup, RedriveRun, group_of, run_of
from connectors.gateway.failed_query import filter_of, tenants_of
from connectors.gateway.identity import Role
from connectors.gateway.lone_redrive import drive_again, status_of, taken
from connectors.gateway.parts import parts_of
from connectors.gateway.problems import not_found
from connectors.gateway.redrive_body import BulkBody, bulk_body, edit_body
from connectors.gateway.roles import TENANT_ADMINS, allow, identity_of
from connectors.gateway.submission import tenant_of
from connectors.postgres.letter_filter import LetterFilter
from connectors.redrive.edit import Edit
from schemas.errors import ContractError

Call = Request[Any, Any, Any]


class Retried(msgspec.Struct, frozen=True, rename="camel"):
    """A letter that was driven again, as this attempt series of this job."""

    letter_id: str
    job_id: str
    series: int
    run_id: str
    status: str


class Matches(msgspec.Struct, frozen=True, rename="camel"):
    """What a dry run found: nothing was ordered."""

    matches: int
    groups: list[LetterGroup]
    dry_run: bool = True


class Deleted(msgspec.Struct, frozen=True):
    """How many letters were deleted."""

    deleted: int


@post("/failed/{letter_id:str}/retry", status_code=202, guards=[allow(TENANT_ADMINS)])
async def retry(request: Call, letter_id: FromPath[str]) -> Retried:
    """Drive one letter again, as a new attempt series of its job; `data`, `patch` or `record` edit it."""
    parts = parts_of(request)
    edit = edit_body(await read_json(request, parts.settings.body_limit)) if _has_body(request) else Edit()
    kept = await parts.letters.one(letter_id, tenants_of(request))
    if kept is None:
        raise not_found("dead letter")
    if kept.redriven is not None:
        raise taken(kept)
    _check_tenant(request, edit)
    made, run = await drive_again(request, kept, edit)
    audited(request, "failed.retry", letter_id, run_id=run.run_id, edited=edit != Edit())
    return Retried(letter_id, made.job_id, made.series, run.run_id, status_of(run))


@post("/failed/retry", status_code=202, guards=[allow(TENANT_ADMINS)])
async def retry_many(request: Call) -> RedriveRun | Matches:
    """Drive many letters again in the background: `ids` or `filter`, with an edit, a rate and a canary."""
    parts, tenants = parts_of(request), tenants_of(request)
    body = bulk_body(await read_json(request, parts.settings.body_limit))
    asked = _asked(body)
    if body.dry_run:
        figures = await parts.letters.figures(asked, tenants)
        groups = await parts.letters.groups(asked, tenants, limit=20)
        return Matches(figures.total, [group_of(group) for group in groups])
    by = identity_of(request).subject
    run = await parts.redrives.order(asked, tenants, body.edit, body.plan, by=by)
    audited(request, "failed.retry", run.run_id, letters=run.tally.total, edited=body.edit != Edit())
    return run_of(run)


@get("/failed/redrives", guards=[allow(TENANT_ADMINS)])
async def runs(request: Call) -> list[RedriveRun]:
    """List the latest re-drives."""
    return [run_of(run) for run in await parts_of(request).redrives.latest(tenants_of(request))]


@get("/failed/redrives/{run_id:str}", guards=[allow(TENANT_ADMINS)])
async def run(request: Call, run_id: FromPath[str]) -> RedriveRun:
    """Show how far a re-drive is."""
    redrives = parts_of(request).redrives
    found = await redrives.find(run_id, tenants_of(request))
    if found is None:
        raise not_found("re-drive")
    return run_of(found, await redrives.problems(run_id) if found.tally.refused else None)


@post("/failed/redrives/{run_id:str}/stop", status_code=200, guards=[allow(TENANT_ADMINS)])
async def stop(request: Call, run_id: FromPath[str]) -> RedriveRun:
    """Stop a re-drive; what was sent stays sent, the rest is open again."""
    redrives = parts_of(request).redrives
    found = await redrives.find(run_id, tenants_of(request))
    if found is None:
        raise not_found("re-drive")
    if await redrives.stop(run_id, identity_of(request).subject):
        audited(request, "failed.retry.stop", run_id)
    return run_of(await redrives.find(run_id, tenants_of(request)) or found)


@delete("/failed/{letter_id:str}", status_code=200, guards=[allow(TENANT_ADMINS)])
async def remove(request: Call, letter_id: FromPath[str]) -> Deleted:
    """Delete a dead letter. Its topic keeps it for 90 days; the job itself stays dead."""
    asked = LetterFilter(ids=[letter_id], fate="all")
    deleted = await _delete(request, asked) if "\x00" not in letter_id else 0
    if not deleted:
        raise not_found("dead letter")
    audited(request, "failed.delete", letter_id)
    return Deleted(deleted)


@post("/failed/clear-old", status_code=200, guards=[allow(TENANT_ADMINS)])
async def clear_old(request: Call) -> Deleted:
    """Delete the letters that failed last more than `olderThanDays` ago (1 to 3650), re-driven or not."""
    parts = parts_of(request)
    members = msgspec.json.decode(await read_json(request, parts.settings.body_limit))
    days = members.get("olderThanDays") if isinstance(members, dict) and len(members) == 1 else None
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 3650:
        raise ContractError.of("olderThanDays", "a whole number from 1 to 3650, and nothing else")
    until = datetime.fromtimestamp(parts.now_ms() / 1000, UTC) - timedelta(days=days)
    deleted = await _delete(request, LetterFilter(until=until, fate="all"))
    audited(request, "failed.clear-old", f"{days} days", deleted=deleted)
    return Deleted(deleted)


async def _delete(request: Call, asked: LetterFilter) -> int:
    by = identity_of(request).subject
    return await parts_of(request).letters.delete(asked, tenants_of(request), by=by)


def _asked(body: BulkBody) -> LetterFilter:
    """What the body means; never everything by an oversight."""
    if (body.ids is None) == (body.filter is None):
        raise ContractError.of("", "give either `ids` or `filter`")
    if body.ids is not None:
        if any("\x00" in letter_id for letter_id in body.ids):
            raise ContractError.of("ids", "an id has no NUL character")
        return LetterFilter(ids=body.ids)
    if not body.filter and not body.all:
        raise ContractError.of("filter", "an empty filter means every letter: say so with `all`: true")
    asked = filter_of(body.filter or {})
    if asked.fate != "open":
        raise ContractError.of("filter.fate", "only letters that nobody has re-driven are re-driven")
    return asked


def _check_tenant(request: Call, edit: Edit) -> None:
    """A record in place of a letter names no tenant but the caller's."""
    if edit.record is None or identity_of(request).role is Role.ADMIN:
        return
    record = msgspec.json.decode(edit.record)
    named = record.get("tenantId") if isinstance(record, dict) else None
    if named is not None:
        tenant_of(identity_of(request), str(named), {})


def _has_body(request: Call) -> bool:
    return "content-type" in request.headers and request.headers.get("content-length") != "0"


ORDERS = [retry, retry_many, runs, run, stop, remove, clear_old]
