"""Who calls: a verified token becomes an Identity, or the request is refused with 401.

The algorithm is decided by where the keys come from, never by the token; `kid` only chooses among our own
keys, and a key or a key's address inside a token (`jwk`, `jku`, `x5u`) is not looked at.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Protocol

import jwt

from connectors.gateway.keys import KeySource
from connectors.gateway.problems import Refusal

MAX_TOKEN_CHARS = 16_384
# So long a token goes on after its key was withdrawn; never beyond its own end.
BELIEVED_S = 10.0
_MAX_SEEN = 10_000
_LEEWAY_S = 5
_MAX_NAME = 200


class Role(StrEnum):
    """What a caller may do; each endpoint lists the roles it serves."""

    ADMIN = "admin"
    VENUE_ADMIN = "venue_admin"
    USER = "user"
    MONITORING = "monitoring"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller. `documents` are ids or globs; None: every document of the caller's tenants."""

    subject: str
    role: Role
    tenants: tuple[str, ...] = ()
    documents: tuple[str, ...] | None = None

    def may_open(self, document_id: str) -> bool:
        """Whether the token's list of documents, if it has one, allows this one."""
        return self.documents is None or any(fnmatchcase(document_id, glob) for glob in self.documents)


# Without authentication everything is one tenant's, and the gateway listens on the loopback address only.
DEMO = Identity("demo", Role.ADMIN, ("demo",))


class Verifier(Protocol):
    """Turns a bearer token into an identity."""

    async def identity(self, token: str | None) -> Identity:
        """The caller; Refusal 401 when the token does not hold, 503 when its keys cannot be had."""


class OpenMode:
    """Development without authentication: everyone is the demo admin."""

    async def identity(self, token: str | None) -> Identity:
        """The demo admin, whatever the token."""
        return DEMO


class TokenVerifier:
    """Verifies JSON Web Tokens with the keys of one source."""

    def __init__(
        self,
        keys: KeySource,
        *,
        audience: str | None = None,
        issuer: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer
        self._clock = clock
        self._seen: dict[bytes, tuple[float, Identity]] = {}

    async def identity(self, token: str | None) -> Identity:
        """The caller that the token names."""
        if not token:
            raise unauthenticated("send a token: `Authorization: Bearer ...`")
        mark = sha256(token.encode()).digest()
        until, identity = self._seen.get(mark, (0.0, None))
        if identity is not None and self._clock() < until:
            return identity
        try:
            claims = await self._claims(token)
        except jwt.PyJWTError as error:
            raise unauthenticated(f"the token does not hold: {error}") from error
        return self._remember(mark, _identity(claims), float(claims["exp"]))

    def _remember(self, mark: bytes, identity: Identity, expires_at: float) -> Identity:
        """Checking a signature costs a third of a request: a token that held is believed for a moment."""
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        self._seen[mark] = (min(expires_at, self._clock() + BELIEVED_S), identity)
        return identity

    async def _claims(self, token: str) -> Mapping[str, Any]:
        if len(token) > MAX_TOKEN_CHARS:
            raise unauthenticated("the token is too long")
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in self._keys.algorithms:
            raise unauthenticated("the token's algorithm is not accepted")
        if "crit" in header:
            raise unauthenticated("the token demands an extension that is not known")
        kid = header.get("kid")
        key = await self._keys.key(kid if isinstance(kid, str) else None, algorithm)
        if key is None:
            raise unauthenticated("the token's key is not known")
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=_LEEWAY_S,
            options={
                "require": ["exp"],
                "verify_aud": self._audience is not None,
                "verify_iss": self._issuer is not None,
                # `sub` may be a number in older tokens; `_identity` checks what we use.
                "verify_sub": False,
            },
        )
        return claims


def unauthenticated(detail: str) -> Refusal:
    """401, with the scheme that would help."""
    return Refusal(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def _identity(claims: Mapping[str, Any]) -> Identity:
    role = claims.get("role")
    if not isinstance(role, str) or role not in set(Role):
        raise unauthenticated(f"the token's role must be one of {', '.join(Role)}")
    given = claims.get("documents")
    return Identity(
        subject=_subject(claims),
        role=Role(role),
        tenants=_names("tenants", claims.get("venues", claims.get("tenants", ()))),
        documents=None if given is None else _names("documents", given),
    )


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("id", claims.get("sub"))
    if isinstance(subject, int) and not isinstance(subject, bool):
        subject = str(subject)
    if not isinstance(subject, str) or not _is_name(subject):
        raise unauthenticated("the token names no user: claim `id` or `sub`")
    return subject


def _names(claim: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(n, str) and _is_name(n) for n in given):
        raise unauthenticated(f"the token's {claim} must be a list of names")
    return tuple(given)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _MAX_NAME and text.isprintable()
