"""The keys of another issuer: when they are fetched, how long they are kept, and which of them are used."""

from __future__ import annotations

import json
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from threading import get_ident
from typing import Any

import pytest

from auth.errors import InvalidToken
from auth.errors import IssuerUnavailable
from auth.sign_in.jwks_cache import FAILURE_PAUSE
from auth.sign_in.jwks_cache import FRESH_SECONDS
from auth.sign_in.jwks_cache import STALE_SECONDS
from auth.sign_in.jwks_cache import UNKNOWN_KEY_PAUSE
from auth.sign_in.jwks_cache import FetchFailed
from auth.sign_in.jwks_cache import IssuerKeys
from config.sign_in import ExternalIssuer
from tests.clocks import ManualClock
from tests.unit.auth.forging import KEY
from tests.unit.auth.forging import STRANGERS_KEY

ISSUER = "https://issuer.example.org"
JWKS_URL = f"{ISSUER}/keys"
DISCOVERY_URL = f"{ISSUER}/.well-known/openid-configuration"
OURS = KEY.jwks()["keys"][0]
ANOTHER = STRANGERS_KEY.jwks()["keys"][0]


class Issuer:
    """What an issuer answers at each URL, and what it was asked; it is away while ``up`` is False."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.pages: dict[str, Any] = {JWKS_URL: {"keys": list(keys or (OURS,))}}
        self.asked: list[str] = []
        self.up = True

    def publish(self, *keys: dict[str, Any]) -> None:
        self.pages[JWKS_URL] = {"keys": list(keys)}

    def __call__(self, url: str, deadline: float) -> bytes:
        self.asked.append(url)
        if not self.up:
            raise FetchFailed("it is away")
        page = self.pages[url]
        return page if isinstance(page, bytes) else json.dumps(page).encode()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def keys(issuer: Issuer, clock: ManualClock) -> IssuerKeys:
    return make_keys(issuer, clock)


def make_keys(issuer: Issuer, clock: ManualClock, url: str | None = JWKS_URL, name: str = ISSUER) -> IssuerKeys:
    entry = ExternalIssuer(name="other", issuer=name, audience="us", jwks_url=url, algorithms=("ES256",))
    return IssuerKeys(entry, issuer, clock)


def assert_known(keys: IssuerKeys, jwk: dict[str, Any] = OURS) -> None:
    assert keys.key(jwk["kid"], "ES256").public_numbers() is not None


def assert_unknown(keys: IssuerKeys, kid: object = ANOTHER["kid"], algorithm: str = "ES256") -> None:
    with pytest.raises(InvalidToken):
        keys.key(kid, algorithm)


def test_keys_are_fetched_when_they_are_needed_and_again_when_they_are_old(
    keys: IssuerKeys, issuer: Issuer, clock: ManualClock
) -> None:
    assert issuer.asked == []
    for _ in range(3):
        assert_known(keys)
    assert issuer.asked == [JWKS_URL]
    clock.now += FRESH_SECONDS
    assert_known(keys)
    assert len(issuer.asked) == 2


def test_a_key_that_the_issuer_drops_is_dropped(keys: IssuerKeys, issuer: Issuer, clock: ManualClock) -> None:
    assert_known(keys)
    issuer.publish(ANOTHER)
    clock.now += FRESH_SECONDS
    assert_unknown(keys, OURS["kid"])
    assert_known(keys, ANOTHER)


def test_a_new_key_is_found_when_a_token_names_it(keys: IssuerKeys, issuer: Issuer, clock: ManualClock) -> None:
    assert_known(keys)
    issuer.publish(OURS, ANOTHER)
    assert_known(keys, ANOTHER)
    assert len(issuer.asked) == 2


def test_keys_are_kept_for_a_day_while_the_issuer_is_away(
    keys: IssuerKeys, issuer: Issuer, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    assert_known(keys)
    issuer.up = False
    start = clock.now
    while clock.now < start + STALE_SECONDS - FRESH_SECONDS:
        clock.now += FRESH_SECONDS
        assert_known(keys)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    clock.now = start + STALE_SECONDS
    with pytest.raises(IssuerUnavailable):
        keys.key(OURS["kid"], "ES256")
    issuer.up = True
    clock.now += FAILURE_PAUSE
    assert_known(keys)
    assert "fetched the keys of issuer other again" in caplog.records[-1].message


def test_an_issuer_that_is_away_is_asked_now_and_then(keys: IssuerKeys, issuer: Issuer, clock: ManualClock) -> None:
    issuer.up = False
    for second in range(int(4 * FAILURE_PAUSE)):
        clock.now = 1000.0 + second
        with pytest.raises(IssuerUnavailable) as caught:
            keys.key(OURS["kid"], "ES256")
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "5"})
    assert len(issuer.asked) == 4


def test_a_storm_of_unknown_keys_is_one_question_in_half_a_minute(
    keys: IssuerKeys, issuer: Issuer, clock: ManualClock
) -> None:
    assert_known(keys)
    for second in range(int(2 * UNKNOWN_KEY_PAUSE)):
        clock.now = 1000.0 + second
        for number in range(10):
            assert_unknown(keys, f"made-up-{number}")
    assert len(issuer.asked) == 1 + 2


def test_a_cold_cache_asks_once_for_an_unknown_key(keys: IssuerKeys, issuer: Issuer) -> None:
    assert_unknown(keys)
    assert len(issuer.asked) == 1


def test_unknown_keys_do_not_ask_an_issuer_that_is_away_more_often(
    keys: IssuerKeys, issuer: Issuer, clock: ManualClock
) -> None:
    assert_known(keys)
    issuer.up = False
    for _ in range(5):
        assert_unknown(keys)
    assert len(issuer.asked) == 2
    assert_known(keys)


def test_many_who_need_the_keys_at_once_ask_once() -> None:
    looks: Counter[int] = Counter()
    all_wait = Event()

    class Witness(ManualClock):
        """Knows when eight threads have looked at it so often that all they can do is wait for the keys."""

        def __call__(self) -> float:
            looks[get_ident()] += 1
            if len(looks) == 8 and min(looks.values()) >= 3:
                all_wait.set()
            return super().__call__()

    class SlowIssuer(Issuer):
        def __call__(self, url: str, deadline: float) -> bytes:
            assert all_wait.wait(30)
            return super().__call__(url, deadline)

    issuer = SlowIssuer()
    keys = make_keys(issuer, Witness())
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: assert_known(keys), range(8)))
    assert len(issuer.asked) == 1


def test_nobody_waits_for_a_refresh_while_there_are_keys(clock: ManualClock) -> None:
    asked, may_answer = Event(), Event()
    may_answer.set()

    class SlowIssuer(Issuer):
        def __call__(self, url: str, deadline: float) -> bytes:
            asked.set()
            assert may_answer.wait(30)
            return super().__call__(url, deadline)

    issuer = SlowIssuer()
    keys = make_keys(issuer, clock)
    assert_known(keys)
    clock.now += FRESH_SECONDS
    asked.clear()
    may_answer.clear()
    with ThreadPoolExecutor(1) as thread:
        refreshing = thread.submit(assert_known, keys)
        assert asked.wait(30)
        assert_known(keys)
        may_answer.set()
        refreshing.result(30)
    assert len(issuer.asked) == 2


SECRET_KEY = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "secret"}


@pytest.mark.parametrize(
    "jwk",
    [
        SECRET_KEY,
        {**SECRET_KEY, "alg": "ES256"},
        {**OURS, "use": "enc"},
        {**OURS, "alg": "RS256"},
        {**OURS, "kty": "RSA"},
        {**OURS, "kty": ["EC"]},
        {**OURS, "x": "!"},
        {**OURS, "kid": 5},
        "EC",
        None,
    ],
)
def test_a_key_that_is_no_public_key_of_that_kind_is_not_used(clock: ManualClock, jwk: Any) -> None:
    keys = make_keys(Issuer(jwk, ANOTHER), clock)
    kid = jwk["kid"] if isinstance(jwk, dict) else "EC"
    for algorithm in ("ES256", "HS256"):
        assert_unknown(keys, kid, algorithm)
    assert_known(keys, ANOTHER)


def test_a_token_that_names_no_key_asks_nobody(keys: IssuerKeys, issuer: Issuer) -> None:
    assert_unknown(keys, None)
    assert_unknown(keys, 5)
    assert issuer.asked == []


@pytest.mark.parametrize(
    "page", [b"", b"<html>", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b"[" * 100_000], ids=count()
)
def test_an_answer_that_is_no_key_set_changes_nothing(
    keys: IssuerKeys, issuer: Issuer, clock: ManualClock, page: bytes
) -> None:
    assert_known(keys)
    issuer.pages[JWKS_URL] = page
    clock.now += FRESH_SECONDS
    assert_known(keys)


def test_discovery_leads_to_the_keys(issuer: Issuer, clock: ManualClock) -> None:
    issuer.pages[DISCOVERY_URL] = {"issuer": ISSUER, "jwks_uri": JWKS_URL}
    assert_known(make_keys(issuer, clock, url=None))
    assert issuer.asked == [DISCOVERY_URL, JWKS_URL]


@pytest.mark.parametrize("claimed", [f"{ISSUER}/", "https://other.example.org", ISSUER.upper(), None])
def test_discovery_of_another_issuer_is_not_believed(issuer: Issuer, clock: ManualClock, claimed: str | None) -> None:
    issuer.pages[DISCOVERY_URL] = {"issuer": claimed, "jwks_uri": JWKS_URL}
    with pytest.raises(IssuerUnavailable):
        make_keys(issuer, clock, url=None).key(OURS["kid"], "ES256")
    assert issuer.asked == [DISCOVERY_URL]


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example.org/keys",
        "http://127.0.0.1/keys",
        "https://localhost/keys",
        "https://[::1]/keys",
        "file:///etc/passwd",
        "ftp://issuer.example.org/keys",
        "https://",
        "https://[",
        "",
        None,
        5,
    ],
)
def test_discovery_does_not_lead_anywhere_else(issuer: Issuer, clock: ManualClock, url: object) -> None:
    issuer.pages[DISCOVERY_URL] = {"issuer": ISSUER, "jwks_uri": url}
    with pytest.raises(IssuerUnavailable):
        make_keys(issuer, clock, url=None).key(OURS["kid"], "ES256")
    assert issuer.asked == [DISCOVERY_URL]
