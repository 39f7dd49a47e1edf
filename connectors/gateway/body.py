"""The body of a request: JSON, of bounded size, depth and number of members, or a refusal that says which."""

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Request

from connectors.gateway.problems import Refusal
from schemas.errors import ContractError

MAX_DEPTH = 32
MAX_MEMBERS = 10_000
MAX_BATCH_MEMBERS = 200_000

Members = dict[str, Any]


async def read_json(request: Request[Any, Any, Any], limit: int, max_members: int = MAX_MEMBERS) -> bytes:
    """The body's bytes, known to be JSON within the limits; Refusal 413 or 415, ContractError otherwise."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Refusal(415, "unsupported_media_type", "send Content-Type: application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "unsupported_media_type", "send the body without Content-Encoding")
    body = await _read(request, limit)
    check(decoded(body), max_members)
    return body


def decoded(body: bytes) -> Any:
    """The JSON value; ContractError names the place where it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError.of("", f"the body is not JSON: {error}") from error
    except RecursionError:
        raise ContractError.of("", f"the body is nested deeper than {MAX_DEPTH} levels") from None


def check(value: Any, max_members: int) -> None:
    """Refuse what is nested too deep or has too many members: it would cost every reader down the line."""
    members = 0
    level: list[Any] = [value]
    depth = 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        members += sum(len(item) for item in level if isinstance(item, dict))
        if depth > MAX_DEPTH:
            raise ContractError.of("", f"the body is nested deeper than {MAX_DEPTH} levels")
        if members > max_members:
            raise ContractError.of("", f"the body has more than {max_members} members")
        level = list(_inside(level))


def _inside(level: list[Any]) -> Iterator[Any]:
    for item in level:
        yield from item.values() if isinstance(item, dict) else item


async def _read(request: Request[Any, Any, Any], limit: int) -> bytes:
    """The bytes, counted while they come: a client that lies about the length gains nothing."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    body = bytearray()
    more = True
    while more:
        message: Any = await request.receive()
        if message["type"] == "http.disconnect":
            raise ContractError.of("", "the body ended early")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "too_large", f"the body may have {limit} bytes")
