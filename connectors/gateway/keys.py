"""Where the keys of tokens come from, and which algorithms each source allows.

A public key never verifies an HMAC, a shared secret nothing but one: a token cannot turn the one into the
other by naming an algorithm.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from schemas.errors import ConfigError, UnavailableError
from streams.log import get

log = get(__name__)

RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
EC = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
ASYMMETRIC = RSA | frozenset(EC.values())
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_MIN_RSA_BITS = 2048

# Long enough that a busy gateway rarely asks, short enough that a withdrawn key is soon forgotten.
JWKS_FRESH_S = 300.0
# An unknown `kid` may be a new key, or an attacker's invention: ask, but not for each request.
JWKS_RETRY_S = 10.0
# The provider away: the keys that we have go on for this long.
JWKS_STALE_S = 24 * 3600.0

Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]


class KeySource(Protocol):
    """Keys for verifying, and the algorithms they may be used with."""

    @property
    def algorithms(self) -> frozenset[str]:
        """The only algorithms that a token may name."""

    async def key(self, kid: str | None, algorithm: str) -> Any | None:
        """The key for a token, or None when there is none."""


class SharedSecret:
    """HS256 with a secret that the issuer and we know."""

    algorithms = frozenset({"HS256"})

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def key(self, kid: str | None, algorithm: str) -> Any | None:
        """The secret."""
        return self._secret


class PemKey:
    """One public key."""

    def __init__(self, pem: str, allowed: frozenset[str]) -> None:
        try:
            self._key = load_pem_public_key(pem.replace("\\n", "\n").encode())
        except ValueError as error:
            raise ConfigError("JWT_PUBLIC_KEY: not a public key in PEM") from error
        self.algorithms = self._fitting() & allowed
        if not self.algorithms:
            raise ConfigError("JWT_ALGORITHMS: none of them fits the key in JWT_PUBLIC_KEY")

    def _fitting(self) -> frozenset[str]:
        match self._key:
            case RSAPublicKey(key_size=bits) if bits >= _MIN_RSA_BITS:
                return RSA
            case RSAPublicKey():
                raise ConfigError(f"JWT_PUBLIC_KEY: an RSA key needs at least {_MIN_RSA_BITS} bits")
            case EllipticCurvePublicKey(curve=curve) if curve.name in EC:
                return frozenset({EC[curve.name]})
        raise ConfigError("JWT_PUBLIC_KEY: use an RSA key or an EC key on P-256, P-384 or P-521")

    async def key(self, kid: str | None, algorithm: str) -> Any | None:
        """The key, whatever its id."""
        return self._key


class JwksKeys:
    """The keys that an address publishes; fetched when first needed, when old, and when a `kid` is new."""

    def __init__(
        self,
        url: str,
        allowed: frozenset[str],
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.algorithms = allowed
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[tuple[str | None, str], Any] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._turn = asyncio.Lock()

    async def key(self, kid: str | None, algorithm: str) -> Any | None:
        """The published key of this id and algorithm; UnavailableError when no keys can be had at all."""
        if self._is_due(kid, algorithm):
            async with self._turn:
                if self._is_due(kid, algorithm):
                    await self._refresh()
        if self._clock() - self._fetched_at > JWKS_STALE_S:
            raise UnavailableError("the keys of the tokens' issuer cannot be fetched")
        return self._find(kid, algorithm)

    def _find(self, kid: str | None, algorithm: str) -> Any | None:
        if kid is not None:
            return self._keys.get((kid, algorithm))
        fitting = [key for (_, known), key in self._keys.items() if known == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    def _is_due(self, kid: str | None, algorithm: str) -> bool:
        now = self._clock()
        if now - self._tried_at < JWKS_RETRY_S:
            return False
        return now - self._fetched_at > JWKS_FRESH_S or self._find(kid, algorithm) is None

    async def _refresh(self) -> None:
        self._tried_at = self._clock()
        try:
            document = await self._fetch(self._url)
            self._keys = _published(document, self.algorithms)
        except Exception as error:  # whatever the address answers, the keys we have go on
            log.warning("token keys not fetched", url=self._url, error=str(error))
        else:
            self._fetched_at = self._clock()


def _published(document: Mapping[str, Any], allowed: frozenset[str]) -> dict[tuple[str | None, str], Any]:
    """The usable public keys of a JWK set by (kid, algorithm); symmetric ones are never taken."""
    found: dict[tuple[str | None, str], Any] = {}
    for given in document["keys"]:
        if given.get("use", "sig") != "sig" or "d" in given:
            continue
        for algorithm in _algorithms_of(given) & allowed:
            found[given.get("kid"), algorithm] = jwt.PyJWK({**given, "alg": algorithm}, algorithm).key
    return found


def _algorithms_of(given: Mapping[str, Any]) -> frozenset[str]:
    match given.get("kty"):
        case "RSA":
            fitting = RSA
        case "EC" if given.get("crv") in _CURVES:
            fitting = frozenset({_CURVES[given["crv"]]})
        case _:
            return frozenset()
    return fitting & {given["alg"]} if "alg" in given else fitting
