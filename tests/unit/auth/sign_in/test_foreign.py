"""Tokens of other issuers: which are believed, what is believed of them, and which settings are refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import PublicFormat

from auth.errors import InvalidToken
from auth.keys.signing import asymmetric_signing_key
from auth.sign_in.external_issuers import LEEWAY
from auth.sign_in.external_issuers import MAX_TOKEN_BYTES
from auth.sign_in.external_issuers import ExternalTokens
from auth.sign_in.external_issuers import ExternalUser
from auth.sign_in.external_issuers import external_tokens
from auth.sign_in.external_issuers import identity_id
from auth.sign_in.jwks_cache import IssuerKeys
from config.settings import ConfigurationError
from config.settings import load_settings
from config.sign_in import ExternalIssuer
from tests.unit.auth.forging import KEY
from tests.unit.auth.forging import SECRET
from tests.unit.auth.forging import STRANGERS_KEY
from tests.unit.auth.forging import forge

COMPANY = "https://login.example.org"
LEGACY = "https://legacy.supabase.example/auth/v1"
SUPABASE = "https://project.supabase.example/auth/v1"
OURSELVES = "https://api.example.org/auth/v1"
RSA_KEY = asymmetric_signing_key(generate_private_key(65537, 2048), "RS256")
RSA_PEM = RSA_KEY.private.public_key().public_bytes(  # type: ignore[union-attr]
    Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
)

CONFIRMING: dict[str, Any] = {"audience": "authenticated", "confirms_email": True}
ENTRIES: list[dict[str, Any]] = [
    {"name": "company", "issuer": COMPANY, "audience": "us", "algorithms": ["ES256", "RS256"]},
    {"name": "legacy", "issuer": LEGACY, "algorithms": ["HS256"], "secret": SECRET, **CONFIRMING},
    {"name": "supabase", "issuer": SUPABASE, "algorithms": ["ES256"], **CONFIRMING},
]


def published(url: str, _: float) -> bytes:
    """What every one of the issuers has at its addresses."""
    if url.endswith("/keys"):
        return json.dumps({"keys": KEY.jwks()["keys"] + RSA_KEY.jwks()["keys"]}).encode()
    issuer = url.removesuffix("/.well-known/openid-configuration")
    return json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/keys"}).encode()


@pytest.fixture(scope="module")
def tokens() -> ExternalTokens:
    issuers = [ExternalIssuer.model_validate(entry) for entry in ENTRIES]
    return ExternalTokens([(issuer, IssuerKeys(issuer, published)) for issuer in issuers], OURSELVES)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims of the company's user; a change to None takes the claim away."""
    now = int(time.time())
    good = {
        "iss": COMPANY,
        "aud": "us",
        "sub": "u-1",
        "iat": now,
        "exp": now + 600,
        "email": "Ada@Example.org",
        "email_verified": True,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def hs256(members: dict[str, Any], secret: str | bytes = SECRET, **headers: Any) -> str:
    """A token with a MAC made of anything, which PyJWT would refuse to make."""
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT", **headers}, members)]
    signing_input = b".".join(jwt.utils.base64url_encode(part) for part in parts)
    key = secret.encode() if isinstance(secret, str) else secret
    return (signing_input + b"." + jwt.utils.base64url_encode(algorithm.sign(signing_input, key))).decode()


def supabase_claims(**changes: Any) -> dict[str, Any]:
    metadata = {"name": "Ada"}
    common = {"iss": SUPABASE, "aud": "authenticated", "email_verified": None, "user_metadata": metadata}
    return claims(**{**common, **changes})


def test_a_good_token_says_who_it_is(tokens: ExternalTokens) -> None:
    user = tokens.verify(forge(claims(name="Ada")))
    assert user == ExternalUser(COMPANY, "u-1", "ada@example.org", "Ada")
    assert tokens.verify(forge(claims(name="Ada", aud=["them", "us"]), key=RSA_KEY)) == user


def test_an_issuer_that_confirms_addresses_need_not_say_so_by_either_kind_of_key(tokens: ExternalTokens) -> None:
    assert tokens.verify(forge(supabase_claims())) == ExternalUser(SUPABASE, "u-1", "ada@example.org", "Ada")
    assert tokens.verify(hs256(supabase_claims(iss=LEGACY))) == ExternalUser(LEGACY, "u-1", "ada@example.org", "Ada")


def test_an_address_may_be_verified_in_text(tokens: ExternalTokens) -> None:
    assert tokens.verify(forge(claims(email_verified="true"))).email == "ada@example.org"


def test_an_address_that_such_an_issuer_says_is_not_verified_is_none(tokens: ExternalTokens) -> None:
    assert tokens.verify(forge(supabase_claims(email_verified=False))).email is None


@pytest.mark.parametrize(
    "changes",
    [
        {"email": None},
        {"email": 5},
        {"email": "nowhere"},
        {"email_verified": None},
        {"email_verified": False},
        {"email_verified": "false"},
        {"email_verified": "True"},
        {"email_verified": 1},
        {"email_verified": None, "user_metadata": {"email_verified": True}},
    ],
)
def test_an_address_that_is_not_verified_is_none(tokens: ExternalTokens, changes: dict[str, Any]) -> None:
    assert tokens.verify(forge(claims(**changes))).email is None


NOW = int(time.time())
FAR = LEEWAY + 86_400  # farther than a run of all tests, which begins long after this line, can last


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": f"{COMPANY}/"}, "wrong issuer"),
        ({"iss": "https://evil.example.org"}, "wrong issuer"),
        ({"iss": OURSELVES}, "wrong issuer"),
        ({"iss": None}, "wrong issuer"),
        ({"aud": "us/"}, "wrong audience"),
        ({"aud": ["them"]}, "wrong audience"),
        ({"aud": {"us": True}}, "wrong audience"),
        ({"aud": None}, "a required claim is missing"),
        ({"exp": NOW - FAR}, "expired"),
        ({"exp": None}, "a required claim is missing"),
        ({"iat": NOW + FAR}, "not valid yet"),
        ({"iat": None}, "a required claim is missing"),
        ({"nbf": NOW + FAR}, "not valid yet"),
        ({"sub": None}, "a required claim is missing"),
        ({"sub": 5}, "claim sub must be printable text of 1 to 255 characters"),
        ({"sub": ["u-1"]}, "claim sub must be printable text of 1 to 255 characters"),
        ({"iat": "now"}, "claim iat must be a number"),
        ({"jti": 5}, "claim jti must be text"),
        ({"sub": ""}, "claim sub must be printable text of 1 to 255 characters"),
        ({"sub": "a\0b"}, "claim sub must be printable text of 1 to 255 characters"),
        ({"sub": "a\ud800"}, "claim sub must be printable text of 1 to 255 characters"),
        ({"sub": "x" * 256}, "claim sub must be printable text of 1 to 255 characters"),
    ],
)
def test_wrong_claims_are_refused_with_their_reason(
    tokens: ExternalTokens, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidToken) as caught:
        tokens.verify(forge(claims(**changes)))
    assert caught.value.reason == reason


STRANGERS_JWK = STRANGERS_KEY.jwks()["keys"][0]
FOR_LEGACY = {"iss": LEGACY, "aud": "authenticated"}
FORGERIES: dict[str, Callable[[], str]] = {
    "a key of nobody": lambda: forge(claims(), key=STRANGERS_KEY),
    "a stranger's key under a known name": lambda: forge(claims(), key=STRANGERS_KEY, kid=KEY.kid),
    "a known name, and the key in jwk": lambda: forge(claims(), key=STRANGERS_KEY, kid=KEY.kid, jwk=STRANGERS_JWK),
    "the key in jwk": lambda: forge(claims(), key=STRANGERS_KEY, jwk=STRANGERS_JWK),
    "the key at jku": lambda: forge(claims(), key=STRANGERS_KEY, jku="https://evil.example.org/keys"),
    "the key at x5u": lambda: forge(claims(), key=STRANGERS_KEY, kid=KEY.kid, x5u="https://evil.example.org/x5u"),
    "no name of a key": lambda: forge(claims(), {"kid": None}),
    "a key of another kind": lambda: forge(claims(), kid=RSA_KEY.kid),
    "an extension that must be understood": lambda: forge(claims(), crit=["exp"]),
    "another algorithm in the header": lambda: forge(claims(), key=RSA_KEY, alg="RS512"),
    "no signature": lambda: jwt.encode(claims(), "", "none"),
    "the public key as a secret": lambda: hs256(claims(), RSA_PEM, kid=RSA_KEY.kid),
    "the published key as a secret": lambda: hs256(claims(), json.dumps(KEY.jwks()["keys"][0]), kid=KEY.kid),
    "the public key as the secret of another issuer": lambda: hs256(claims(**FOR_LEGACY), RSA_PEM, kid=RSA_KEY.kid),
    "an empty secret": lambda: hs256(claims(**FOR_LEGACY), ""),
    "another issuer's secret": lambda: hs256(claims(), SECRET),
    "a public key for the issuer with the secret": lambda: forge(claims(**FOR_LEGACY), key=RSA_KEY),
    "a kind of key that the issuer does not use": lambda: forge(supabase_claims(), key=RSA_KEY),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_refused(tokens: ExternalTokens, forgery: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(FORGERIES[forgery]())


@pytest.mark.parametrize(
    "token",
    [None, 5, "", "a", "a.b", "a.b.c", "...", "e30.e30.e30", "é.e30.e30", "x" * (MAX_TOKEN_BYTES + 1)],
    ids=count(),
)
def test_what_is_no_token_is_refused(tokens: ExternalTokens, token: object) -> None:
    with pytest.raises(InvalidToken) as caught:
        tokens.verify(token)
    assert caught.value.status == 401


def test_no_reason_repeats_anything_of_a_token(tokens: ExternalTokens) -> None:
    with pytest.raises(InvalidToken) as caught:
        tokens.verify(forge(claims(iss="https://hush.example.org", sub="hush"), kid="hush"))
    assert "hush" not in str(caught.value)
    assert "hush" not in caught.value.headers["WWW-Authenticate"]


def test_two_users_never_have_one_identity() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("a,b", "c"), ("a", 'b","c'), ('a","b', "c"), ("", "abc")]
    assert len({identity_id(issuer, subject) for issuer, subject in pairs}) == len(pairs)


GOOD = {"name": "other", "issuer": COMPANY, "audience": "us", "algorithms": ["ES256"]}


@pytest.mark.parametrize(
    "entries",
    [
        [{**GOOD, "secret": SECRET}],
        [{**GOOD, "algorithms": ["HS256"]}],
        [{**GOOD, "algorithms": ["HS256"], "jwks_url": f"{COMPANY}/keys"}],
        [{**GOOD, "algorithms": ["HS256"], "secret": SECRET, "jwks_url": f"{COMPANY}/keys"}],
        [{**GOOD, "algorithms": ["HS256", "RS256"], "secret": SECRET}],
        [{**GOOD, "algorithms": ["HS256"], "secret": "short-hush"}],
        [{**GOOD, "algorithms": []}],
        [{**GOOD, "algorithms": ["none"]}],
        [{**GOOD, "issuer": "http://login.example.org"}],
        [{**GOOD, "jwks_url": "http://login.example.org/keys"}],
        [{**GOOD, "jwks_url": "file:///keys"}],
        [{**GOOD, "jwks_url": "https://["}],
        [{**GOOD, "audience": ""}],
        [{**GOOD, "audiance": "hush"}],
        [{**GOOD, "name": "Not a name"}],
        [GOOD, {**GOOD, "name": "again"}],
        [GOOD, {**GOOD, "issuer": SUPABASE}],
        [{name: GOOD[name] for name in ("name", "issuer", "algorithms")}],
        [[]],
        {},
        "",
    ],
)
def test_settings_that_leave_a_choice_or_a_hole_stop_the_start(entries: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, AUTH_FOREIGN_ISSUERS=json.dumps(entries))
    assert caught.value.problems.keys() == {"AUTH_FOREIGN_ISSUERS"}
    assert "hush" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_one_issuer_may_sign_in_two_ways_while_it_changes_them() -> None:
    two = [{**GOOD, "algorithms": ["HS256"], "secret": SECRET, "name": "old"}, GOOD]
    settings = load_settings(None, AUTH_FOREIGN_ISSUERS=json.dumps(two))
    assert [issuer.name for issuer in settings.auth_foreign_issuers] == ["old", "other"]
    assert SECRET not in repr(settings)


def test_each_way_has_its_own_key() -> None:
    old = {**GOOD, "algorithms": ["HS256"], "secret": SECRET, "name": "old"}
    issuers = [ExternalIssuer.model_validate(entry) for entry in (old, GOOD)]
    tokens = ExternalTokens([(issuer, IssuerKeys(issuer, published)) for issuer in issuers], OURSELVES)
    assert tokens.verify(hs256(claims())) == tokens.verify(forge(claims()))
    with pytest.raises(InvalidToken):
        tokens.verify(hs256(claims(), json.dumps(KEY.jwks()["keys"][0]), kid=KEY.kid))
    with pytest.raises(InvalidToken):
        tokens.verify(forge(claims(), key=RSA_KEY))


def test_our_own_tokens_are_no_foreign_ones() -> None:
    with pytest.raises(ConfigurationError):
        external_tokens([ExternalIssuer.model_validate({**GOOD, "issuer": OURSELVES})], OURSELVES)
