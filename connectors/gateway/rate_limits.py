"""`/rate-limits/*`: how the providers' limits stand, and an operator's stop, resume and reset.

An order is given when every in-sync replica has it; no new call starts half a second later. It goes to the
limiter, which keeps it in its table, so it outlives every process.
"""

from typing import Any

import msgspec
from litestar import Request, Router, get, post
from litestar.params import FromPath, FromQuery

from connectors.gateway.audit import audited
from connectors.gateway.body import read_json
from connectors.gateway.limit_view import LimitCheck, LimitStatus, check_of, status_of
from connectors.gateway.parts import parts_of
from connectors.gateway.roles import ADMINS, EVERYONE, allow, identity_of
from connectors.kafka.producer import Outgoing
from schemas.errors import ContractError
from schemas.limits import GROUPS, find_group
from schemas.records import LimitRequest

Call = Request[Any, Any, Any]


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which provider; none given means all of them."""

    service: str | None = None


class Reset(msgspec.Struct, frozen=True):
    """What was reset."""

    service: str
    status: str
    message: str


class Ordered(msgspec.Struct, frozen=True):
    """What was ordered, and for which groups."""

    status: str
    message: str
    services: list[str]


@get("/rate-limits/status/{key:str}", guards=[allow(EVERYONE)])
async def status(request: Call, key: FromPath[str]) -> dict[str, LimitStatus]:
    """Show a provider's limit: calls that could start now, calls that run, its figures and its circuit."""
    parts, group = parts_of(request), find_group(key)
    return {key: status_of(parts.limits[group], parts.rate_limits.get(group), parts.now_ms())}


@get("/rate-limits/check/{service:str}", guards=[allow(EVERYONE)])
async def check(request: Call, service: FromPath[str]) -> LimitCheck:
    """Say whether a call to a provider would have to wait now, and how long at least."""
    parts, group = parts_of(request), find_group(service)
    return check_of(service, parts.limits[group], parts.rate_limits.get(group), parts.now_ms())


@post("/rate-limits/reset/{service:str}", status_code=200, guards=[allow(ADMINS)])
async def reset(request: Call, service: FromPath[str]) -> Reset:
    """End a provider's pause and close its circuit. Neither its rate nor its running calls are forgotten."""
    group = find_group(service)
    await _order(request, "reset", [group])
    return Reset(group, "reset", f"Rate limiter for {group} has been reset")


@post("/rate-limits/emergency-stop", status_code=200, guards=[allow(ADMINS)])
async def emergency_stop(request: Call, service: FromQuery[str | None] = None) -> Ordered:
    """Start no new call to one provider, or to any, on any worker; running ones end, jobs stay waiting."""
    groups = await _chosen(request, service)
    await _order(request, "stop", groups)
    return Ordered("stopped", f"{_whose(groups)} have been paused", groups)


@post("/rate-limits/resume", status_code=200, guards=[allow(ADMINS)])
async def resume(request: Call, service: FromQuery[str | None] = None) -> Ordered:
    """Let calls start again, within the limits as they were."""
    groups = await _chosen(request, service)
    await _order(request, "resume", groups)
    return Ordered("resumed", f"{_whose(groups)} have been resumed", groups)


async def _chosen(request: Call, service: str | None) -> list[str]:
    """All groups, or the one that the query or the body names."""
    if service is not None:
        return [find_group(service)]
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return sorted(GROUPS)  # no body at all
    raw = await read_json(request, parts_of(request).settings.body_limit)
    try:
        chosen = msgspec.json.decode(raw, type=Chosen)
    except msgspec.ValidationError as error:
        raise ContractError.of("service", str(error)) from error
    return sorted(GROUPS) if chosen.service is None else [find_group(chosen.service)]


async def _order(request: Call, order: str, groups: list[str]) -> None:
    """All of them or none: half a stop would be none."""
    parts, by = parts_of(request), identity_of(request).subject
    topic = parts.topology.limit_requests
    records = [
        Outgoing(topic, group.encode(), parts.codec.encode(LimitRequest(group, order=order, by=by)))
        for group in groups
    ]
    if len(records) == 1:
        await parts.producer.send(topic, records[0].key, records[0].value)
    else:
        await parts.producer.send_all(records)
    audited(request, f"limits.{order}", ",".join(groups))


def _whose(groups: list[str]) -> str:
    return "All rate limiters" if len(groups) == len(GROUPS) else f"Rate limiters of {', '.join(groups)}"


router = Router("/", route_handlers=[status, check, reset, emergency_stop, resume], tags=["limits"])
