"""The bulkhead: who may pass, who waits, who is refused."""

from __future__ import annotations

from threading import Barrier
from threading import Event
from threading import Thread

import pytest

from database.core.clock import monotonic
from database.core.context import NO_CONTEXT
from database.core.context import Context
from database.core.errors import ConnectFailed
from database.core.errors import PoolExhausted
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.bulkhead import Bulkhead
from tests.clocks import ManualClock
from tests.unit.resilience.support import PATIENCE
from tests.unit.resilience.support import READ
from tests.unit.resilience.support import Backend
from tests.unit.resilience.support import together


def hold(bulkhead: Bulkhead, context: Context) -> None:
    bulkhead.held(lambda _, __: None)(READ, context)


def test_never_more_calls_than_permits() -> None:
    pairs = Barrier(2)
    bulkhead = Bulkhead(2, monotonic)
    seen: list[int | None] = []

    def meet(operation: Operation, context: Context) -> Result:
        pairs.wait(PATIENCE)
        seen.append(bulkhead.in_flight)
        pairs.wait(PATIENCE)
        return Result()

    call = bulkhead.limited(meet)
    outcomes = together(8, lambda: call(READ, Context(monotonic() + PATIENCE)))
    assert all(isinstance(each, Result) for each in outcomes)
    assert seen == [2] * 8
    assert bulkhead.in_flight == 0


def test_a_call_waits_for_a_permit_without_a_deadline() -> None:
    bulkhead = Bulkhead(1, monotonic)
    hold(bulkhead, NO_CONTEXT)
    passed = Event()

    def wait() -> None:
        hold(bulkhead, NO_CONTEXT)
        passed.set()

    thread = Thread(target=wait)
    thread.start()
    assert not passed.wait(0.02)
    bulkhead.release()
    assert passed.wait(PATIENCE)
    thread.join(PATIENCE)


def test_waiting_ends_at_the_deadline_and_sends_nothing(clock: ManualClock) -> None:
    backend = Backend(clock)
    bulkhead = Bulkhead(1, clock)
    hold(bulkhead, NO_CONTEXT)
    for left in (0.01, 0, -5):
        with pytest.raises(PoolExhausted, match="all 1 permits"):
            bulkhead.limited(backend)(READ, Context(clock.now + left))
    assert backend.sent == []
    assert bulkhead.in_flight == 1


@pytest.mark.parametrize("error", [ConnectFailed("down"), KeyboardInterrupt()])
def test_a_failed_call_and_a_failed_opening_give_their_permit_back(clock: ManualClock, error: BaseException) -> None:
    bulkhead = Bulkhead(1, clock)
    for stage in (bulkhead.limited, bulkhead.held):
        with pytest.raises(type(error)):
            stage(Backend(clock, error))(READ, NO_CONTEXT)
        assert bulkhead.in_flight == 0


def test_an_opened_session_keeps_its_permit_until_released(clock: ManualClock) -> None:
    bulkhead = Bulkhead(1, clock)
    bulkhead.held(Backend(clock))(READ, NO_CONTEXT)
    assert bulkhead.in_flight == 1
    with pytest.raises(PoolExhausted):
        hold(bulkhead, Context(clock.now))
    bulkhead.release()
    assert bulkhead.in_flight == 0


def test_a_second_release_is_refused(clock: ManualClock) -> None:
    bulkhead = Bulkhead(1, clock)
    hold(bulkhead, NO_CONTEXT)
    bulkhead.release()
    with pytest.raises(RuntimeError, match="no permit is in use"):
        bulkhead.release()
    assert bulkhead.in_flight == 0


def test_zero_lets_everybody_pass(clock: ManualClock) -> None:
    backend = Backend(clock)
    bulkhead = Bulkhead(0, clock)
    bulkhead.held(backend)(READ, Context(clock.now + 1))
    bulkhead.release()
    assert bulkhead.limited(backend) is backend
    assert bulkhead.in_flight is None
