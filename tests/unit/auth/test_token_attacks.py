"""Tokens that were tampered with, forged, or meant for somebody else: none is believed."""

from __future__ import annotations

import hmac
import json
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import PublicFormat
from jwt.utils import base64url_encode

from auth.errors import InvalidToken
from auth.keys.signing import SigningKey
from auth.keys.signing import secret_signing_key
from tests.clocks import START
from tests.unit.auth.forging import ISSUER
from tests.unit.auth.forging import KEY
from tests.unit.auth.forging import SECRET
from tests.unit.auth.forging import STRANGERS_KEY
from tests.unit.auth.forging import forge
from tests.unit.auth.forging import good_claims
from tests.unit.auth.forging import make_bridge

NOW = int(START.timestamp())
KID = str(KEY.kid)


def refusal(token: Any, key: SigningKey = KEY) -> str:
    """Why the token is refused; both ways of asking must refuse it, at the second time, too."""
    bridge = make_bridge(key=key)
    assert bridge.validate_token(token) is None
    for _ in range(2):
        with pytest.raises(InvalidToken) as caught:
            bridge.verify(token)
    assert len(str(token)) < 20 or str(token)[:20] not in str(caught.value)
    return caught.value.reason


def segment(value: Any) -> str:
    return base64url_encode(json.dumps(value).encode()).decode()


def test_the_forge_makes_good_tokens_too() -> None:
    assert make_bridge().verify(forge())["sub"] == good_claims()["sub"]


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_unsigned(name: str) -> None:
    header = {"alg": name, "typ": "JWT", "kid": KEY.kid}
    unsigned = f"{segment(header)}.{segment(good_claims())}."
    assert refusal(unsigned) == "malformed"
    assert refusal(f"{unsigned}AA") == "wrong algorithm"


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_public_key_as_a_shared_secret(encoding: Encoding) -> None:
    assert not isinstance(KEY.public, bytes)
    published = KEY.public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    signing_input = f"{segment({'alg': 'HS256', 'typ': 'JWT', 'kid': KEY.kid})}.{segment(good_claims())}"
    signature = hmac.digest(published, signing_input.encode(), "sha256")
    assert refusal(f"{signing_input}.{base64url_encode(signature).decode()}") == "wrong algorithm"


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES384", "PS256", "EdDSA", "es256", None, 5, ["ES256"]])
def test_another_algorithm_in_the_header(algorithm: Any) -> None:
    assert refusal(forge(alg=algorithm)) == "wrong algorithm"


def test_asymmetric_token_for_a_shared_secret() -> None:
    key = secret_signing_key(SECRET, production=True)
    assert refusal(forge(), key=key) == "unknown key"
    assert refusal(forge(kid=None), key=key) == "wrong algorithm"


def test_key_of_a_stranger_under_our_name() -> None:
    assert refusal(forge(key=STRANGERS_KEY, kid=KEY.kid)) == "wrong signature"
    assert refusal(forge(key=STRANGERS_KEY)) == "unknown key"


@pytest.mark.parametrize(
    "kid",
    [None, "", "other", 7, True, [KID], {"kid": KID}, "../../../../dev/null", "/dev/null", f"{KID} ", KID * 90, "k\0"],
    ids=count(),
)
def test_key_names(kid: Any) -> None:
    assert refusal(forge(kid=kid)) == "unknown key"


def test_very_long_key_name() -> None:
    assert refusal(forge(kid="k" * 8000)) == "too long"


def test_a_name_of_a_key_where_a_secret_has_none() -> None:
    key = secret_signing_key(SECRET, production=True)
    assert make_bridge(key=key).verify(forge(key=key))["jti"] == "a1"
    assert refusal(forge(key=key, kid="other"), key=key) == "unknown key"


@pytest.mark.parametrize("first", [KID, "other"], ids=["same", "other"])
def test_repeated_members_of_the_header(first: str) -> None:
    header = f'{{"alg":"ES256","typ":"JWT","kid":"{first}","kid":"{KID}"}}'
    assert refusal(forge(header=header)) == "malformed"


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": STRANGERS_KEY.jwks()["keys"][0]},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
    ],
)
def test_headers_that_bring_their_own_rules(header: dict[str, Any]) -> None:
    assert refusal(forge(header=header)) == "unsupported header"
    assert refusal(forge(header=header, key=STRANGERS_KEY, kid=KEY.kid)) == "unsupported header"


@pytest.mark.parametrize("typ", ["at+jwt", "JWE", "", 1, ["JWT"]])
def test_another_type(typ: Any) -> None:
    assert refusal(forge(typ=typ)) == "wrong type"


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", ISSUER.upper(), "", "https://evil.example", 5, [ISSUER]])
def test_issuer_is_compared_letter_for_letter(issuer: Any) -> None:
    assert refusal(forge(good_claims(iss=issuer))) == "wrong issuer"


@pytest.mark.parametrize("audience", ["anon", "", "authenticated ", [], ["anon"], [["authenticated"]], 5, {"a": 1}])
def test_audience(audience: Any) -> None:
    assert refusal(forge(good_claims(aud=audience))) == "wrong audience"


def test_one_audience_of_several_is_enough() -> None:
    assert make_bridge().verify(forge(good_claims(aud=["convex", "authenticated"])))


@pytest.mark.parametrize("name", ["exp", "iat", "sub", "iss", "aud", "jti"])
def test_each_claim_that_is_missing_or_null(name: str) -> None:
    assert refusal(forge(good_claims(**{name: None}))) == f"claim {name} is missing"
    assert refusal(forge({**good_claims(), name: None})) == f"claim {name} is missing"


@pytest.mark.parametrize("name", ["sub", "jti", "sid"])
@pytest.mark.parametrize("value", ["", 5, True, ["x"], {"x": 1}])
def test_texts_that_are_none(name: str, value: Any) -> None:
    assert refusal(forge(good_claims(**{name: value}))) == f"claim {name} must be a string that is not empty"


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["9999999999", True, [9999999999], {}, "never"])
def test_times_that_are_none(name: str, value: Any) -> None:
    assert refusal(forge(good_claims(**{name: value}))) == f"claim {name} must be a time in seconds"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have(number: str) -> None:
    claims = json.dumps(good_claims(exp=1)).replace('"exp": 1', f'"exp": {number}').encode()
    assert refusal(forge(claims)) == "malformed"


@pytest.mark.parametrize("role", ["service_role", "anon", "postgres", "admin", ["authenticated"]])
def test_another_database_role(role: Any) -> None:
    assert refusal(forge(good_claims(role=role))) == "wrong database role"


def test_times_with_ten_seconds_of_leeway() -> None:
    bridge = make_bridge()
    assert bridge.verify(forge(good_claims(exp=NOW - 9)))
    assert bridge.verify(forge(good_claims(iat=NOW + 10, nbf=NOW + 10)))
    assert refusal(forge(good_claims(exp=NOW - 10))) == "expired"
    assert refusal(forge(good_claims(iat=NOW + 11))) == "issued in the future"
    assert refusal(forge(good_claims(nbf=NOW + 11))) == "not valid yet"
    assert refusal(forge(good_claims(exp=-1e300))) == "expired"


def test_tampered_claims() -> None:
    header, _claims, signature = forge().split(".")
    assert refusal(f"{header}.{segment(good_claims(sub='somebody-else'))}.{signature}") == "wrong signature"


def test_every_other_letter_of_the_signature_matters() -> None:
    head, _, signature = forge().rpartition(".")
    for position in range(len(signature)):
        # The last letter carries only two bits; another spelling of the same bits is refused like another bit.
        other = "B" if signature[position] != "B" else "C"
        assert refusal(f"{head}.{signature[:position]}{other}{signature[position + 1 :]}") == "wrong signature"


def test_signature_of_another_token_and_truncated_ones() -> None:
    head, _, signature = forge().rpartition(".")
    stranger = forge(good_claims(jti="a2")).rpartition(".")[2]
    assert refusal(f"{head}.{stranger}") == "wrong signature"
    for length in (1, 40, len(signature) - 1):
        assert refusal(f"{head}.{signature[:length]}") == "wrong signature"
    assert refusal(f"{head}.{'A' * len(signature)}") == "wrong signature"


def shapes() -> list[str]:
    token = forge()
    header, claims, signature = token.split(".")
    return [
        "",
        ".",
        "..",
        "...",
        "token",
        header,
        f"{header}.{claims}",
        f"{header}.{claims}.",
        f".{claims}.{signature}",
        f"{token}.{signature}",
        f"{token}.",
        f".{token}",
        f"{token}=",
        f"{token}\n",
        f" {token}",
        f"{token} {token}",
        f"{token},{token}",
        f"Bearer {token}",
        f"{header}.{claims}.{signature[:20]}!{signature[20:]}",
        f"{header}.{claims}.{signature}é",
        f"{header}.{claims}.\ud800",
        "пароль.пароль.пароль",
        token.replace(".", "\N{ONE DOT LEADER}"),
        "\0",
        f"!{token[1:]}",
        f"e.{claims}.{signature}",
        f"{segment([])}.{claims}.{signature}",
        f"{segment('JWT')}.{claims}.{signature}",
        f"{base64url_encode(b'[' * 5000).decode()}.{claims}.{signature}",
        f"{base64url_encode(bytes([255, 254])).decode()}.{claims}.{signature}",
    ]


@pytest.mark.parametrize("token", shapes(), ids=count())
def test_texts_that_are_no_tokens(token: str) -> None:
    assert refusal(token) == "malformed"


@pytest.mark.parametrize("claims", [[], "text", 5, None, b"", b"{", b"\xff", b'{"sub": "\\ud800"}', b"[" * 2000])
def test_signed_payloads_that_are_no_claims(claims: Any) -> None:
    assert refusal(forge(claims if isinstance(claims, bytes) else json.dumps(claims).encode())) == "malformed"


def test_oversize_is_refused_before_it_is_read() -> None:
    assert refusal(forge(good_claims(padding="x" * 8192))) == "too long"
    assert refusal("a" * 10_000_000) == "too long"


@pytest.mark.parametrize("thing", [None, 5, b"a.b.c", ["a.b.c"], {"a": 1}, object()])
def test_validate_token_never_raises_for_things_that_are_no_text(thing: Any) -> None:
    assert make_bridge().validate_token(thing) is None
