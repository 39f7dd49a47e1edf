"""Tokens: which hold, and every forgery that must not."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from connectors.gateway.identity import DEMO, Identity, OpenMode, Role, TokenVerifier
from connectors.gateway.keys import ASYMMETRIC, JWKS_FRESH_S, JWKS_RETRY_S, JwksKeys, PemKey, SharedSecret
from connectors.gateway.problems import Refusal
from connectors.gateway.tokens import make_token
from connectors.gateway.verifier import host_of, verifier_of
from schemas.errors import ConfigError, UnavailableError
from streams.settings import AuthSettings

SECRET = "0123456789abcdef0123456789abcdef"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
# Tokens are made when the tests are collected, maybe a quarter of an hour before they run.
NOW = int(time.time())
LIFE_S = 3_600


def pem(key: Any) -> str:
    raw: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return raw.decode()


def private_pem(key: Any) -> str:
    raw: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return raw.decode()


def claims(**members: Any) -> dict[str, Any]:
    given = {"sub": "ada", "role": "user", "tenants": ["acme"], "exp": NOW + LIFE_S}
    return {name: value for name, value in {**given, **members}.items() if value is not None}


def signed(key: Any = RSA, algorithm: str = "RS256", headers: Any = None, **members: Any) -> str:
    return jwt.encode(claims(**members), key, algorithm=algorithm, headers=headers)


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def by_hand(header: Mapping[str, Any], sign: Callable[[bytes], bytes], **members: Any) -> str:
    """A token that no library would make."""
    head, body = b64(json.dumps(dict(header)).encode()), b64(json.dumps(claims(**members)).encode())
    return f"{head}.{body}.{b64(sign(f'{head}.{body}'.encode()))}"


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda text: hmac.new(secret, text, hashlib.sha256).digest()


PUBLIC = TokenVerifier(PemKey(pem(RSA), ASYMMETRIC), audience="tierflow", issuer="https://id.example")
GOOD = {"aud": "tierflow", "iss": "https://id.example"}


async def test_a_token_that_holds_names_its_user_role_tenants_and_documents() -> None:
    token = signed(**GOOD, documents=["d-*"])
    identity = await PUBLIC.identity(token)
    assert identity == Identity("ada", Role.USER, ("acme",), ("d-*",))
    assert identity.may_open("d-7")
    assert not identity.may_open("e-7")


async def test_id_wins_over_sub_and_venues_over_tenants_and_a_number_is_a_name() -> None:
    identity = await PUBLIC.identity(signed(**GOOD, id=7, venues=["v1"]))
    assert (identity.subject, identity.tenants) == ("7", ("v1",))


FORGED = {
    "no token": None,
    "not a token": "abc",
    "three empty parts": "..",
    "alg none": by_hand({"alg": "none", "typ": "JWT"}, lambda _: b"", **GOOD),
    "alg None": by_hand({"alg": "None"}, lambda _: b"", **GOOD),
    "no alg": by_hand({"typ": "JWT"}, lambda _: b"", **GOOD),
    "hs256 with the public key as secret": by_hand({"alg": "HS256"}, hs256(pem(RSA).encode()), **GOOD),
    "hs256 with the public key, stripped": by_hand(
        {"alg": "HS256"}, hs256(pem(RSA).strip().encode()), **GOOD
    ),
    "hs256 with an empty secret": by_hand({"alg": "HS256"}, hs256(b""), **GOOD),
    "another key": signed(OTHER_RSA, **GOOD),
    "another kind of key": signed(EC, "ES256", **GOOD),
    "expired": signed(**GOOD, exp=NOW - 60),
    "no expiry": signed(**GOOD, exp=None),
    "not yet valid": signed(**GOOD, nbf=NOW + LIFE_S),
    "issued in the future": signed(**GOOD, iat=NOW + LIFE_S),
    "wrong audience": signed(aud="another", iss=GOOD["iss"]),
    "no audience": signed(iss=GOOD["iss"]),
    "wrong issuer": signed(aud=GOOD["aud"], iss="https://evil.example"),
    "no issuer": signed(aud=GOOD["aud"]),
    "no user": signed(**GOOD, sub=None),
    "empty user": signed(**GOOD, sub=""),
    "a user with a line break": signed(**GOOD, sub="ada\nadmin"),
    "no role": signed(**GOOD, role=None),
    "unknown role": signed(**GOOD, role="root"),
    "a list of roles": signed(**GOOD, role=["admin"]),
    "tenants no list": signed(**GOOD, tenants="acme"),
    "documents no list": signed(**GOOD, documents="*"),
    "own key in the header (jwk)": signed(
        OTHER_RSA, headers={"jwk": jwt.algorithms.RSAAlgorithm.to_jwk(OTHER_RSA.public_key(), as_dict=True)},
        **GOOD,
    ),
    "address of a key (jku)": signed(OTHER_RSA, headers={"jku": "https://evil.example/keys"}, **GOOD),
    "address of a certificate (x5u)": signed(OTHER_RSA, headers={"x5u": "https://evil.example/c"}, **GOOD),
    "kid that is a path": signed(OTHER_RSA, headers={"kid": "../../dev/null"}, **GOOD),
    "kid that is a query": signed(OTHER_RSA, headers={"kid": "' or 1=1 --"}, **GOOD),
    "unknown critical extension": signed(headers={"crit": ["b64"], "b64": True}, **GOOD),
    "too long": signed(**GOOD, padding="x" * 20_000),
    "changed payload": ".".join(
        [signed(**GOOD).split(".")[0], b64(json.dumps(claims(**GOOD, role="admin")).encode()),
         signed(**GOOD).split(".")[2]]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_401(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        await PUBLIC.identity(FORGED[name])
    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"] == "Bearer"


async def test_headers_that_name_keys_do_not_disturb_a_good_signature() -> None:
    token = signed(headers={"kid": "x", "jku": "https://evil.example", "x5u": "https://evil.example"}, **GOOD)
    assert (await PUBLIC.identity(token)).subject == "ada"


async def test_a_shared_secret_takes_hs256_and_nothing_else() -> None:
    verifier = TokenVerifier(SharedSecret(SECRET))
    assert (await verifier.identity(signed(SECRET, "HS256"))).subject == "ada"
    for token in (signed(SECRET + SECRET, "HS512"), signed(RSA), signed(SECRET + "x", "HS256")):
        with pytest.raises(Refusal):
            await verifier.identity(token)


async def test_audience_and_issuer_are_checked_only_when_set() -> None:
    verifier = TokenVerifier(SharedSecret(SECRET))
    assert (await verifier.identity(signed(SECRET, "HS256", aud="any", iss="any"))).subject == "ada"


async def test_a_token_that_was_believed_ends_with_its_own_time() -> None:
    end = NOW + LIFE_S
    now = end - 3.0
    verifier = TokenVerifier(SharedSecret(SECRET), clock=lambda: now)
    token = signed(SECRET, "HS256", exp=end)
    assert (await verifier.identity(token)).subject == "ada"
    now = end + 0.1
    asked = FailingKeys()
    verifier._keys = asked
    with pytest.raises(Refusal):
        await verifier.identity(token)
    assert asked.asked == 1


class FailingKeys(SharedSecret):
    """No key any more; counts who asks."""

    def __init__(self) -> None:
        self.asked = 0

    async def key(self, kid: str | None, algorithm: str) -> None:
        self.asked += 1


class Published:
    """An address that publishes keys and can be away; its clock is moved by hand."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.now = 1_000.0
        self.away = False

    async def fetch(self, url: str) -> Mapping[str, Any]:
        self.asked += 1
        if self.away:
            raise OSError("away")
        return {"keys": self.keys}

    def verifier(self) -> TokenVerifier:
        keys = JwksKeys("https://id.example/keys", ASYMMETRIC, self.fetch, lambda: self.now)
        return TokenVerifier(keys, clock=lambda: self.now)


def jwk(key: Any, kid: str, **members: Any) -> dict[str, Any]:
    algorithm = jwt.algorithms.ECAlgorithm if key is EC else jwt.algorithms.RSAAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **members}


async def test_published_keys_are_fetched_once_and_chosen_by_kid() -> None:
    published = Published(jwk(RSA, "a"), jwk(EC, "b"))
    verifier = published.verifier()
    for _ in range(3):
        assert (await verifier.identity(signed(headers={"kid": "a"}))).subject == "ada"
        assert (await verifier.identity(signed(EC, "ES256", headers={"kid": "b"}))).subject == "ada"
    assert published.asked == 1


async def test_a_new_key_is_found_and_a_withdrawn_one_forgotten() -> None:
    published = Published(jwk(RSA, "a"))
    verifier = published.verifier()
    await verifier.identity(signed(headers={"kid": "a"}))
    published.keys = [jwk(OTHER_RSA, "new")]
    published.now += JWKS_RETRY_S + 1
    assert (await verifier.identity(signed(OTHER_RSA, headers={"kid": "new"}))).subject == "ada"
    with pytest.raises(Refusal):
        await verifier.identity(signed(headers={"kid": "a"}))


async def test_invented_kids_do_not_make_us_ask_for_each_request() -> None:
    published = Published(jwk(RSA, "a"))
    verifier = published.verifier()
    for number in range(20):
        with pytest.raises(Refusal):
            await verifier.identity(signed(OTHER_RSA, headers={"kid": f"k{number}"}))
    assert published.asked == 1


async def test_known_keys_go_on_while_the_issuer_is_away() -> None:
    published = Published(jwk(RSA, "a"))
    verifier = published.verifier()
    await verifier.identity(signed(headers={"kid": "a"}))
    published.away = True
    published.now += JWKS_FRESH_S + 1
    assert (await verifier.identity(signed(headers={"kid": "a"}))).subject == "ada"


async def test_no_keys_at_all_is_unavailable_and_not_unauthenticated() -> None:
    published = Published()
    published.away = True
    with pytest.raises(UnavailableError):
        await published.verifier().identity(signed(headers={"kid": "a"}))


async def test_a_published_key_serves_only_its_own_algorithm_and_use() -> None:
    secret = {"kty": "oct", "k": b64(SECRET.encode()), "kid": "s", "alg": "HS256"}
    published = Published(jwk(RSA, "a", alg="RS512"), jwk(OTHER_RSA, "e", use="enc"), secret)
    verifier = published.verifier()
    tokens = [
        signed(headers={"kid": "a"}),
        signed(OTHER_RSA, headers={"kid": "e"}),
        signed(SECRET, "HS256", headers={"kid": "s"}),
    ]
    for token in tokens:
        with pytest.raises(Refusal):
            await verifier.identity(token)
    assert (await verifier.identity(signed(RSA, "RS512", headers={"kid": "a"}))).subject == "ada"


@pytest.mark.parametrize("key", [RSA, EC])
async def test_a_development_token_made_with_a_private_key_holds(key: Any) -> None:
    token = make_token(
        private_pem(key), subject="dev", role=Role.ADMIN, tenants=["t"], now_s=NOW, ttl_s=LIFE_S
    )
    identity = await TokenVerifier(PemKey(pem(key), ASYMMETRIC)).identity(token)
    assert identity == Identity("dev", Role.ADMIN, ("t",))


def auth(**members: Any) -> AuthSettings:
    return AuthSettings.model_validate(members)


def test_a_gateway_without_a_source_of_keys_does_not_start() -> None:
    with pytest.raises(ConfigError, match="TIERFLOW_AUTH=open"):
        verifier_of(auth())


@pytest.mark.parametrize(
    "given",
    [
        {"JWT_PUBLIC_KEY": "nonsense"},
        {"JWT_PUBLIC_KEY": private_pem(RSA)},
        {"JWT_PUBLIC_KEY": pem(RSA), "JWT_ALGORITHMS": "ES256"},
        {"JWT_PUBLIC_KEY": pem(RSA), "JWT_ALGORITHMS": "RS256,HS256"},
        {"JWT_PUBLIC_KEY": pem(RSA), "JWT_ALGORITHMS": "none"},
        {"JWT_JWKS_URL": "http://id.example/keys"},
        {"JWT_JWKS_URL": "file:///etc/passwd"},
    ],
)
def test_settings_that_cannot_be_safe_stop_the_start(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        verifier_of(auth(**given))


async def test_open_mode_makes_everyone_the_demo_admin() -> None:
    verifier = verifier_of(auth(TIERFLOW_AUTH="open"))
    assert isinstance(verifier, OpenMode)
    assert await verifier.identity(None) == DEMO


def test_open_mode_listens_on_the_loopback_address_only() -> None:
    open_mode = auth(TIERFLOW_AUTH="open")
    assert host_of(open_mode, None) == "127.0.0.1"
    assert host_of(open_mode, "localhost") == "localhost"
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1"):
        host_of(open_mode, "0.0.0.0")
    assert host_of(auth(), None) == "0.0.0.0"
