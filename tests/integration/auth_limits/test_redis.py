"""One count for all processes, in a real Redis server; and what goes on while it is away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth.errors import InvalidCredentials
from auth.errors import TooManyAttempts
from auth.sign_in import redis_counters
from auth.sign_in.limits import REDIS_PAUSE
from auth.sign_in.limits import Counters
from auth.sign_in.limits import SignInLimits
from config.settings import load_settings
from tests.clocks import ManualClock
from tests.integration.auth_limits.conftest import LimitedSite
from tests.integration.http.support import CHEAP
from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import Fault
from tests.servers.network.faults import LoseReply
from tests.servers.network.faults import Refuse
from tests.servers.network.proxy import FaultProxy
from tests.servers.redis import PASSWORD
from tests.servers.redis import RedisServer
from tests.simulation.served import ServedApp

ADA = "ada@example.org"
HOME = "192.0.2.1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def make_limits(url: str, clock: ManualClock) -> SignInLimits:
    """The limits of one process."""
    settings = load_settings(None, AUTH_LOGIN_LIMIT_PER_ACCOUNT="3/day", AUTH_REGISTER_LIMIT_PER_ADDRESS="2/day")
    return SignInLimits(settings, Counters(url, clock))


def fail(limits: SignInLimits, email: str = ADA) -> None:
    with pytest.raises(InvalidCredentials), limits.sign_in(HOME, email):
        raise InvalidCredentials


def refuse(limits: SignInLimits, email: str = ADA) -> None:
    with pytest.raises(TooManyAttempts), limits.sign_in(HOME, email):
        pytest.fail("the attempt was made")


def succeed(limits: SignInLimits, email: str = ADA) -> None:
    with limits.sign_in(HOME, email):
        pass


def test_two_processes_share_a_count(redis: RedisServer, tmp_path: Path, limited_site: LimitedSite) -> None:
    settings = {"REDIS_URL": redis.url, "AUTH_LOGIN_LIMIT_PER_ACCOUNT": "3/day"}
    here = limited_site(CHEAP, **settings)
    wrong = {"email": ADA, "password": "wrong password"}
    with ServedApp(tmp_path, **settings) as there:

        def ask_there() -> int:
            return httpx.post(f"{there.url}/auth/login", json=wrong, trust_env=False, timeout=30).status_code

        def ask_here() -> int:
            status: int = here.post("/auth/login", wrong).status_code
            return status

        assert [ask() for ask in (ask_there, ask_here, ask_there, ask_here, ask_there)] == [401, 401, 401, 429, 429]
    assert PASSWORD not in there.log()


def test_what_one_process_forgets_all_forget(redis: RedisServer, clock: ManualClock) -> None:
    one, two = make_limits(redis.url, clock), make_limits(redis.url, clock)
    fail(one)
    fail(two)
    succeed(one)
    for limits_ in (two, two, one):
        fail(limits_)
    refuse(one)
    refuse(two)
    one.register(HOME)
    two.register(HOME)
    with pytest.raises(TooManyAttempts):
        one.register(HOME)


def test_no_address_is_in_redis_and_nothing_stays(redis: RedisServer, clock: ManualClock) -> None:
    fail(make_limits(redis.url, clock))
    with redis.client() as client:
        keys: Any = client.keys("*")
        lives = [client.ttl(key) for key in keys]
    text = b" ".join(keys).decode()
    assert len(keys) == 2
    assert "ada" not in text
    assert HOME not in text
    assert all(isinstance(life, int) and 0 < life <= 2 * 86_400 for life in lives)


@pytest.mark.parametrize("fault", [Refuse, Blackhole])
def test_while_redis_is_away_each_process_counts_alone_and_sign_in_goes_on(
    redis: RedisServer,
    clock: ManualClock,
    proxy: Callable[[int], FaultProxy],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: type[Fault],
) -> None:
    monkeypatch.setattr(redis_counters, "TIMEOUT", 0.1)
    between = proxy(redis.port)
    cut_off, other = make_limits(redis.url_at(between.port), clock), make_limits(redis.url, clock)
    fail(cut_off)
    with between.suffering(fault()):
        fail(cut_off)
        succeed(cut_off, "bob@example.org")
        # It counted its own failure from before, too, and does not lose count.
        fail(cut_off)
        refuse(cut_off)
        fail(other)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "each process counts its limits" in caplog.text
    clock.now += REDIS_PAUSE
    fail(cut_off)
    refuse(other)
    refuse(cut_off)
    assert "counts the limits for all processes" in caplog.records[-1].message
    assert PASSWORD not in caplog.text


def test_redis_is_not_asked_again_at_once(
    redis: RedisServer, clock: ManualClock, proxy: Callable[[int], FaultProxy]
) -> None:
    between = proxy(redis.port)
    cut_off = make_limits(redis.url_at(between.port), clock)
    with between.suffering(Refuse()):
        fail(cut_off)
    for number in range(5):
        fail(cut_off, f"{number}@example.org")
    assert between.accepted == 0
    clock.now += REDIS_PAUSE
    succeed(cut_off, "bob@example.org")
    assert between.accepted == 1


def test_a_lost_answer_is_not_counted_twice(
    redis: RedisServer, clock: ManualClock, proxy: Callable[[int], FaultProxy]
) -> None:
    between = proxy(redis.port)
    hasty, other = make_limits(redis.url_at(between.port), clock), make_limits(redis.url, clock)
    # Redis knows the script from now on, so that the next command is the one that counts.
    fail(hasty)
    with between.suffering(LoseReply(b"EVALSHA")):
        hasty.register(HOME)
    other.register(HOME)
    with pytest.raises(TooManyAttempts):
        other.register(HOME)


def test_a_redis_that_refuses_the_password_is_as_good_as_away(redis: RedisServer, clock: ManualClock) -> None:
    locked_out = make_limits(f"redis://:wrong@127.0.0.1:{redis.port}/0", clock)
    for _ in range(3):
        fail(locked_out)
    refuse(locked_out)
