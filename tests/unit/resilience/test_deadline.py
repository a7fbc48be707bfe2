"""The deadline stage."""

from __future__ import annotations

import math

import pytest

from database.core.context import NO_CONTEXT
from database.core.context import Context
from database.core.context import Identity
from database.core.errors import NotFound
from database.core.errors import TimedOut
from database.resilience.deadline import bounded
from database.resilience.deadline import remaining
from tests.clocks import ManualClock
from tests.unit.resilience.support import READ
from tests.unit.resilience.support import Backend


@pytest.mark.parametrize(
    ("timeout", "own", "expected"),
    [(30, math.inf, 1030), (30, 1005, 1005), (30, 1050, 1030), (0, math.inf, math.inf), (0, 1005, 1005)],
)
def test_the_earlier_deadline_holds(clock: ManualClock, timeout: float, own: float, expected: float) -> None:
    backend = Backend(clock)
    identity = Identity("u1", "authenticated")
    bounded(backend, "pg", timeout, clock)(READ, Context(own, identity, "a transaction"))
    assert backend.contexts == [Context(expected, identity, "a transaction")]


@pytest.mark.parametrize("timeout", [0, 30])
def test_nothing_is_sent_after_the_deadline(clock: ManualClock, timeout: float) -> None:
    backend = Backend(clock)
    with pytest.raises(TimedOut) as caught:
        bounded(backend, "pg", timeout, clock)(READ, Context(clock.now))
    assert backend.sent == []
    assert (caught.value.backend, caught.value.operation) == ("pg", "get")


def test_errors_are_signed_unless_they_are(clock: ManualClock) -> None:
    bare, signed = NotFound("no row"), NotFound("no row", backend="inner", operation="batch")
    call = bounded(Backend(clock, bare, signed), "pg", 30, clock)
    for error in (bare, signed):
        with pytest.raises(NotFound) as caught:
            call(READ, NO_CONTEXT)
        assert caught.value is error
    assert (bare.backend, bare.operation) == ("pg", "get")
    assert (signed.backend, signed.operation) == ("inner", "batch")


def test_remaining_is_never_negative(clock: ManualClock) -> None:
    assert remaining(Context(clock.now + 2), clock) == 2
    assert remaining(Context(clock.now - 2), clock) == 0
    assert remaining(NO_CONTEXT, clock) == math.inf
