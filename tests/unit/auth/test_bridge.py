"""The bridge: what its tokens say, how long they last, and how they are remembered."""

from __future__ import annotations

import logging
from threading import Barrier
from threading import Thread
from typing import Any

import jwt
import pytest

from auth import verification
from auth.bridge import AuthBridge
from auth.errors import InvalidToken
from auth.errors import KeyConfigurationError
from auth.keys.signing import SigningKey
from auth.keys.signing import secret_signing_key
from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import load_settings
from tests.clocks import START
from tests.clocks import WallClock
from tests.unit.auth.forging import ISSUER
from tests.unit.auth.forging import KEY
from tests.unit.auth.forging import SECRET
from tests.unit.auth.forging import forge
from tests.unit.auth.forging import good_claims
from tests.unit.auth.forging import make_bridge

USER = {"email": "user@example.com", "role": "admin", "name": "Example User"}


def some_settings(**overrides: object) -> Settings:
    return load_settings(None, **{"ENVIRONMENT": "testing", **overrides})


def counting_examinations(bridge: AuthBridge, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature is really verified from now on."""
    examined: list[str] = []
    verifier = bridge._verifier
    examine = verifier._examine

    def counted(token: str, memory: Any, now: float) -> Any:
        examined.append(token)
        return examine(token, memory, now)

    monkeypatch.setattr(verifier, "_examine", counted)
    return examined


def test_the_documented_example(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        bridge = AuthBridge(secret_key="your-jwt-secret", algorithm="HS256", expiry=86400)
    assert "well-known" in caplog.text
    token = bridge.generate_token("user_123", USER)
    claims = bridge.validate_token(token)
    assert claims is not None
    assert claims["exp"] - claims["iat"] == 86400
    assert bridge.create_convex_identity("user_123", USER)["identity"] == "user_123"


def test_the_documented_example_is_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(KeyConfigurationError, match="JWT_SECRET"):
        AuthBridge(secret_key="your-jwt-secret", algorithm="HS256", expiry=86400)


def test_claims_for_flask_supabase_and_convex() -> None:
    claims = dict(make_bridge().verify(make_bridge().generate_token("user_123", USER)))
    assert len(claims.pop("jti")) == 32
    assert claims == {
        "iss": ISSUER,
        "aud": "authenticated",
        "sub": "user_123",
        "iat": int(START.timestamp()),
        "exp": int(START.timestamp()) + 900,
        "role": "authenticated",
        "app_metadata": {"role": "admin"},
        "email": "user@example.com",
        "name": "Example User",
        "convex": {
            "identity": "user_123",
            "tokenIdentifier": "user@example.com",
            "traits": {"role": "admin", "name": "Example User"},
        },
    }


def test_user_data_chooses_neither_the_database_role_nor_any_registered_claim() -> None:
    hostile = {"role": "service_role", "sub": "x", "iss": "x", "exp": 1, "aud": "x", "app_metadata": {"role": "admin"}}
    claims = make_bridge().verify(make_bridge().generate_token("user_123", hostile))
    assert (claims["role"], claims["sub"], claims["iss"]) == ("authenticated", "user_123", ISSUER)
    assert claims["app_metadata"] == {"role": "service_role"}


def test_what_is_not_known_of_the_user() -> None:
    identity = make_bridge().create_convex_identity("user_123")
    assert identity["tokenIdentifier"] == "user_123"
    assert identity["traits"] == {"role": "user", "name": ""}
    claims = make_bridge().verify(identity["token"])
    assert "email" not in claims
    assert "name" not in claims
    assert claims["app_metadata"] == {"role": "user"}


def test_convex_identity_is_what_a_client_needs() -> None:
    bridge = make_bridge()
    identity = bridge.create_convex_identity("user_123", {**USER, "permissions": ["read"]})
    claims = bridge.validate_token(identity.pop("token"))
    assert claims is not None
    assert claims["app_metadata"] == {"role": "admin", "permissions": ["read"]}
    assert identity == {
        "identity": "user_123",
        "tokenIdentifier": "user@example.com",
        "authType": "jwt",
        "expiry": claims["exp"],
        "traits": {"role": "admin", "name": "Example User"},
    }


def test_header_names_the_published_key() -> None:
    bridge = make_bridge()
    header = jwt.get_unverified_header(bridge.generate_token("user_123"))
    assert header == {"alg": "ES256", "typ": "JWT", "kid": bridge.jwks()["keys"][0]["kid"]}


def test_another_library_believes_the_token_with_the_published_key() -> None:
    bridge = AuthBridge(key=KEY, issuer=ISSUER, settings=some_settings())
    key = jwt.PyJWK(bridge.jwks()["keys"][0])
    token = bridge.generate_token("user_123")
    claims = jwt.decode(token, key, ["ES256"], audience="authenticated", issuer=ISSUER)
    assert claims["sub"] == "user_123"


def test_every_token_is_its_own() -> None:
    bridge = make_bridge()
    tokens = [bridge.generate_token("user_123") for _ in range(50)]
    assert len({bridge.verify(token)["jti"] for token in tokens}) == 50


@pytest.mark.parametrize("user_id", ["", None, 5, b"x"])
def test_a_user_without_an_id(user_id: Any) -> None:
    with pytest.raises(ValueError, match="id"):
        make_bridge().generate_token(user_id)


@pytest.mark.parametrize("expiry", [0, -1, 86401])
def test_a_life_that_no_token_has(expiry: int) -> None:
    with pytest.raises(ConfigurationError, match="JWT_EXPIRY_SECONDS"):
        make_bridge(expiry=expiry)
    with pytest.raises(ConfigurationError, match="JWT_EXPIRY_SECONDS"):
        some_settings(JWT_EXPIRY_SECONDS=expiry)


@pytest.mark.parametrize(("expiry", "complains"), [(3600, False), (3601, True), (86400, True)])
def test_a_long_life_is_complained_about(expiry: int, complains: bool, caplog: pytest.LogCaptureFixture) -> None:
    assert make_bridge(expiry=expiry).expiry == expiry
    assert ("JWT_EXPIRY_SECONDS" in caplog.text) is complains


def test_a_token_of_a_session_says_which() -> None:
    bridge = make_bridge()
    assert bridge.verify(bridge.generate_token("user_123", USER, session_id="s1"))["sid"] == "s1"
    assert "sid" not in bridge.verify(bridge.generate_token("user_123", {"sid": "s1"}))


@pytest.mark.parametrize("session_id", ["", 5, b"x"])
def test_a_session_without_an_id(session_id: Any) -> None:
    with pytest.raises(ValueError, match="session id"):
        make_bridge().generate_token("user_123", session_id=session_id)


def test_an_admin_token_is_short_and_has_no_permission_that_was_not_named(caplog: pytest.LogCaptureFixture) -> None:
    clock = WallClock()
    bridge = make_bridge(clock, expiry=60)
    token = bridge.get_admin_token(reason="repair of order 7", permissions=["orders:write"])
    claims = bridge.verify(token)
    assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == ("admin", "authenticated", 900)
    assert claims["app_metadata"] == {"role": "admin", "permissions": ["orders:write"]}
    assert bridge.verify(bridge.get_admin_token(reason="x"))["app_metadata"] == {"role": "admin"}
    [record, _] = caplog.records
    assert record.levelno == logging.WARNING
    assert claims["jti"] in record.getMessage()
    assert "repair of order 7" in record.getMessage()
    assert token not in caplog.text
    clock.advance(911)
    assert bridge.validate_token(token) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"reason": ""},
        {"reason": "  "},
        {"reason": "two\nlines"},
        {"reason": "x", "minutes": 16},
        {"reason": "x", "minutes": 0},
        {"reason": "x", "subject": ""},
    ],
)
def test_admin_tokens_that_are_not_made(arguments: Any, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match=r"(reason|minutes|id) must be"):
        make_bridge().get_admin_token(**arguments)
    assert not caplog.records


@pytest.mark.parametrize("leeway", [-1, 31, float("nan")])
def test_leeway_is_bounded(leeway: float) -> None:
    with pytest.raises(ValueError, match="leeway"):
        make_bridge(leeway=leeway)


def test_a_key_comes_alone() -> None:
    with pytest.raises(ValueError, match="alone"):
        make_bridge(secret_key=SECRET)
    with pytest.raises(ValueError, match="alone"):
        make_bridge(algorithm="HS256")


def test_a_secret_is_for_hs256_only() -> None:
    for algorithm in ("ES256", "RS256", "HS512", "none"):
        with pytest.raises(KeyConfigurationError):
            AuthBridge(secret_key=SECRET, algorithm=algorithm, settings=some_settings())
    with pytest.raises(KeyConfigurationError):
        AuthBridge(secret_key="", settings=some_settings())


def test_settings_fill_what_is_left_open() -> None:
    settings = some_settings(JWT_SECRET=SECRET, JWT_EXPIRY_SECONDS=60, JWT_ISSUER="https://i.example", JWT_AUDIENCE="b")
    bridge = AuthBridge(settings=settings)
    claims = bridge.verify(bridge.generate_token("user_123"))
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("https://i.example", "b", 60)
    assert bridge.jwks() == {"keys": []}


@pytest.mark.parametrize("key", [KEY, secret_signing_key(SECRET, production=True)])
def test_a_passed_token_is_verified_once_a_minute(key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock()
    bridge = make_bridge(clock, key)
    token = bridge.generate_token("user_123")
    examined = counting_examinations(bridge, monkeypatch)
    for _ in range(3):
        bridge.verify(token)
    clock.advance(59.9)
    bridge.verify(token)
    assert examined == [token]
    clock.advance(0.1)
    bridge.verify(token)
    assert examined == [token, token]


def test_memory_never_outlives_the_token() -> None:
    clock = WallClock()
    bridge = make_bridge(clock, expiry=30, leeway=0)
    token = bridge.generate_token("user_123")
    assert bridge.verify(token)
    clock.advance(29.999)
    assert bridge.verify(token)
    clock.advance(0.001)
    with pytest.raises(InvalidToken, match="expired"):
        bridge.verify(token)
    assert bridge.validate_token(token) is None


def test_within_the_leeway_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock()
    bridge = make_bridge(clock, expiry=30)
    token = bridge.generate_token("user_123")
    clock.advance(35)
    examined = counting_examinations(bridge, monkeypatch)
    bridge.verify(token)
    bridge.verify(token)
    assert len(examined) == 2
    clock.advance(5)
    with pytest.raises(InvalidToken, match="expired"):
        bridge.verify(token)


def test_refusals_are_not_remembered() -> None:
    clock = WallClock()
    bridge = make_bridge(clock)
    token = forge(good_claims(nbf=int(START.timestamp()) + 30))
    with pytest.raises(InvalidToken, match="not valid yet"):
        bridge.verify(token)
    clock.advance(30)
    assert bridge.verify(token)


def test_memory_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MAX_CACHED", 3)
    bridge = make_bridge()
    tokens = [bridge.generate_token(f"user_{number}") for number in range(5)]
    for token in tokens:
        bridge.verify(token)
    assert len(bridge._verifier._memory.passed) == 3
    examined = counting_examinations(bridge, monkeypatch)
    for token in reversed(tokens):
        assert bridge.verify(token)["sub"] == f"user_{tokens.index(token)}"
    assert examined == [tokens[1], tokens[0]]


def test_a_copy_of_the_claims_changes_nothing() -> None:
    bridge = make_bridge()
    token = bridge.generate_token("user_123")
    claims = bridge.validate_token(token)
    assert claims is not None
    claims["app_metadata"]["role"] = "admin"
    again = bridge.validate_token(token)
    assert again is not None
    assert again["app_metadata"] == {"role": "user"}


def test_many_threads_get_their_own_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MAX_CACHED", 4)
    bridge = make_bridge()
    tokens = [bridge.generate_token(f"user_{number}") for number in range(8)]
    barrier = Barrier(8)
    wrong: list[str] = []

    def ask(number: int) -> None:
        barrier.wait(timeout=30)
        for turn in range(40):
            user = (number + turn) % 8
            if bridge.verify(tokens[user])["sub"] != f"user_{user}":
                wrong.append(tokens[user])

    threads = [Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert wrong == []
    assert len(bridge._verifier._memory.passed) == 4
