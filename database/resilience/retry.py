"""Retries operations where that is safe, with jitter and within a budget that first attempts pay into.

tenacity implements the policy, but is entered only after the first attempt has failed: for a successful call it would
cost more than all other stages together.
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
from database.resilience.stages import BackendCall

Sleep = Callable[[float], None]

_JUDGED = (Conflict, ConstraintViolated)
"""Errors raised by the backend itself, after it looked up the operation key. A gateway's 401 proves nothing about
earlier attempts."""

BASE_WAIT = 0.1
"""The upper bound of the first wait in seconds; it doubles with each retry."""

LONGEST_WAIT = 30.0
"""The longest wait in seconds. If the backend asks for more, there is no retry; the error has its ``retry_after``."""


class RetryBudget:
    """A token bucket for one backend: limits retries to a tenth of the calls, however many of them fail.

    :ivar short: whether the bucket is not full; with a full one a call need not take the lock.
    """

    # In tenths of a retry, to avoid rounding errors: ten times 0.1 is less than 1.
    _CAPACITY = 100
    _DEPOSIT = 1
    _PRICE = 10

    def __init__(self) -> None:
        self._lock = Lock()
        self._tenths = self._CAPACITY
        self.short = False

    @property
    def retries(self) -> float:
        """The retries that the bucket pays for now, at most 10."""
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
    """Whether ``operation`` may be sent again after ``error``: nothing was applied, or it is idempotent."""
    if not isinstance(error, DataError):
        return False
    if error.outcome is Outcome.UNKNOWN:
        return operation.idempotent
    return error.retryable and error.outcome is Outcome.NOT_APPLIED


class Retry:
    """The retry policy of one backend.

    :param count: attempts after the first.
    :param clock: the clock of the deadlines.
    :param sleep: replaces waiting between attempts, for tests.
    """

    def __init__(self, count: int, clock: Clock, sleep: Sleep | None = None) -> None:
        self.budget = RetryBudget()
        self._count = count
        self._clock = clock
        self._enough = stop_after_attempt(count + 1)
        self._retrying = Retrying(
            retry=_repeatable,
            wait=self._wait,
            stop=self._stop,
            sleep=sleep or sleep_using_event(Event()),
            reraise=True,
        )

    def repeated(self, inner: BackendCall[Answer]) -> BackendCall[Answer]:
        """The stage: retries ``inner`` if :func:`may_repeat`, the deadline, the count and the budget allow it.

        :raises DataError: the last attempt's error; but if an earlier attempt at a write had an unknown outcome, its
            ``OutcomeUnknown``, because the last error does not say whether that attempt was applied. It does if the
            backend itself refused an operation that it executes exactly once.
        """
        if not self._count:
            return inner
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

    def _resume(self, inner: BackendCall[Answer], first: DataError, operation: Operation, context: Context) -> Answer:
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
        # The budget is checked last, so that it is charged only for retries that take place.
        context: Context = state.args[1]
        wait = state.upcoming_sleep
        return (
            self._enough(state)
            or wait > LONGEST_WAIT
            or self._clock() + wait >= context.deadline
            or not self.budget.withdraw()
        )


class _Attempts(Generic[Answer]):
    """The function that tenacity calls: its first call raises the known failure as attempt 1, further ones retry."""

    def __init__(self, inner: BackendCall[Answer], first: DataError) -> None:
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
