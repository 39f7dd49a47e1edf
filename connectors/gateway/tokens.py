"""Tokens for development: what an identity provider would issue, signed with our secret or private key."""

from collections.abc import Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from connectors.gateway.identity import Role
from connectors.gateway.keys import EC
from schemas.errors import ConfigError


def make_token(
    key: str,
    *,
    subject: str,
    role: Role,
    tenants: Sequence[str],
    now_s: int,
    ttl_s: int,
    audience: str | None = None,
    issuer: str | None = None,
) -> str:
    """A signed token. `key` is a private key in PEM (RS256, ES256, ...), else the HS256 secret."""
    claims: dict[str, Any] = {
        "sub": subject,
        "role": role.value,
        "tenants": list(tenants),
        "iat": now_s,
        "exp": now_s + ttl_s,
    }
    given = {"aud": audience, "iss": issuer}
    claims.update({name: value for name, value in given.items() if value is not None})
    signer, algorithm = _signer(key)
    return jwt.encode(claims, signer, algorithm=algorithm)


def _signer(key: str) -> tuple[Any, str]:
    if not key.lstrip().startswith("-----BEGIN"):
        return key, "HS256"
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError("the key file holds no private key in PEM without a password") from error
    match private:
        case RSAPrivateKey():
            return private, "RS256"
        case EllipticCurvePrivateKey(curve=curve) if curve.name in EC:
            return private, EC[curve.name]
    raise ConfigError("use an RSA key or an EC key on P-256, P-384 or P-521")
