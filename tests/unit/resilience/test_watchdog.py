"""The watchdog's limits: deadlines that their owners set anew for one statement after another."""

from __future__ import annotations

import math
from threading import Event
from threading import Semaphore

import pytest

from database.core.clock import monotonic
from database.resilience.watchdog import Watchdog

PATIENCE = 10.0
QUIET = 0.35  # seconds, in which the watchdog looks several times


def looking(watchdog: Watchdog) -> Watchdog:
    watchdog.look_on()
    return watchdog


def test_a_limit_is_called_again_and_again_from_its_deadline_on() -> None:
    calls = Semaphore(0)
    watchdog = looking(Watchdog())
    limit = watchdog.limit(calls.release)
    assert not calls.acquire(timeout=QUIET)
    limit.deadline = monotonic()
    assert [calls.acquire(timeout=PATIENCE) for _ in range(3)] == [True] * 3
    limit.deadline = math.inf
    calls.acquire(timeout=QUIET)  # one that was under way
    assert not calls.acquire(timeout=QUIET)
    watchdog.forget(limit)


def test_a_forgotten_limit_is_not_called() -> None:
    calls = Semaphore(0)
    watchdog = looking(Watchdog())
    limit = watchdog.limit(calls.release)
    watchdog.forget(limit)
    limit.deadline = monotonic()
    assert not calls.acquire(timeout=QUIET)


def test_a_call_that_fails_keeps_no_other_from_being_called(caplog: pytest.LogCaptureFixture) -> None:
    called = Event()
    watchdog = looking(Watchdog())
    failing, other = watchdog.limit(lambda: 1 / 0), watchdog.limit(called.set)
    failing.deadline = other.deadline = monotonic()
    assert called.wait(PATIENCE)
    assert "a callback of the watchdog failed" in caplog.text
    watchdog.forget(failing)
    watchdog.forget(other)


def test_the_thread_ends_without_a_statement_and_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("database.resilience.watchdog._MOST_IDLE", 1)
    watchdog = looking(Watchdog())
    called, begin = Event(), monotonic()
    limit = watchdog.limit(called.set)
    while watchdog.worker.at_work:
        assert monotonic() < begin + PATIENCE
        called.wait(0.01)
    limit.deadline = monotonic()
    watchdog.look_on()
    assert called.wait(PATIENCE)
    watchdog.forget(limit)
