"""The retry stage: what is sent again, when, and what the caller is told in the end."""

from __future__ import annotations

import math

import pytest

from database.core.context import NO_CONTEXT
from database.core.context import Context
from database.core.errors import CircuitOpen
from database.core.errors import Conflict
from database.core.errors import ConnectFailed
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import PoolExhausted
from database.core.errors import Throttled
from database.core.errors import TimedOut
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.retry import LONGEST_WAIT
from database.resilience.retry import Retry
from tests.clocks import ManualClock
from tests.unit.resilience.support import READ
from tests.unit.resilience.support import WRITE
from tests.unit.resilience.support import WRITE_BY_ID
from tests.unit.resilience.support import Backend
from tests.unit.resilience.support import outcome


class Setting:
    """A retry policy whose waiting moves the clock and is written down."""

    def __init__(self, clock: ManualClock, count: int = 3) -> None:
        self.clock = clock
        self.waits: list[float] = []
        self.retry = Retry(count, clock, self._sleep)

    def run(self, backend: Backend, operation: Operation = READ, deadline: float = math.inf) -> Result | BaseException:
        stage = self.retry.repeated(backend)
        return outcome(lambda: stage(operation, Context(deadline)))

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)


@pytest.fixture
def setting(clock: ManualClock) -> Setting:
    return Setting(clock)


def test_a_first_success_costs_nothing(setting: Setting) -> None:
    backend = Backend(setting.clock)
    assert isinstance(setting.run(backend), Result)
    assert (len(backend.sent), setting.waits, setting.retry.budget.retries) == (1, [], 10)


@pytest.mark.parametrize("error", [ConnectFailed("refused"), TimedOut("queued too long"), Throttled("slow down")])
@pytest.mark.parametrize("operation", [READ, WRITE, WRITE_BY_ID])
def test_what_was_not_applied_is_sent_again(setting: Setting, operation: Operation, error: DataError) -> None:
    backend = Backend(setting.clock, error, error)
    answer = setting.run(backend, operation)
    assert isinstance(answer, Result)
    assert (answer.count, len(setting.waits)) == (3, 2)
    assert setting.waits[0] <= 0.1
    assert setting.waits[1] <= 0.2


@pytest.mark.parametrize(
    "error",
    [CircuitOpen("open"), PoolExhausted("full"), Conflict("changed"), ZeroDivisionError(), KeyboardInterrupt()],
)
def test_what_repeating_cannot_help_is_not(setting: Setting, error: BaseException) -> None:
    backend = Backend(setting.clock, error)
    assert setting.run(backend) is error
    assert (len(backend.sent), setting.waits) == (1, [])


def test_a_write_whose_answer_was_lost_is_not_sent_again(setting: Setting) -> None:
    lost = OutcomeUnknown("reply lost")
    backend = Backend(setting.clock, lost)
    assert setting.run(backend, WRITE) is lost
    assert backend.sent == [WRITE]


@pytest.mark.parametrize("operation", [READ, WRITE_BY_ID])
def test_unless_twice_is_as_good_as_once(setting: Setting, operation: Operation) -> None:
    backend = Backend(setting.clock, OutcomeUnknown("reply lost"))
    assert isinstance(setting.run(backend, operation), Result)
    assert backend.sent == [operation, operation]


def test_a_later_error_does_not_hide_that_the_write_may_have_been_applied(setting: Setting) -> None:
    lost, down, refused = OutcomeUnknown("reply lost"), ConnectFailed("down"), CircuitOpen("open")
    answer = setting.run(Backend(setting.clock, down, lost, refused), WRITE_BY_ID)
    assert answer is lost
    assert lost.__cause__ is refused
    assert setting.run(Backend(setting.clock, lost, refused), READ) is refused


@pytest.mark.parametrize(("count", "attempts"), [(0, 1), (1, 2), (3, 4)])
def test_the_last_error_itself_is_raised_after_the_last_attempt(clock: ManualClock, count: int, attempts: int) -> None:
    setting = Setting(clock, count)
    errors = [ConnectFailed(str(number)) for number in range(9)]
    backend = Backend(clock, *errors)
    assert setting.run(backend) is errors[attempts - 1]
    assert (len(backend.sent), len(setting.waits)) == (attempts, attempts - 1)


def test_a_wish_of_the_backend_is_honoured(setting: Setting) -> None:
    backend = Backend(setting.clock, Throttled("slow down", retry_after=7))
    assert isinstance(setting.run(backend), Result)
    assert setting.waits == [7]


@pytest.mark.parametrize("asked", [5.0, 6.0])
def test_a_wait_that_would_reach_the_deadline_is_not_begun(setting: Setting, asked: float) -> None:
    error = Throttled("slow down", retry_after=asked)
    backend = Backend(setting.clock, error)
    assert setting.run(backend, deadline=setting.clock.now + 5) is error
    assert (setting.waits, setting.retry.budget.retries) == ([], 10)


def test_a_wait_without_a_deadline_has_a_bound(setting: Setting) -> None:
    error = Throttled("slow down", retry_after=LONGEST_WAIT + 1)
    assert setting.run(Backend(setting.clock, error)) is error
    assert setting.waits == []


def test_no_attempt_begins_after_the_deadline(clock: ManualClock) -> None:
    setting = Setting(clock, count=1000)
    deadline = clock.now + 2.0
    backend = Backend(clock, *[ConnectFailed("down")] * 1000, takes=0.3)
    assert isinstance(setting.run(backend, deadline=deadline), ConnectFailed)
    assert 1 < len(backend.sent) <= 7
    assert clock.now - backend.takes < deadline


def test_the_budget_ends_a_storm_and_is_earned_back(clock: ManualClock) -> None:
    setting = Setting(clock)
    dead = Backend(clock, *[ConnectFailed("down")] * 1000)
    for _ in range(20):
        setting.run(dead)
    # 20 first attempts, the 10 retries of a full bucket, and 1 that the first attempts since then have paid for.
    assert len(dead.sent) == 20 + 10 + 1
    assert setting.retry.budget.retries < 1
    for _ in range(200):
        setting.run(Backend(clock))
    assert setting.retry.budget.retries == 10
    assert not setting.retry.budget.short


def test_ten_deposits_pay_for_one_retry(clock: ManualClock) -> None:
    budget = Setting(clock).retry.budget
    assert [budget.withdraw() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(9):
        budget.deposit()
    assert not budget.withdraw()
    budget.deposit()
    assert budget.withdraw()
    assert budget.retries == 0


def test_it_waits_for_real_without_a_sleep_of_its_own(clock: ManualClock) -> None:
    backend = Backend(clock, Throttled("slow down", retry_after=0.001))
    assert isinstance(Retry(1, clock).repeated(backend)(READ, NO_CONTEXT), Result)
    assert len(backend.sent) == 2
