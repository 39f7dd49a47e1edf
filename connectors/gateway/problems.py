"""Every refusal as an RFC 9457 problem: a stable `type` and `code`, the request id, all wrong fields at once.

`error` repeats the title, because the clients of the older API read that member.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from connectors.gateway.request_id import request_id_of
from schemas.errors import ContractError, Problem, UnavailableError, UnknownTypeError
from streams.log import get

log = get(__name__)

MEDIA_TYPE = "application/problem+json"
TITLES = {
    "invalid": "The request does not hold",
    "unauthenticated": "Sign in first",
    "forbidden": "Not allowed",
    "not_found": "Not found",
    "method_not_allowed": "The path does not take this method",
    "conflict": "In conflict with what is there",
    "too_large": "The body is too large",
    "unsupported_media_type": "The body must be JSON",
    "unknown_type": "No such queue or job type",
    "refused": "A rule refuses this",
    "idempotency_conflict": "The key was used with other data",
    "not_offered": "Not offered by this version",
    "not_configured": "A setting is missing",
    "unavailable": "A service is away",
    "internal": "Something went wrong here",
}
_BY_STATUS = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "refused",
    501: "not_offered",
    503: "unavailable",
}


class Refusal(Exception):  # noqa: N818 - the word for what it is
    """A request that is not carried out, and what to tell its sender."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        problems: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.problems = problems
        self.headers = dict(headers or {})
        self.members = dict(members or {})


def not_found(what: str) -> Refusal:
    """Also for what the caller may not see: whether it exists is none of their business."""
    return Refusal(404, "not_found", f"no such {what}")


def forbidden(detail: str) -> Refusal:
    """The caller is known, and may not."""
    return Refusal(403, "forbidden", detail)


def refusal_of(error: Exception) -> Refusal:
    """What an exception means for the sender; one that we did not foresee is 500 and does not say why."""
    match error:
        case Refusal():
            return error
        case UnknownTypeError():
            return Refusal(422, "unknown_type", str(error), problems=error.problems)
        case ContractError():
            return Refusal(400, "invalid", str(error), problems=error.problems)
        case UnavailableError():
            retry = {"Retry-After": str(max(1, ceil(error.retry_after_s)))}
            return Refusal(503, "unavailable", str(error), headers=retry)
        case HTTPException(status_code=status) if status in _BY_STATUS:
            headers = {str(name): str(value) for name, value in (error.headers or {}).items()}
            return Refusal(status, _BY_STATUS[status], TITLES[_BY_STATUS[status]], headers=headers)
    return Refusal(500, "internal", "the request could not be carried out; its id finds it in the log")


def body_of(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """The problem's members."""
    title = TITLES[refusal.code]
    body: dict[str, Any] = {
        "type": f"urn:tierflow:problem:{refusal.code.replace('_', '-')}",
        "title": title,
        "status": refusal.status,
        "detail": refusal.detail,
        "error": title,
        "code": refusal.code,
        "requestId": request_id,
    }
    if refusal.problems:
        body["errors"] = [{"field": p.field, "message": p.message} for p in refusal.problems]
    return {**body, **refusal.members}


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """The exception handler of the whole application."""
    refusal = refusal_of(error)
    if refusal.status == 500:
        log.error("request failed", path=request.url.path, exc_info=error)
    elif refusal.status in (401, 403):
        log.info("request refused", path=request.url.path, code=refusal.code, reason=refusal.detail)
    return Response(
        body_of(refusal, request_id_of(request.scope)),
        status_code=refusal.status,
        headers=refusal.headers,
        media_type=MEDIA_TYPE,
    )
