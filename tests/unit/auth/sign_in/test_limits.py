"""Limits on guessing: what is counted, what is forgotten, and for whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from auth.errors import AuthError
from auth.errors import InvalidCredentials
from auth.errors import InvalidToken
from auth.errors import TooManyAttempts
from auth.sign_in.limits import Counters
from auth.sign_in.limits import SignInLimits
from auth.sign_in.limits import network
from config.settings import ConfigurationError
from config.settings import load_settings
from database.core.errors import Unavailable

HOME = "192.0.2.1"
ADA = "ada@example.org"


def make_limits(account: str = "3/day", address: str = "5/day", register: str = "2/day") -> SignInLimits:
    settings = load_settings(
        None,
        AUTH_LOGIN_LIMIT_PER_ACCOUNT=account,
        AUTH_LOGIN_LIMIT_PER_ADDRESS=address,
        AUTH_REGISTER_LIMIT_PER_ADDRESS=register,
    )
    return SignInLimits(settings, Counters(None))


def fail(limits: SignInLimits, email: object = ADA, address: str | None = HOME, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(InvalidCredentials), limits.sign_in(address, email):
            raise InvalidCredentials


def succeed(limits: SignInLimits, email: object = ADA, address: str | None = HOME) -> None:
    with limits.sign_in(address, email):
        pass


def refuse(limits: SignInLimits, email: object = ADA, address: str | None = HOME) -> int:
    """The seconds to wait; the attempt is not made."""
    with pytest.raises(TooManyAttempts) as caught, limits.sign_in(address, email):
        pytest.fail("the attempt was made")
    return caught.value.retry_after


def test_an_account_is_closed_after_its_failures_and_says_until_when() -> None:
    limits = make_limits()
    fail(limits, times=3)
    assert 1 <= refuse(limits) <= 86_400
    succeed(limits, "bob@example.org")


def test_a_success_forgets_the_failures_of_its_account_alone() -> None:
    limits = make_limits(address="100/day")
    fail(limits, times=2)
    fail(limits, "bob@example.org", times=3)
    succeed(limits)
    fail(limits, times=3)
    refuse(limits)
    refuse(limits, "bob@example.org")


def test_an_address_is_closed_whatever_accounts_it_tries_and_another_is_not() -> None:
    limits = make_limits()
    for number in range(5):
        succeed(limits, "mine@example.org")
        fail(limits, f"user{number}@example.org")
    refuse(limits, "user9@example.org")
    succeed(limits, "user9@example.org", "192.0.2.2")


@pytest.mark.parametrize("spelling", [" ADA@example.org", "Ada@Example.Org ", "ada@EXAMPLE.org"])
def test_all_spellings_of_an_address_are_one_account(spelling: str) -> None:
    limits = make_limits()
    fail(limits, spelling, times=3)
    refuse(limits)


@pytest.mark.parametrize("email", [None, 5, "", "nowhere", ["a@example.org"], "a\ud800@b.co"])
def test_what_names_no_account_counts_for_the_network_address(email: object) -> None:
    limits = make_limits()
    fail(limits, email, times=5)
    refuse(limits, email)
    refuse(limits)


def test_a_bad_token_is_a_failure_and_an_outage_is_none() -> None:
    limits = make_limits(address="1/day")
    with pytest.raises(Unavailable), limits.sign_in(HOME, ADA):
        raise Unavailable("no database")
    with pytest.raises(InvalidToken), limits.sign_in(HOME):
        raise InvalidToken("expired")
    refuse(limits)


def test_registrations_are_counted_whatever_becomes_of_them() -> None:
    limits = make_limits()
    limits.register(HOME)
    limits.register(HOME)
    with pytest.raises(TooManyAttempts):
        limits.register(HOME)
    limits.register("192.0.2.2")
    succeed(limits)


def test_no_limit_is_no_limit() -> None:
    limits = make_limits("off", "OFF", "off")
    fail(limits, times=50)
    for _ in range(50):
        limits.register(HOME)
    succeed(limits)


@settings(max_examples=25)
@given(st.lists(st.booleans(), max_size=20))
def test_an_account_is_open_until_its_failures_since_the_last_success_reach_the_limit(outcomes: list[bool]) -> None:
    limits, failures = make_limits(address="off"), 0
    for success in outcomes:
        attempt: Callable[[SignInLimits], object] = refuse if failures == 3 else succeed if success else fail
        attempt(limits)
        if failures < 3:
            failures = 0 if success else failures + 1


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", ""),
        (None, ""),
    ],
)
def test_who_counts_as_one_client(address: str | None, client: str) -> None:
    assert network(address) == client


def test_many_addresses_of_one_network_are_one_client() -> None:
    limits = make_limits(account="off")
    for number in range(5):
        fail(limits, address=f"2001:db8::{number}")
    refuse(limits, address="2001:db8::ffff")
    succeed(limits, address="2001:db8:0:1::1")


@pytest.mark.parametrize("rate", ["10", "ten/hour", "0/hour", "-1/hour", "5/fortnight", "1/second;2/hour", "none"])
def test_a_rate_that_is_none_stops_the_start(rate: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, AUTH_LOGIN_LIMIT_PER_ACCOUNT=rate, AUTH_REGISTER_LIMIT_PER_ADDRESS=rate)
    assert caught.value.problems.keys() == {"AUTH_LOGIN_LIMIT_PER_ACCOUNT", "AUTH_REGISTER_LIMIT_PER_ADDRESS"}


@pytest.mark.parametrize(
    "url", ["127.0.0.1", "http://127.0.0.1", "redis://", "redis://:hush@host:port", "redis://[::1"]
)
def test_a_wrong_url_of_redis_stops_the_start_and_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, REDIS_URL=url)
    assert caught.value.problems.keys() == {"REDIS_URL"}
    assert "hush" not in str(caught.value)


def test_the_refusal_has_its_status_and_header() -> None:
    error: AuthError = TooManyAttempts(17)
    assert (error.status, error.code, error.headers) == (429, "too_many_attempts", {"Retry-After": "17"})
