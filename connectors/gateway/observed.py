"""Around every request: its id, the security headers, its duration, a line in the log when it went wrong."""

import time
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from connectors.gateway.metrics import GatewayMetrics
from connectors.gateway.request_id import identify
from streams.log import get

log = get(__name__)

_SLOW_S = 1.0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'self'; frame-ancestors 'none'"),
]


def observed(app: ASGIApp, metrics: GatewayMetrics) -> ASGIApp:
    """The application, watched. Also sees what no route takes (404, 405)."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        request_id = identify(scope, dict(scope["headers"]))  # type: ignore[arg-type]
        status = 500
        began = time.perf_counter()

        async def send_marked(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _with_ours(message.get("headers", []), request_id)}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await app(scope, receive, send_marked)
            finally:
                took = time.perf_counter() - began
                route = str(scope.get("path_template") or "unmatched")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                metrics.requests.labels(route, method, str(status)).observe(took)
                if status >= 500 or took > _SLOW_S:
                    log.warning("request", route=route, method=method, status=status, seconds=round(took, 3))

    return serve


def _with_ours(headers: Any, request_id: str) -> list[tuple[bytes, bytes]]:
    """The answer's headers with ours added; what the endpoint set itself stays."""
    given = [(bytes(name).lower(), bytes(value)) for name, value in headers]
    names = {name for name, _ in given}
    added = [(b"x-request-id", request_id.encode()), *_SECURITY]
    return given + [(name, value) for name, value in added if name not in names]
