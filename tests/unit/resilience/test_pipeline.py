"""All stages together."""

from __future__ import annotations

from threading import Event
from threading import Thread

import pytest

from database.core.context import NO_CONTEXT
from database.core.context import Context
from database.core.errors import CircuitOpen
from database.core.errors import ConnectFailed
from database.core.errors import ConstraintViolated
from database.core.errors import OutcomeUnknown
from database.core.errors import PoolExhausted
from database.core.errors import TimedOut
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.result import Result
from database.resilience.pipeline import Pipeline
from database.resilience.settings import ResilienceSettings
from tests.clocks import ManualClock
from tests.unit.resilience.support import PATIENCE
from tests.unit.resilience.support import READ
from tests.unit.resilience.support import WRITE
from tests.unit.resilience.support import WRITE_BY_ID
from tests.unit.resilience.support import Backend
from tests.unit.resilience.support import outcome
from tests.unit.resilience.support import together

DOWN = ConnectFailed("down")


def make(backend: Backend, settings: ResilienceSettings | None = None) -> Pipeline:
    clock = backend.clock
    return Pipeline("pg", backend, settings, clock=clock, sleep=clock.advance, chance=lambda: 0.0, probing=False)


def test_a_call_goes_through_with_a_deadline(clock: ManualClock) -> None:
    backend = Backend(clock, takes=0.001)
    pipeline = make(backend)
    assert pipeline.call(READ, NO_CONTEXT).count == 1
    assert backend.contexts[0].deadline == pytest.approx(clock.now - 0.001 + 30)
    snapshot = pipeline.snapshot()
    assert snapshot["operations"]["get"]["ok"] == 1
    assert snapshot["operations"]["get"]["seconds"] == pytest.approx(0.001)
    assert (snapshot["name"], snapshot["circuit_state"], snapshot["in_flight"]) == ("pg", "closed", 0)


def test_the_guard_sees_every_attempt(clock: ManualClock) -> None:
    backend = Backend(clock, *[DOWN] * 20)
    pipeline = make(backend)
    assert outcome(lambda: pipeline.call(READ, NO_CONTEXT)) is DOWN
    second = outcome(lambda: pipeline.call(READ, NO_CONTEXT))
    assert isinstance(second, CircuitOpen)
    assert (second.backend, second.operation) == ("pg", "get")
    assert len(backend.sent) == 5
    assert pipeline.snapshot()["operations"]["get"]["backend_error"] == 5


def test_an_open_circuit_answers_at_once_and_sends_nothing(clock: ManualClock) -> None:
    backend = Backend(clock, *[DOWN] * 5)
    pipeline = make(backend, ResilienceSettings(retry_count=0))
    for _ in range(5):
        outcome(lambda: pipeline.call(READ, NO_CONTEXT))
    before = clock.now
    for operation in (READ, WRITE, Ping()):
        refused = outcome(lambda operation=operation: pipeline.call(operation, NO_CONTEXT))  # type: ignore[misc]
        assert isinstance(refused, CircuitOpen)
        assert refused.retry_after == 60
    assert (clock.now, len(backend.sent)) == (before, 5)
    snapshot = pipeline.snapshot()
    assert (snapshot["circuit_state"], snapshot["failure_count"], snapshot["refused"]) == ("open", 5, 3)


def test_a_write_whose_reply_was_lost(clock: ManualClock) -> None:
    backend = Backend(clock, OutcomeUnknown("reply lost"), OutcomeUnknown("reply lost"))
    pipeline = make(backend)
    lost = outcome(lambda: pipeline.call(WRITE, NO_CONTEXT))
    assert isinstance(lost, OutcomeUnknown)
    assert (lost.backend, lost.operation) == ("pg", "insert")
    assert isinstance(pipeline.call(WRITE_BY_ID, NO_CONTEXT), Result)
    assert backend.sent == [WRITE, WRITE_BY_ID, WRITE_BY_ID]


def test_all_zeros(clock: ManualClock) -> None:
    backend = Backend(clock, *[DOWN] * 20)
    pipeline = make(backend, ResilienceSettings(0, 0, 0, 0, 0))
    for _ in range(20):
        assert outcome(lambda: pipeline.call(READ, NO_CONTEXT)) is DOWN
    assert isinstance(pipeline.call(READ, NO_CONTEXT), Result)
    assert len(backend.sent) == 21
    assert backend.contexts[0] is NO_CONTEXT
    assert (pipeline.circuit_breaker.state, pipeline.snapshot()["in_flight"]) == ("closed", None)


def test_the_deadline_is_never_overrun(clock: ManualClock) -> None:
    backend = Backend(clock, *[DOWN] * 100, takes=0.4)
    pipeline = make(backend, ResilienceSettings(timeout=2, retry_count=99, circuit_breaker_threshold=0))
    began = clock.now
    assert outcome(lambda: pipeline.call(READ, NO_CONTEXT)) is DOWN
    assert clock.now - backend.takes < began + 2
    assert {context.deadline for context in backend.contexts} == {began + 2}
    late = outcome(lambda: pipeline.call(READ, Context(clock.now)))
    assert isinstance(late, TimedOut)
    assert len(backend.sent) <= 5


def test_a_hung_call_holds_one_permit_and_delays_no_other() -> None:
    entered, leave = Event(), Event()

    def execute(operation: Operation, context: Context) -> Result:
        if operation is WRITE:
            entered.set()
            assert leave.wait(PATIENCE)
        return Result()

    pipeline = Pipeline("pg", execute, ResilienceSettings(max_concurrency=2), probing=False)
    hung = Thread(target=pipeline.call, args=(WRITE, NO_CONTEXT))
    hung.start()
    assert entered.wait(PATIENCE)
    answers = together(4, lambda: pipeline.call(READ, NO_CONTEXT))
    assert all(isinstance(answer, Result) for answer in answers)
    assert (hung.is_alive(), pipeline.snapshot()["in_flight"]) == (True, 1)
    leave.set()
    hung.join(PATIENCE)
    assert pipeline.snapshot()["in_flight"] == 0


def test_a_session_holds_a_permit_for_its_life(clock: ManualClock) -> None:
    pipeline = make(Backend(clock), ResilienceSettings(max_concurrency=1))
    deadlines: list[float] = []

    def opener(context: Context) -> str:
        deadlines.append(context.deadline)
        return "session"

    assert pipeline.open_session(opener, NO_CONTEXT) == "session"
    assert deadlines == [clock.now + 30]
    refused = outcome(lambda: pipeline.call(READ, Context(clock.now + 0.01)))
    assert isinstance(refused, PoolExhausted)
    assert (refused.backend, refused.operation) == ("pg", "get")
    pipeline.release_session()
    assert isinstance(pipeline.call(READ, NO_CONTEXT), Result)
    with pytest.raises(RuntimeError, match="no permit is in use"):
        pipeline.release_session()


def test_opening_a_session_is_repeated_and_counted(clock: ManualClock) -> None:
    pipeline = make(Backend(clock))
    errors = [ConnectFailed("refused"), OutcomeUnknown("reply lost")]

    def opener(context: Context) -> str:
        if errors:
            raise errors.pop()
        return "session"

    assert pipeline.open_session(opener, NO_CONTEXT) == "session"
    begin = pipeline.snapshot()["operations"]["begin"]
    assert (begin["ok"], begin["backend_error"], begin["unknown"]) == (1, 1, 1)
    assert pipeline.snapshot()["in_flight"] == 1


def test_a_failed_opening_leaves_no_permit_taken(clock: ManualClock) -> None:
    pipeline = make(Backend(clock))

    def opener(context: Context) -> str:
        raise DOWN

    for _ in range(3):
        outcome(lambda: pipeline.open_session(opener, NO_CONTEXT))
    assert (pipeline.snapshot()["circuit_state"], pipeline.snapshot()["in_flight"]) == ("open", 0)


def test_calls_in_a_session_are_neither_repeated_nor_refused(clock: ManualClock) -> None:
    pipeline = make(Backend(clock), ResilienceSettings(max_concurrency=1))
    pipeline.open_session(lambda context: "session", NO_CONTEXT)
    inside = Backend(clock, *[DOWN] * 6, ConstraintViolated("unique"))
    observe = pipeline.observe(inside)
    for expected in range(1, 7):
        assert outcome(lambda: observe(READ, NO_CONTEXT)) is DOWN
        assert len(inside.sent) == expected
    assert pipeline.circuit_breaker.state == "open"
    violated = outcome(lambda: observe(WRITE, NO_CONTEXT))
    assert isinstance(violated, ConstraintViolated)
    assert (violated.backend, violated.operation) == ("pg", "insert")
    assert pipeline.snapshot()["operations"]["get"]["backend_error"] == 6
    assert isinstance(outcome(lambda: observe(READ, Context(clock.now))), TimedOut)


def test_a_backend_that_comes_back_is_found_without_traffic() -> None:
    back = Event()
    answers = iter([DOWN, None])

    def ping_or_fail(operation: Operation, context: Context) -> Result:
        error = next(answers) if isinstance(operation, Ping) else DOWN
        if error is not None:
            raise error
        back.set()
        return Result()

    # The one permit is held by a session: a ping takes none.
    settings = ResilienceSettings(circuit_breaker_timeout=0, max_concurrency=1)
    pipeline = Pipeline("pg", ping_or_fail, settings)
    pipeline.open_session(lambda context: None, NO_CONTEXT)
    inside = pipeline.observe(ping_or_fail)
    for _ in range(settings.circuit_breaker_threshold):
        outcome(lambda: inside(WRITE, NO_CONTEXT))
    assert back.wait(PATIENCE)
    pipeline.close()
    snapshot = pipeline.snapshot()
    assert (snapshot["circuit_state"], snapshot["openings"]) == ("closed", 1)
    assert (snapshot["operations"]["ping"]["ok"], snapshot["operations"]["ping"]["backend_error"]) == (1, 1)
    pipeline.start()
    pipeline.close()
