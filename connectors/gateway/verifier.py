"""The verifier that the settings ask for."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.gateway.identity import OpenMode, TokenVerifier, Verifier
from connectors.gateway.keys import ASYMMETRIC, JwksKeys, KeySource, PemKey, SharedSecret
from schemas.errors import ConfigError
from streams.settings import AuthSettings

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
MAX_JWKS_BYTES = 1_000_000


def verifier_of(auth: AuthSettings) -> Verifier:
    """Build it; ConfigError when the settings name no source of keys or algorithms that fit none."""
    if auth.mode == "open":
        return OpenMode()
    return TokenVerifier(_keys(auth), audience=auth.audience, issuer=auth.issuer)


def host_of(auth: AuthSettings, host: str | None) -> str:
    """The address to listen on; without authentication the loopback address and no other."""
    if auth.mode == "jwt":
        return host or "0.0.0.0"
    if host is not None and host not in LOOPBACK:
        raise ConfigError(
            f"TIERFLOW_HOST={host}: TIERFLOW_AUTH=open lets everyone in, so it listens on 127.0.0.1 only; "
            "set JWT_PUBLIC_KEY, JWT_JWKS_URL or JWT_SECRET and remove TIERFLOW_AUTH to be reachable"
        )
    return host or "127.0.0.1"


def _keys(auth: AuthSettings) -> KeySource:
    if auth.secret is not None:
        return SharedSecret(auth.secret.get_secret_value())
    allowed = _algorithms(auth.algorithms)
    if auth.public_key is not None:
        return PemKey(auth.public_key, allowed)
    if auth.jwks_url is not None:
        return JwksKeys(_checked(auth.jwks_url), allowed, fetch_jwks)
    raise ConfigError(
        "set JWT_PUBLIC_KEY, JWT_JWKS_URL or JWT_SECRET, "
        "or TIERFLOW_AUTH=open for development on this machine only"
    )


def _algorithms(given: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in given.split(",") if name.strip())
    if not names or not names <= ASYMMETRIC:
        raise ConfigError(f"JWT_ALGORITHMS: use some of {', '.join(sorted(ASYMMETRIC))}")
    return names


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return url
    raise ConfigError("JWT_JWKS_URL: must be https (http only on this machine)")


async def fetch_jwks(url: str) -> Mapping[str, Any]:
    """A JWK set from its address: no redirects, five seconds, at most a megabyte."""
    async with (
        httpx.AsyncClient(timeout=5.0, follow_redirects=False) as client,
        client.stream("GET", url, headers={"Accept": "application/json"}) as response,
    ):
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        raw = b""
        async for chunk in response.aiter_bytes():
            raw += chunk
            if len(raw) > MAX_JWKS_BYTES:
                raise ValueError("larger than a megabyte")
    document = json.loads(raw)
    if not isinstance(document, dict):
        raise ValueError("not a JWK set")
    return document
