"""The circuit guard, as a table of what may open, try and close it."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event
from threading import Thread

import pytest
from pybreaker import CircuitBreaker
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
from database.resilience.circuit_breaker import Guard
from database.resilience.policy import Handler
from database.resilience.policy import ResilienceSettings
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


def make(clock: ManualClock, settings: ResilienceSettings = SETTINGS, jitter: float = 0.0) -> Guard:
    return Guard("pg", settings, clock, lambda: jitter)


def opened(clock: ManualClock, settings: ResilienceSettings = SETTINGS) -> Guard:
    guard = make(clock, settings)
    call(guard, Backend(clock, *[DOWN] * 5), times=5)
    assert guard.state == "open"
    return guard


def call(guard: Guard, handler: Handler, operation: Operation = READ, times: int = 1) -> list[Result | BaseException]:
    stage = guard.protected(handler)
    return [outcome(lambda: stage(operation, PATIENT)) for _ in range(times)]


class Held:
    """A call that answers, or raises, only when told to."""

    def __init__(self, guard: Guard, error: BaseException | None = None) -> None:
        self.entered = Event()
        self.leave = Event()
        self.outcomes: list[Result | BaseException] = []
        self._error = error
        self._thread = Thread(target=lambda: self.outcomes.extend(call(guard, self._hang)))
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
    guard, backend = make(clock), Backend(clock, *[DOWN] * 9)
    outcomes = call(guard, backend, times=8)
    assert len(backend.sent) == 5
    assert outcomes[:5] == [DOWN] * 5
    for refused in outcomes[5:]:
        assert isinstance(refused, CircuitOpen)
        assert refused.retry_after == 60
    assert (guard.state, guard.failure_count) == ("open", 5)


def test_opens_although_every_fifth_call_is_well(clock: ManualClock) -> None:
    guard, backend = make(clock), Backend(clock, *[None, DOWN, DOWN, DOWN, DOWN] * 4)
    call(guard, backend, times=20)
    assert guard.state == "open"
    assert len(backend.sent) == 7


def test_stays_closed_while_most_calls_are_well(clock: ManualClock) -> None:
    guard, backend = make(clock), Backend(clock, *[None, None, DOWN] * 30)
    call(guard, backend, times=90)
    assert (guard.state, guard.failure_count) == ("closed", 30)


def test_failures_that_are_far_apart_do_not_add_up(clock: ManualClock) -> None:
    guard = make(clock)
    call(guard, Backend(clock, *[DOWN] * 20, takes=3), times=20)
    assert (guard.state, guard.failure_count) == ("closed", 4)


def test_a_threshold_of_zero_never_opens(clock: ManualClock) -> None:
    guard = make(clock, ResilienceSettings(circuit_breaker_threshold=0))
    call(guard, Backend(clock, *[DOWN] * 100), times=100)
    assert (guard.state, guard.failure_count) == ("closed", 100)


@pytest.mark.parametrize("error", [DOWN, OutcomeUnknown("reply lost")])
def test_failures_of_the_backend_open(clock: ManualClock, error: BaseException) -> None:
    guard = make(clock)
    call(guard, Backend(clock, *[error] * 5), WRITE, times=5)
    assert guard.state == "open"


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
    guard, backend = make(clock), Backend(clock, *[error] * 50)
    assert call(guard, backend, times=50) == [error] * 50
    assert (guard.state, guard.failure_count) == ("closed", 0)


def test_refused_requests_are_signs_of_life(clock: ManualClock) -> None:
    guard = make(clock)
    call(guard, Backend(clock, *[NotFound("no row")] * 6, *[DOWN] * 5), times=11)
    assert (guard.state, guard.failure_count) == ("closed", 5)


@pytest.mark.parametrize(("takes", "state"), [(30, "open"), (28, "open"), (3, "closed")])
def test_only_a_call_that_had_its_full_time_counts_as_timed_out(clock: ManualClock, takes: float, state: str) -> None:
    settings = ResilienceSettings(timeout=30, window=1000)
    guard, backend = make(clock, settings), Backend(clock, *[TimedOut("late")] * 5, takes=takes)
    stage = guard.protected(backend)
    for _ in range(5):
        outcome(lambda: stage(READ, Context(clock.now + takes)))
    assert guard.state == state


# --- While calls are under way -------------------------------------------------------------------


def test_a_call_that_hangs_delays_no_other(clock: ManualClock) -> None:
    guard = make(clock)
    hung = Held(guard)
    outcomes = together(8, lambda: call(guard, Backend(clock))[0])
    assert all(isinstance(each, Result) for each in outcomes)
    assert hung.outcomes == []
    assert isinstance(hung.answer(), Result)


def test_a_failure_from_before_the_opening_does_not_prolong_it(clock: ManualClock) -> None:
    guard = make(clock)
    late = Held(guard, DOWN)
    call(guard, Backend(clock, *[DOWN] * 5), times=5)
    clock.advance(40)
    assert late.answer() is DOWN
    assert (guard.state, guard.retry_after) == ("open", 20)


def test_a_success_from_before_the_opening_does_not_close_it(clock: ManualClock) -> None:
    guard = make(clock)
    late = Held(guard)
    call(guard, Backend(clock, *[DOWN] * 5), times=5)
    assert isinstance(late.answer(), Result)
    assert guard.state == "open"


def test_failures_from_before_a_closing_do_not_open_again(clock: ManualClock) -> None:
    guard = make(clock)
    late = [Held(guard, DOWN) for _ in range(6)]
    call(guard, Backend(clock, *[DOWN] * 5), times=5)
    guard.reset()
    for each in late:
        each.answer()
    assert (guard.state, guard.failure_count) == ("closed", 0)


# --- Half-open -----------------------------------------------------------------------------------


def test_sixteen_threads_make_one_trial(clock: ManualClock) -> None:
    guard = opened(clock)
    clock.advance(60)
    trial = Held(guard)
    backend = Backend(clock)
    outcomes = together(16, lambda: call(guard, backend)[0])
    assert all(isinstance(each, CircuitOpen) and each.retry_after == 5 for each in outcomes)
    assert backend.sent == []
    assert guard.state == "half-open"
    trial.answer()
    assert guard.state == "closed"


def test_sixteen_threads_at_once_send_one_call(clock: ManualClock) -> None:
    guard, leave = opened(clock), Event()
    clock.advance(60)
    sent: list[Operation] = []

    def hang(operation: Operation, context: Context) -> Result:
        sent.append(operation)
        assert leave.wait(PATIENCE)
        return Result()

    def ask() -> Result | BaseException:
        answer = call(guard, hang)[0]
        if guard.snapshot()["refused"] == 15:
            leave.set()
        return answer

    outcomes = together(16, ask)
    assert len(sent) == 1
    assert sum(isinstance(each, CircuitOpen) for each in outcomes) == 15
    assert guard.state == "closed"


@pytest.mark.parametrize("operation", [WRITE, Sql("delete from molecules")])
def test_a_write_is_never_a_trial(clock: ManualClock, operation: Operation) -> None:
    guard, backend = opened(clock), Backend(clock)
    clock.advance(60)
    (refused,) = call(guard, backend, operation)
    assert isinstance(refused, CircuitOpen)
    assert refused.retry_after == 0
    assert (backend.sent, guard.state) == ([], "open")


@pytest.mark.parametrize("operation", [READ, Ping(), Sql("select 1")])
def test_a_read_closes_the_circuit(clock: ManualClock, operation: Operation) -> None:
    guard = opened(clock)
    clock.advance(59)
    assert isinstance(call(guard, Backend(clock), operation)[0], CircuitOpen)
    clock.advance(1)
    assert isinstance(call(guard, Backend(clock), operation)[0], Result)
    assert (guard.state, guard.failure_count, guard.retry_after) == ("closed", 0, 0)


def test_a_refused_request_is_a_good_trial(clock: ManualClock) -> None:
    guard = opened(clock)
    clock.advance(60)
    call(guard, Backend(clock, NotFound("no row")))
    assert guard.state == "closed"


def test_a_trial_that_hangs_gives_way_and_is_not_listened_to(clock: ManualClock) -> None:
    guard = opened(clock)
    clock.advance(60)
    hung = Held(guard)
    clock.advance(4.9)
    assert isinstance(call(guard, Backend(clock))[0], CircuitOpen)
    clock.advance(0.1)
    second = Held(guard, DOWN)
    hung.answer()
    assert guard.state == "half-open"
    second.answer()
    assert guard.state == "open"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError(), Throttled("slow"), PoolExhausted("full")])
def test_a_trial_that_says_nothing_frees_its_permit(clock: ManualClock, error: BaseException) -> None:
    guard = opened(clock)
    clock.advance(60)
    assert call(guard, Backend(clock, error)) == [error]
    assert (guard.state, guard.retry_after) == ("half-open", 0)
    call(guard, Backend(clock))
    assert guard.state == "closed"


@pytest.mark.parametrize(("takes", "state"), [(5, "open"), (1, "half-open")])
def test_a_trial_fails_by_the_time_trials_have(clock: ManualClock, takes: float, state: str) -> None:
    guard = opened(clock)
    clock.advance(60)
    stage = guard.protected(Backend(clock, TimedOut("late"), takes=takes))
    outcome(lambda: stage(READ, Context(clock.now + takes)))
    assert guard.state == state


def test_open_time_doubles_up_to_tenfold_and_starts_anew_after_a_closing(clock: ManualClock) -> None:
    guard = opened(clock)
    times = []
    for _ in range(6):
        times.append(guard.retry_after)
        clock.advance(guard.retry_after)
        call(guard, Backend(clock, DOWN))
    assert times == [60, 120, 240, 480, 600, 600]
    clock.advance(guard.retry_after)
    call(guard, Backend(clock))
    call(guard, Backend(clock, *[DOWN] * 5), times=5)
    assert (guard.state, guard.retry_after) == ("open", 60)


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 60), (0.5, 54), (1.0, 48)])
def test_jitter_shortens_the_open_time(clock: ManualClock, chance: float, expected: float) -> None:
    guard = make(clock, jitter=chance)
    call(guard, Backend(clock, *[DOWN] * 5), times=5)
    assert guard.retry_after == pytest.approx(expected)


def test_an_open_time_of_zero_allows_a_trial_at_once(clock: ManualClock) -> None:
    guard = opened(clock, ResilienceSettings(circuit_breaker_timeout=0))
    assert call(guard, Backend(clock, DOWN)) == [DOWN]
    call(guard, Backend(clock))
    assert guard.state == "closed"


# --- Observing, listening, telling ---------------------------------------------------------------


def test_observed_calls_count_but_are_never_refused(clock: ManualClock) -> None:
    guard, backend = make(clock), Backend(clock, *[DOWN] * 6)
    stage = guard.observed(backend)
    for _ in range(7):
        outcome(lambda: stage(WRITE, NO_CONTEXT))
    assert len(backend.sent) == 7
    assert (guard.state, guard.failure_count) == ("open", 5)


class Listener(CircuitBreakerListener):
    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.changes: list[tuple[str, str]] = []

    def state_change(
        self, cb: CircuitBreaker, old_state: CircuitBreakerState | None, new_state: CircuitBreakerState
    ) -> None:
        assert old_state is not None
        assert self.guard.state == self.guard.snapshot()["state"] == new_state.name
        self.changes.append((old_state.name, new_state.name))


def test_listeners_hear_every_change_in_order(clock: ManualClock) -> None:
    guard = make(clock)
    listener = Listener(guard)
    guard.add_listener(listener)
    steps: list[Callable[[], object]] = [
        lambda: call(guard, Backend(clock, *[DOWN] * 5), times=5),
        lambda: clock.advance(60),
        lambda: call(guard, Backend(clock, DOWN)),
        lambda: clock.advance(120),
        lambda: call(guard, Backend(clock)),
        guard.reset,
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
    guard = opened(clock)
    listener = Listener(guard)
    guard.add_listener(listener)
    guard.reset()
    assert listener.changes == [("open", "closed")]


def test_snapshot_and_reset(clock: ManualClock) -> None:
    guard = opened(clock)
    call(guard, Backend(clock), times=3)
    clock.advance(10)
    assert guard.snapshot() == {
        "state": "open",
        "failure_count": 5,
        "openings": 1,
        "refused": 3,
        "retry_after": 50,
    }
    guard.reset()
    assert guard.snapshot()["state"] == "closed"
    assert isinstance(call(guard, Backend(clock), WRITE)[0], Result)


def test_without_any_limit_a_driver_that_gave_up_counts(clock: ManualClock) -> None:
    guard = make(clock, ResilienceSettings(timeout=0))
    stage = guard.protected(Backend(clock, *[TimedOut("the driver's own limit")] * 5))
    for _ in range(5):
        outcome(lambda: stage(READ, Context(math.inf)))
    assert guard.state == "open"
