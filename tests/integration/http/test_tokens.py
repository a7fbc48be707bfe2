"""Attacks on tokens, sent to every kind of route: all are refused, and nothing is done for them."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import PublicFormat
from jwt.utils import base64url_encode

from auth.bridge import AuthBridge
from auth.middleware import EXTENSION
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import bearer
from tests.integration.http.support import make_site


@dataclass(frozen=True, slots=True)
class Forge:
    """What an attacker can get: a good token of his own, its claims, the public key, and a key of his own."""

    site: Site
    good: str

    @property
    def bridge(self) -> AuthBridge:
        bridge: AuthBridge = self.site.app.extensions[EXTENSION]
        return bridge

    @property
    def claims(self) -> dict[str, Any]:
        return dict(self.bridge.verify(self.good))

    def signed(self, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token that the server's own key has signed, with other claims."""
        claims = {name: value for name, value in {**self.claims, **changes}.items() if value is not None}
        key: Any = self.bridge.key.private
        members = {"kid": self.bridge.key.kid, **(headers or {})}
        return jwt.encode(claims, key, "ES256", {name: value for name, value in members.items() if value is not None})

    def strangers(self, **headers: Any) -> str:
        """A token that another key has signed."""
        return jwt.encode(self.claims, generate_private_key(SECP256R1()), "ES256", headers)


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    folder: Path = tmp_path_factory.mktemp("tokens")
    site = make_site(folder)
    good = site.register()["Authorization"].removeprefix("Bearer ")
    yield Forge(site, good)
    site.close()


def _none(forge: Forge, algorithm: str = "none") -> str:
    header = base64url_encode(f'{{"alg":"{algorithm}","typ":"JWT","kid":"{forge.bridge.key.kid}"}}'.encode())
    return f"{header.decode()}.{forge.good.split('.')[1]}."


def _public_key_as_secret(forge: Forge) -> str:
    key: Any = forge.bridge.key.public
    secret = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = base64url_encode(b'{"alg":"HS256","typ":"JWT"}')
    signing_input = header + b"." + forge.good.split(".")[1].encode()
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = algorithm.sign(signing_input, secret)
    return (signing_input + b"." + base64url_encode(signature)).decode()


def _tampered(forge: Forge) -> str:
    header, payload, signature = forge.good.split(".")
    claims = urlsafe_b64decode(payload + "==").replace(b'"role":"user"', b'"role":"admin"')
    assert b"admin" in claims
    return f"{header}.{base64url_encode(claims).decode()}.{signature}"


ATTACKS: dict[str, Callable[[Forge], str]] = {
    "none": _none,
    "None": lambda forge: _none(forge, "None"),
    "no signature": lambda forge: forge.good.rsplit(".", 1)[0] + ".",
    "public key as secret": _public_key_as_secret,
    "tampered": _tampered,
    "stranger's key": lambda forge: forge.strangers(kid=forge.bridge.key.kid),
    "stranger's key id": lambda forge: forge.strangers(kid="other"),
    "key id is a path": lambda forge: forge.strangers(kid="../../../../dev/null"),
    "key id is SQL": lambda forge: forge.strangers(kid="' or '1'='1"),
    "key brought along": lambda forge: forge.strangers(kid=forge.bridge.key.kid, jwk={"kty": "EC"}),
    "key fetched": lambda forge: forge.strangers(kid=forge.bridge.key.kid, jku="http://127.0.0.1/keys"),
    "no key id": lambda forge: forge.signed({"kid": None}),
    "wrong issuer": lambda forge: forge.signed(iss="https://elsewhere.example"),
    "wrong audience": lambda forge: forge.signed(aud="other"),
    "no audience": lambda forge: forge.signed(aud=None),
    "expired": lambda forge: forge.signed(exp=1_000_000_000),
    "never expires": lambda forge: forge.signed(exp=None),
    "issued in the future": lambda forge: forge.signed(iat=4_000_000_000, exp=4_000_000_900),
    "not valid yet": lambda forge: forge.signed(nbf=4_000_000_000),
    "service role": lambda forge: forge.signed(role="service_role"),
    "no subject": lambda forge: forge.signed(sub=None),
    "another type": lambda forge: forge.signed({"typ": "refresh"}),
    "critical header": lambda forge: forge.signed({"crit": ["b64"]}),
    "empty": lambda _: "",
    "dots": lambda _: "..",
    "text": lambda _: "x" * 10_000,
    "not ASCII": lambda _: "ü.ü.ü",
    "two tokens": lambda forge: f"{forge.good} {forge.good}",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_forged_token_is_believed(forge: Forge, attack: str) -> None:
    headers = bearer(ATTACKS[attack](forge))
    before = forge.site.dump()
    for method, path in (("GET", "/api/molecules"), ("POST", "/api/molecules"), ("GET", "/auth/me")):
        answer = forge.site.call(method, path, {"name": "x"} if method == "POST" else None, headers)
        assert_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert forge.site.dump() == before


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer", "Token x", "bearer", "x" * 100_000])
def test_no_other_authorization_is_taken_for_nobody(forge: Forge, value: str) -> None:
    assert_problem(forge.site.get("/api/molecules", {"Authorization": value}), 401)


def test_the_good_token_is_believed(forge: Forge) -> None:
    assert forge.site.get("/auth/me", bearer(forge.good)).status_code == 200
    assert forge.site.get("/auth/me", bearer(forge.signed())).status_code == 200
    assert_problem(forge.site.get("/auth/me"), 401, "unauthorized")


def test_a_deleted_account_is_not_there(forge: Forge) -> None:
    answer = forge.site.get("/auth/me", bearer(forge.signed(sub="018f5c3e-0000-7000-8000-000000000001")))
    assert_problem(answer, 404, "unknown-account")


def test_the_published_keys_verify_a_token(forge: Forge) -> None:
    answer = forge.site.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    (key,) = jwt.PyJWKSet.from_dict(answer.json).keys
    claims = jwt.decode(forge.good, key, ["ES256"], audience="authenticated", issuer=forge.bridge.issuer)
    assert claims["role"] == "authenticated"
    assert "d" not in answer.json["keys"][0]


def test_the_configuration_leads_to_the_keys(forge: Forge) -> None:
    issuer = forge.bridge.issuer
    below = issuer.removeprefix("http://127.0.0.1:8000")
    document = forge.site.get(f"{below}/.well-known/openid-configuration").json
    assert document == forge.site.get("/.well-known/openid-configuration").json
    assert document["issuer"] == issuer
    keys = forge.site.get(document["jwks_uri"].removeprefix("http://127.0.0.1:8000")).json
    assert keys == forge.site.get("/.well-known/jwks.json").json


def test_a_shared_secret_is_not_published(tmp_path: Path) -> None:
    site = make_site(tmp_path, JWT_SECRET="0123456789abcdef0123456789abcdef-good")
    assert site.get("/.well-known/jwks.json").json == {"keys": []}
    assert site.get("/auth/me", site.register()).status_code == 200
    site.close()
