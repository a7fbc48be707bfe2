"""Refresh tokens on every kind of database: exchanged once, given again if lost, and never shared in silence."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from threading import Barrier
from typing import Any

import pytest

from auth.errors import AuthError
from auth.errors import InvalidRefreshToken
from auth.errors import SessionEnded
from auth.errors import SessionExpired
from auth.errors import UnknownSession
from auth.sessions.refresh_tokens import RefreshToken
from auth.sessions.sessions import REUSE_SECONDS
from auth.sessions.sessions import SESSIONS
from auth.sessions.sessions import TOKENS
from auth.sessions.sessions import Grant
from auth.sessions.sessions import Sessions
from database.adapter.base import DatabaseAdapter
from database.core.errors import Unavailable
from tests.clocks import WallClock
from tests.integration.auth_sessions.support import IDLE
from tests.integration.auth_sessions.support import LIFETIME
from tests.integration.auth_sessions.support import Store
from tests.integration.auth_sessions.support import make_sessions
from tests.integration.auth_sessions.support import session_row
from tests.integration.auth_sessions.support import stored
from tests.integration.auth_sessions.support import unused_tokens

USER = "018f5c3e-0000-7000-8000-000000000001"
OTHER = "018f5c3e-0000-7000-8000-000000000002"


def exchange(sessions: Sessions, grant: Grant) -> Grant:
    return sessions.refresh(grant.refresh_token.text)


def test_a_token_is_exchanged_for_another_of_the_same_session(
    sessions: Sessions, adapter: DatabaseAdapter, clock: WallClock
) -> None:
    first = sessions.begin(USER, "Browser/1.0")
    clock.advance(60)
    second = exchange(sessions, first)
    assert (second.session_id, second.user_id) == (first.session_id, USER)
    assert second.refresh_token != first.refresh_token
    assert second.lasts_until == clock() + IDLE
    assert unused_tokens(adapter) == [second.refresh_token.id]
    assert session_row(adapter, first.session_id)["last_used_at"] == clock()
    assert exchange(sessions, second).session_id == first.session_id


def test_the_database_has_no_token_that_could_be_used(sessions: Sessions, adapter: DatabaseAdapter) -> None:
    first = sessions.begin(USER)
    second = exchange(sessions, first)
    everything = repr(stored(adapter, TOKENS) + stored(adapter, SESSIONS))
    for grant in (first, second):
        assert grant.refresh_token.text.removeprefix("isr_") not in everything
        assert grant.refresh_token.id in everything
        assert grant.refresh_token.text not in repr(grant)


def test_a_token_that_comes_again_at_once_gets_the_same_successor(
    sessions: Sessions, adapter: DatabaseAdapter, clock: WallClock
) -> None:
    first = sessions.begin(USER)
    second = exchange(sessions, first)
    clock.advance(REUSE_SECONDS)
    assert exchange(sessions, first).refresh_token == second.refresh_token
    assert unused_tokens(adapter) == [second.refresh_token.id]


def test_two_exchanges_at_the_same_time_get_the_same_successor(store: Store, clock: WallClock) -> None:
    adapters = [store.connect() for _ in range(3)]
    everyone = [make_sessions(adapter, clock) for adapter in adapters]
    first = everyone[0].begin(USER)
    for adapter in adapters:
        adapter.connect()
    barrier = Barrier(len(everyone))

    def race(sessions: Sessions) -> RefreshToken:
        barrier.wait(timeout=30)
        return exchange(sessions, first).refresh_token

    with ThreadPoolExecutor(len(everyone)) as pool:
        (successor,) = set(pool.map(race, everyone))
    assert unused_tokens(adapters[0]) == [successor.id]
    for adapter in adapters:
        adapter.disconnect()


def test_a_stolen_token_that_comes_late_ends_the_session_for_good(
    sessions: Sessions, adapter: DatabaseAdapter, clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    first = sessions.begin(USER)
    second = exchange(sessions, first)
    clock.advance(REUSE_SECONDS + 0.001)
    with pytest.raises(SessionEnded):
        exchange(sessions, first)
    row = session_row(adapter, first.session_id)
    assert (row["ended_at"], row["end_reason"]) == (clock(), "refresh_reuse")
    for grant in (first, second):
        with pytest.raises(SessionEnded):
            exchange(sessions, grant)
    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert first.session_id in record.getMessage()
    assert USER in record.getMessage()
    assert "isr_" not in caplog.text


def test_the_token_before_the_last_ends_the_session_however_soon(sessions: Sessions) -> None:
    first = sessions.begin(USER)
    third = exchange(sessions, exchange(sessions, first))
    with pytest.raises(SessionEnded):
        exchange(sessions, first)
    with pytest.raises(SessionEnded):
        exchange(sessions, third)


def test_a_session_expires_and_a_clock_that_is_set_back_does_not_revive_it(
    sessions: Sessions, adapter: DatabaseAdapter, clock: WallClock
) -> None:
    grant = sessions.begin(USER)
    clock.advance(IDLE.total_seconds())
    with pytest.raises(SessionExpired):
        exchange(sessions, grant)
    assert session_row(adapter, grant.session_id)["end_reason"] == "expired"
    clock.advance(-IDLE.total_seconds())
    with pytest.raises(SessionEnded):
        exchange(sessions, grant)


def test_a_session_that_is_used_all_the_time_expires_nevertheless(memory_store: Store, clock: WallClock) -> None:
    sessions = make_sessions(memory_store.connect(), clock)
    grant = sessions.begin(USER)
    end = clock() + LIFETIME
    while clock() + timedelta(days=10) < end:
        clock.advance(timedelta(days=10).total_seconds())
        grant = exchange(sessions, grant)
    assert grant.lasts_until == end
    clock.time = end
    with pytest.raises(SessionExpired):
        exchange(sessions, grant)


def test_only_ones_own_living_sessions_are_listed_and_ended(sessions: Sessions, clock: WallClock) -> None:
    old = sessions.begin(USER, "Old/1.0")
    clock.advance(60)
    ended, kept = sessions.begin(USER, "Ended/1.0"), sessions.begin(USER, "x" * 300 + "\n")
    others = sessions.begin(OTHER)
    sessions.end(ended.session_id, USER, "ended_by_user")
    for session_id in (ended.session_id, others.session_id, "no such"):
        with pytest.raises(UnknownSession):
            sessions.end(session_id, USER, "ended_by_user")
    listed = sessions.list_active(USER)
    assert [session.id for session in listed] == [kept.session_id, old.session_id]
    assert [session.user_agent for session in listed] == ["x" * 255, "Old/1.0"]
    assert sessions.end_all(USER, "password_change", keep=kept.session_id) == [old.session_id]
    assert [session.id for session in sessions.list_active(USER)] == [kept.session_id]
    assert exchange(sessions, others).user_id == OTHER


def test_a_sign_in_that_replaces_a_session_ends_it(sessions: Sessions, adapter: DatabaseAdapter) -> None:
    first = sessions.begin(USER)
    second = sessions.begin(USER, replacing=first.refresh_token.text)
    assert second.session_id != first.session_id
    assert session_row(adapter, first.session_id)["end_reason"] == "replaced"
    for nothing in (None, "isr_", RefreshToken.new().text):
        sessions.begin(USER, replacing=nothing)
    assert exchange(sessions, second).session_id == second.session_id


def test_what_ends_is_told_once_it_is_committed(adapter: DatabaseAdapter, clock: WallClock) -> None:
    told: list[str] = []
    sessions = make_sessions(adapter, clock, on_end=told.extend)
    grants = [sessions.begin(USER) for _ in range(3)]
    sessions.end(grants[0].session_id, USER, "logout")

    def fail() -> None:
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        sessions.end_all(USER, "password_change", together_with=fail)
    assert told == [grants[0].session_id]
    exchange(sessions, grants[1])
    clock.advance(60)
    with pytest.raises(SessionEnded):
        exchange(sessions, grants[1])
    assert told == [grants[0].session_id, grants[1].session_id]


@pytest.mark.parametrize(
    "token",
    [None, 5, "", "isr_", RefreshToken.new().text, RefreshToken.new().text + "\n", "isr_" + "ü" * 43],
    ids=count(),
)
def test_what_is_no_token_of_a_session_is_refused(memory_store: Store, clock: WallClock, token: Any) -> None:
    with pytest.raises(InvalidRefreshToken) as caught:
        make_sessions(memory_store.connect(), clock).refresh(token)
    assert isinstance(caught.value, AuthError)
    assert caught.value.status == 401
    assert str(token) not in caught.value.message or token == ""
