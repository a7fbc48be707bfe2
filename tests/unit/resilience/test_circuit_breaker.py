"""The circuit breaker, as a table of what may open, try and close it."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event
from threading import Thread

import pybreaker
import pytest
from pybreaker import CircuitBreakerListener
from pybreaker import CircuitBreakerState

from database.core.context import NO_CONTEXT
from database.core.context import Context
from database.core.errors import CircuitOpen
from database.core.errors import ConnectFailed
from database.core.errors import ConstraintViolated
from database.core.errors import NotFound
from database.core.errors import OutcomeUnknown
from database.core.errors import PoolExhausted
from database.core.errors import Throttled
from database.core.errors import TimedOut
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import Sql
from database.core.result import Result
from database.resilience.circuit_breaker import CircuitBreaker
from database.resilience.settings import ResilienceSettings
from database.resilience.stages import Handler
from tests.clocks import ManualClock
from tests.unit.resilience.support import PATIENCE
from tests.unit.resilience.support import READ
from tests.unit.resilience.support import WRITE
from tests.unit.resilience.support import Backend
from tests.unit.resilience.support import outcome
from tests.unit.resilience.support import together

SETTINGS = ResilienceSettings(timeout=30, circuit_breaker_threshold=5, circuit_breaker_timeout=60, trial_timeout=5)
DOWN = ConnectFailed("down")
PATIENT = Context(deadline=1e6)


def make(clock: ManualClock, settings: ResilienceSettings = SETTINGS, jitter: float = 0.0) -> CircuitBreaker:
    return CircuitBreaker("pg", settings, clock, lambda: jitter)


def opened(clock: ManualClock, settings: ResilienceSettings = SETTINGS) -> CircuitBreaker:
    circuit_breaker = make(clock, settings)
    call(circuit_breaker, Backend(clock, *[DOWN] * 5), times=5)
    assert circuit_breaker.state == "open"
    return circuit_breaker


def call(
    circuit_breaker: CircuitBreaker, handler: Handler, operation: Operation = READ, times: int = 1
) -> list[Result | BaseException]:
    stage = circuit_breaker.protected(handler)
    return [outcome(lambda: stage(operation, PATIENT)) for _ in range(times)]


class Held:
    """A call that answers, or raises, only when told to."""

    def __init__(self, circuit_breaker: CircuitBreaker, error: BaseException | None = None) -> None:
        self.entered = Event()
        self.leave = Event()
        self.outcomes: list[Result | BaseException] = []
        self._error = error
        self._thread = Thread(target=lambda: self.outcomes.extend(call(circuit_breaker, self._hang)))
        self._thread.start()
        assert self.entered.wait(PATIENCE)

    def answer(self) -> Result | BaseException:
        self.leave.set()
        self._thread.join(PATIENCE)
        return self.outcomes[0]

    def _hang(self, operation: Operation, context: Context) -> Result:
        self.entered.set()
        assert self.leave.wait(PATIENCE)
        if self._error is not None:
            raise self._error
        return Result()


# --- Opening -------------------------------------------------------------------------------------


def test_opens_at_the_threshold_and_sends_nothing_more(clock: ManualClock) -> None:
    circuit_breaker, backend = make(clock), Backend(clock, *[DOWN] * 9)
    outcomes = call(circuit_breaker, backend, times=8)
    assert len(backend.sent) == 5
    assert outcomes[:5] == [DOWN] * 5
    for refused in outcomes[5:]:
        assert isinstance(refused, CircuitOpen)
        assert refused.retry_after == 60
    assert (circuit_breaker.state, circuit_breaker.failure_count) == ("open", 5)


def test_opens_although_every_fifth_call_is_well(clock: ManualClock) -> None:
    circuit_breaker, backend = make(clock), Backend(clock, *[None, DOWN, DOWN, DOWN, DOWN] * 4)
    call(circuit_breaker, backend, times=20)
    assert circuit_breaker.state == "open"
    assert len(backend.sent) == 7


def test_stays_closed_while_most_calls_are_well(clock: ManualClock) -> None:
    circuit_breaker, backend = make(clock), Backend(clock, *[None, None, DOWN] * 30)
    call(circuit_breaker, backend, times=90)
    assert (circuit_breaker.state, circuit_breaker.failure_count) == ("closed", 30)


def test_failures_that_are_far_apart_do_not_add_up(clock: ManualClock) -> None:
    circuit_breaker = make(clock)
    call(circuit_breaker, Backend(clock, *[DOWN] * 20, takes=3), times=20)
    assert (circuit_breaker.state, circuit_breaker.failure_count) == ("closed", 4)


def test_a_threshold_of_zero_never_opens(clock: ManualClock) -> None:
    circuit_breaker = make(clock, ResilienceSettings(circuit_breaker_threshold=0))
    call(circuit_breaker, Backend(clock, *[DOWN] * 100), times=100)
    assert (circuit_breaker.state, circuit_breaker.failure_count) == ("closed", 100)


@pytest.mark.parametrize("error", [DOWN, OutcomeUnknown("reply lost")])
def test_failures_of_the_backend_open(clock: ManualClock, error: BaseException) -> None:
    circuit_breaker = make(clock)
    call(circuit_breaker, Backend(clock, *[error] * 5), WRITE, times=5)
    assert circuit_breaker.state == "open"


@pytest.mark.parametrize(
    "error",
    [
        NotFound("no row"),
        ConstraintViolated("unique"),
        Throttled("slow down"),
        PoolExhausted("no connection"),
        KeyboardInterrupt(),
        ZeroDivisionError(),
        TimedOut("after no time at all"),
    ],
)
def test_what_does_not_count(clock: ManualClock, error: BaseException) -> None:
    circuit_breaker, backend = make(clock), Backend(clock, *[error] * 50)
    assert call(circuit_breaker, backend, times=50) == [error] * 50
    assert (circuit_breaker.state, circuit_breaker.failure_count) == ("closed", 0)


def test_refused_requests_are_signs_of_life(clock: ManualClock) -> None:
    circuit_breaker = make(clock)
    call(circuit_breaker, Backend(clock, *[NotFound("no row")] * 6, *[DOWN] * 5), times=11)
    assert (circuit_breaker.state, circuit_breaker.failure_count) == ("closed", 5)


@pytest.mark.parametrize(("takes", "state"), [(30, "open"), (28, "open"), (3, "closed")])
def test_only_a_call_that_had_its_full_time_counts_as_timed_out(clock: ManualClock, takes: float, state: str) -> None:
    settings = ResilienceSettings(timeout=30, window=1000)
    circuit_breaker, backend = make(clock, settings), Backend(clock, *[TimedOut("late")] * 5, takes=takes)
    stage = circuit_breaker.protected(backend)
    for _ in range(5):
        outcome(lambda: stage(READ, Context(clock.now + takes)))
    assert circuit_breaker.state == state


# --- While calls are under way -------------------------------------------------------------------


def test_a_call_that_hangs_delays_no_other(clock: ManualClock) -> None:
    circuit_breaker = make(clock)
    hung = Held(circuit_breaker)
    outcomes = together(8, lambda: call(circuit_breaker, Backend(clock))[0])
    assert all(isinstance(each, Result) for each in outcomes)
    assert hung.outcomes == []
    assert isinstance(hung.answer(), Result)


def test_a_failure_from_before_the_opening_does_not_prolong_it(clock: ManualClock) -> None:
    circuit_breaker = make(clock)
    late = Held(circuit_breaker, DOWN)
    call(circuit_breaker, Backend(clock, *[DOWN] * 5), times=5)
    clock.advance(40)
    assert late.answer() is DOWN
    assert (circuit_breaker.state, circuit_breaker.retry_after) == ("open", 20)


def test_a_success_from_before_the_opening_does_not_close_it(clock: ManualClock) -> None:
    circuit_breaker = make(clock)
    late = Held(circuit_breaker)
    call(circuit_breaker, Backend(clock, *[DOWN] * 5), times=5)
    assert isinstance(late.answer(), Result)
    assert circuit_breaker.state == "open"


def test_failures_from_before_a_closing_do_not_open_again(clock: ManualClock) -> None:
    circuit_breaker = make(clock)
    late = [Held(circuit_breaker, DOWN) for _ in range(6)]
    call(circuit_breaker, Backend(clock, *[DOWN] * 5), times=5)
    circuit_breaker.reset()
    for each in late:
        each.answer()
    assert (circuit_breaker.state, circuit_breaker.failure_count) == ("closed", 0)


# --- Half-open -----------------------------------------------------------------------------------


def test_sixteen_threads_make_one_trial(clock: ManualClock) -> None:
    circuit_breaker = opened(clock)
    clock.advance(60)
    trial = Held(circuit_breaker)
    backend = Backend(clock)
    outcomes = together(16, lambda: call(circuit_breaker, backend)[0])
    assert all(isinstance(each, CircuitOpen) and each.retry_after == 5 for each in outcomes)
    assert backend.sent == []
    assert circuit_breaker.state == "half-open"
    trial.answer()
    assert circuit_breaker.state == "closed"


def test_sixteen_threads_at_once_send_one_call(clock: ManualClock) -> None:
    circuit_breaker, leave = opened(clock), Event()
    clock.advance(60)
    sent: list[Operation] = []

    def hang(operation: Operation, context: Context) -> Result:
        sent.append(operation)
        assert leave.wait(PATIENCE)
        return Result()

    def ask() -> Result | BaseException:
        answer = call(circuit_breaker, hang)[0]
        if circuit_breaker.snapshot()["refused"] == 15:
            leave.set()
        return answer

    outcomes = together(16, ask)
    assert len(sent) == 1
    assert sum(isinstance(each, CircuitOpen) for each in outcomes) == 15
    assert circuit_breaker.state == "closed"


@pytest.mark.parametrize("operation", [WRITE, Sql("delete from molecules")])
def test_a_write_is_never_a_trial(clock: ManualClock, operation: Operation) -> None:
    circuit_breaker, backend = opened(clock), Backend(clock)
    clock.advance(60)
    (refused,) = call(circuit_breaker, backend, operation)
    assert isinstance(refused, CircuitOpen)
    assert refused.retry_after == 0
    assert (backend.sent, circuit_breaker.state) == ([], "open")


@pytest.mark.parametrize("operation", [READ, Ping(), Sql("select 1")])
def test_a_read_closes_the_circuit(clock: ManualClock, operation: Operation) -> None:
    circuit_breaker = opened(clock)
    clock.advance(59)
    assert isinstance(call(circuit_breaker, Backend(clock), operation)[0], CircuitOpen)
    clock.advance(1)
    assert isinstance(call(circuit_breaker, Backend(clock), operation)[0], Result)
    assert (circuit_breaker.state, circuit_breaker.failure_count, circuit_breaker.retry_after) == ("closed", 0, 0)


def test_a_refused_request_is_a_good_trial(clock: ManualClock) -> None:
    circuit_breaker = opened(clock)
    clock.advance(60)
    call(circuit_breaker, Backend(clock, NotFound("no row")))
    assert circuit_breaker.state == "closed"


def test_a_trial_that_hangs_gives_way_and_is_not_listened_to(clock: ManualClock) -> None:
    circuit_breaker = opened(clock)
    clock.advance(60)
    hung = Held(circuit_breaker)
    clock.advance(4.9)
    assert isinstance(call(circuit_breaker, Backend(clock))[0], CircuitOpen)
    clock.advance(0.1)
    second = Held(circuit_breaker, DOWN)
    hung.answer()
    assert circuit_breaker.state == "half-open"
    second.answer()
    assert circuit_breaker.state == "open"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError(), Throttled("slow"), PoolExhausted("full")])
def test_a_trial_that_says_nothing_frees_its_permit(clock: ManualClock, error: BaseException) -> None:
    circuit_breaker = opened(clock)
    clock.advance(60)
    assert call(circuit_breaker, Backend(clock, error)) == [error]
    assert (circuit_breaker.state, circuit_breaker.retry_after) == ("half-open", 0)
    call(circuit_breaker, Backend(clock))
    assert circuit_breaker.state == "closed"


@pytest.mark.parametrize(("takes", "state"), [(5, "open"), (1, "half-open")])
def test_a_trial_fails_by_the_time_trials_have(clock: ManualClock, takes: float, state: str) -> None:
    circuit_breaker = opened(clock)
    clock.advance(60)
    stage = circuit_breaker.protected(Backend(clock, TimedOut("late"), takes=takes))
    outcome(lambda: stage(READ, Context(clock.now + takes)))
    assert circuit_breaker.state == state


def test_open_time_doubles_up_to_tenfold_and_starts_anew_after_a_closing(clock: ManualClock) -> None:
    circuit_breaker = opened(clock)
    times = []
    for _ in range(6):
        times.append(circuit_breaker.retry_after)
        clock.advance(circuit_breaker.retry_after)
        call(circuit_breaker, Backend(clock, DOWN))
    assert times == [60, 120, 240, 480, 600, 600]
    clock.advance(circuit_breaker.retry_after)
    call(circuit_breaker, Backend(clock))
    call(circuit_breaker, Backend(clock, *[DOWN] * 5), times=5)
    assert (circuit_breaker.state, circuit_breaker.retry_after) == ("open", 60)


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 60), (0.5, 54), (1.0, 48)])
def test_jitter_shortens_the_open_time(clock: ManualClock, chance: float, expected: float) -> None:
    circuit_breaker = make(clock, jitter=chance)
    call(circuit_breaker, Backend(clock, *[DOWN] * 5), times=5)
    assert circuit_breaker.retry_after == pytest.approx(expected)


def test_an_open_time_of_zero_allows_a_trial_at_once(clock: ManualClock) -> None:
    circuit_breaker = opened(clock, ResilienceSettings(circuit_breaker_timeout=0))
    assert call(circuit_breaker, Backend(clock, DOWN)) == [DOWN]
    call(circuit_breaker, Backend(clock))
    assert circuit_breaker.state == "closed"


# --- Observing, listening, telling ---------------------------------------------------------------


def test_observed_calls_count_but_are_never_refused(clock: ManualClock) -> None:
    circuit_breaker, backend = make(clock), Backend(clock, *[DOWN] * 6)
    stage = circuit_breaker.observed(backend)
    for _ in range(7):
        outcome(lambda: stage(WRITE, NO_CONTEXT))
    assert len(backend.sent) == 7
    assert (circuit_breaker.state, circuit_breaker.failure_count) == ("open", 5)


class Listener(CircuitBreakerListener):
    def __init__(self, circuit_breaker: CircuitBreaker) -> None:
        self.circuit_breaker = circuit_breaker
        self.changes: list[tuple[str, str]] = []

    def state_change(
        self, cb: pybreaker.CircuitBreaker, old_state: CircuitBreakerState | None, new_state: CircuitBreakerState
    ) -> None:
        assert old_state is not None
        assert self.circuit_breaker.state == self.circuit_breaker.snapshot()["state"] == new_state.name
        self.changes.append((old_state.name, new_state.name))


def test_listeners_hear_every_change_in_order(clock: ManualClock) -> None:
    circuit_breaker = make(clock)
    listener = Listener(circuit_breaker)
    circuit_breaker.add_listener(listener)
    steps: list[Callable[[], object]] = [
        lambda: call(circuit_breaker, Backend(clock, *[DOWN] * 5), times=5),
        lambda: clock.advance(60),
        lambda: call(circuit_breaker, Backend(clock, DOWN)),
        lambda: clock.advance(120),
        lambda: call(circuit_breaker, Backend(clock)),
        circuit_breaker.reset,
    ]
    for step in steps:
        step()
    assert listener.changes == [
        ("closed", "open"),
        ("open", "half-open"),
        ("half-open", "open"),
        ("open", "half-open"),
        ("half-open", "closed"),
    ]


def test_a_listener_that_comes_late_hears_of_the_state_that_follows(clock: ManualClock) -> None:
    circuit_breaker = opened(clock)
    listener = Listener(circuit_breaker)
    circuit_breaker.add_listener(listener)
    circuit_breaker.reset()
    assert listener.changes == [("open", "closed")]


def test_snapshot_and_reset(clock: ManualClock) -> None:
    circuit_breaker = opened(clock)
    call(circuit_breaker, Backend(clock), times=3)
    clock.advance(10)
    assert circuit_breaker.snapshot() == {
        "state": "open",
        "failure_count": 5,
        "openings": 1,
        "refused": 3,
        "retry_after": 50,
    }
    circuit_breaker.reset()
    assert circuit_breaker.snapshot()["state"] == "closed"
    assert isinstance(call(circuit_breaker, Backend(clock), WRITE)[0], Result)


def test_without_any_limit_a_driver_that_gave_up_counts(clock: ManualClock) -> None:
    circuit_breaker = make(clock, ResilienceSettings(timeout=0))
    stage = circuit_breaker.protected(Backend(clock, *[TimedOut("the driver's own limit")] * 5))
    for _ in range(5):
        outcome(lambda: stage(READ, Context(math.inf)))
    assert circuit_breaker.state == "open"
