"""Which roles an endpoint serves, and whose jobs a caller may see."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from connectors.gateway.identity import Identity, Role
from connectors.gateway.parts import parts_of
from connectors.gateway.problems import forbidden
from connectors.gateway.verifier import LOOPBACK

COOKIE = "tierflow_token"
USERS = frozenset({Role.USER, Role.VENUE_ADMIN, Role.ADMIN})
TENANT_ADMINS = frozenset({Role.VENUE_ADMIN, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
WATCHERS = frozenset({Role.MONITORING, Role.ADMIN})
EVERYONE = frozenset(Role)

_KEY = "tierflow_identity"
Connection = ASGIConnection[Any, Any, Any, Any]


def allow(roles: frozenset[Role]) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
    """A guard: lets only these roles pass. 401 without a token that holds, 403 with another role."""

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        parts = parts_of(connection)
        if parts.loopback_only:
            _refuse_foreign_host(connection)
        identity = await parts.verifier.identity(_token(connection))
        if identity.role not in roles:
            raise forbidden(f"this needs one of the roles {', '.join(sorted(roles))}")
        connection.scope["state"][_KEY] = identity

    return guard


def identity_of(connection: Connection) -> Identity:
    """The caller whom the endpoint's guard let pass."""
    identity: Identity = connection.scope["state"][_KEY]
    return identity


def may_see(identity: Identity, user_id: str | None, tenant_id: str | None) -> bool:
    """Whether something that belongs to this user and tenant is the caller's business."""
    match identity.role:
        case Role.ADMIN:
            return True
        case Role.VENUE_ADMIN:
            return tenant_id in identity.tenants or user_id == identity.subject
        case Role.USER:
            return user_id == identity.subject
    return False


def _token(connection: Connection) -> str | None:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return connection.cookies.get(COOKIE)


def _refuse_foreign_host(connection: Connection) -> None:
    """A page elsewhere whose name was rebound to 127.0.0.1 sends its own name as Host."""
    if connection.url.hostname not in LOOPBACK:
        raise forbidden("without authentication only http://127.0.0.1 and http://localhost are served")
