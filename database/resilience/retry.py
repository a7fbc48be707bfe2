"""Further attempts, where they cannot do harm: few, spread in time, and paid for by earlier successes.

tenacity carries the policy, but is entered only after the first attempt has failed: on a call that succeeds it
would cost more than all other stages together.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from threading import Lock
from typing import Generic

from tenacity import RetryCallState
from tenacity import Retrying
from tenacity import sleep_using_event
from tenacity import stop_after_attempt

from database.core.chance import chance
from database.core.clock import Clock
from database.core.context import Context
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import Outcome
from database.core.errors import OutcomeUnknown
from database.core.operations import Operation
from database.core.operations import reads_only
from database.resilience.stages import Answer
from database.resilience.stages import Step

Sleep = Callable[[float], None]

_JUDGED = (Conflict, ConstraintViolated)
"""Refusals by those who would know of an earlier attempt; a gateway, which refuses a token, does not."""

BASE_WAIT = 0.1
"""Seconds within which the first retry comes; the bound doubles from one retry to the next."""

LONGEST_WAIT = 30.0
"""Seconds a retry waits at most. A backend that asks for more is not waited for; the caller is told its wish."""


class RetryBudget:
    """A token bucket for one backend: retries stay a tenth of the traffic, however much of it fails.

    :ivar short: whether the bucket has room, so that a call with a full one need not touch the lock.
    """

    # In tenths of a retry, because ten times 0.1 is less than 1.
    _CAPACITY = 100
    _DEPOSIT = 1
    _PRICE = 10

    def __init__(self) -> None:
        self._lock = Lock()
        self._tenths = self._CAPACITY
        self.short = False

    @property
    def retries(self) -> float:
        """What the bucket pays for now, at most 10 retries."""
        return self._tenths / self._PRICE

    def deposit(self) -> None:
        """Pay in for a first attempt."""
        with self._lock:
            self._tenths = min(self._CAPACITY, self._tenths + self._DEPOSIT)
            self.short = self._tenths < self._CAPACITY

    def withdraw(self) -> bool:
        """Pay for a retry; False if the bucket is empty."""
        with self._lock:
            if self._tenths < self._PRICE:
                return False
            self._tenths -= self._PRICE
            self.short = True
            return True


def may_repeat(operation: Operation, error: BaseException) -> bool:
    """Whether ``operation`` may be sent again after ``error``: nothing was applied, or twice is as good as once."""
    if not isinstance(error, DataError):
        return False
    if error.outcome is Outcome.UNKNOWN:
        return operation.idempotent
    return error.retryable and error.outcome is Outcome.NOT_APPLIED


class Retry:
    """The retry policy of one backend.

    :param count: attempts after the first.
    :param clock: the clock that deadlines are on.
    :param sleep: waits the given seconds between attempts.
    """

    def __init__(self, count: int, clock: Clock, sleep: Sleep | None = None) -> None:
        self.budget = RetryBudget()
        self._clock = clock
        self._enough = stop_after_attempt(count + 1)
        self._retrying = Retrying(
            retry=_repeatable,
            wait=self._wait,
            stop=self._stop,
            sleep=sleep or sleep_using_event(Event()),
            reraise=True,
        )

    def repeated(self, inner: Step[Answer]) -> Step[Answer]:
        """The stage: repeats ``inner`` where :func:`may_repeat` allows it and deadline, count and budget do.

        :raises DataError: the last attempt's own error; but if an earlier attempt at a write had an unknown
            outcome, that ``OutcomeUnknown``, because the last error's "not applied" does not speak for it, unless the
            backend judged a request that it carries out exactly once.
        """
        budget = self.budget

        def call(operation: Operation, context: Context) -> Answer:
            if budget.short:
                budget.deposit()
            try:
                return inner(operation, context)
            except DataError as error:
                if not may_repeat(operation, error):
                    raise
                first = error
            return self._resume(inner, first, operation, context)

        return call

    def _resume(self, inner: Step[Answer], first: DataError, operation: Operation, context: Context) -> Answer:
        attempts = _Attempts(inner, first)
        try:
            return self._retrying(attempts, operation, context)
        except DataError as last:
            doubt = attempts.doubt
            settled = operation.exactly_once and isinstance(last, _JUDGED)
            if doubt is None or last.outcome is Outcome.UNKNOWN or reads_only(operation) or settled:
                raise
            raise doubt from last

    def _wait(self, state: RetryCallState) -> float:
        asked = getattr(_error(state), "retry_after", None)
        longest = min(LONGEST_WAIT, BASE_WAIT * 2.0 ** (state.attempt_number - 1))
        return max(longest * chance(), asked or 0.0)

    def _stop(self, state: RetryCallState) -> bool:
        # The budget comes last: it is charged only for a retry that really follows.
        context: Context = state.args[1]
        wait = state.upcoming_sleep
        return (
            self._enough(state)
            or wait > LONGEST_WAIT
            or self._clock() + wait >= context.deadline
            or not self.budget.withdraw()
        )


class _Attempts(Generic[Answer]):
    """What tenacity calls: first the failure that is known already, as attempt 1, then the real thing."""

    def __init__(self, inner: Step[Answer], first: DataError) -> None:
        self._inner = inner
        self._first: DataError | None = first
        self.doubt = first if first.outcome is Outcome.UNKNOWN else None

    def __call__(self, operation: Operation, context: Context) -> Answer:
        if self._first is not None:
            first, self._first = self._first, None
            raise first
        try:
            return self._inner(operation, context)
        except OutcomeUnknown as error:
            self.doubt = error
            raise


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


def _repeatable(state: RetryCallState) -> bool:
    error = _error(state)
    return error is not None and may_repeat(state.args[0], error)
