"""Random histories of the circuit breaker against a model of a few lines."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import invariant
from hypothesis.stateful import rule

from database.core.context import NO_CONTEXT
from database.core.errors import CircuitOpen
from database.core.errors import ConnectFailed
from database.core.errors import NotFound
from database.core.errors import Throttled
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.circuit_breaker import CircuitBreaker
from database.resilience.settings import ResilienceSettings
from tests.clocks import ManualClock
from tests.unit.resilience.support import READ
from tests.unit.resilience.support import WRITE
from tests.unit.resilience.support import Backend
from tests.unit.resilience.support import outcome

WINDOW, THRESHOLD, OPEN_TIME = 4, 3, 8


class GuardHistory(RuleBasedStateMachine):
    """One thread, whole seconds: so the model can keep a plain list of outcomes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        numbers = ResilienceSettings(
            circuit_breaker_threshold=THRESHOLD, circuit_breaker_timeout=OPEN_TIME, window=WINDOW
        )
        self.circuit_breaker = CircuitBreaker("pg", numbers, self.clock, lambda: 0.0)
        self.state = "closed"
        self.calls: list[tuple[float, bool]] = []
        self.due = 0.0
        self.factor = 1

    @rule(seconds=st.integers(1, 12))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def is_reset(self) -> None:
        self.circuit_breaker.reset()
        self._close()

    @rule(
        operation=st.sampled_from([READ, WRITE]),
        error=st.sampled_from([None, ConnectFailed("down"), NotFound("no row"), Throttled("slow")]),
        times=st.integers(1, 4),
    )
    def is_called(self, operation: Operation, error: Exception | None, times: int) -> None:
        for _ in range(times):
            self._call(operation, error)

    @invariant()
    def agrees_with_the_model(self) -> None:
        assert self.circuit_breaker.state == self.state

    def _call(self, operation: Operation, error: Exception | None) -> None:
        stage = self.circuit_breaker.protected(Backend(self.clock, error))
        answer = outcome(lambda: stage(operation, NO_CONTEXT))
        admitted = self.state == "closed" or (operation is READ and self.clock.now >= self.due)
        if not admitted:
            assert isinstance(answer, CircuitOpen)
            return
        assert isinstance(answer, Result) if error is None else answer is error
        self._learn(error)

    def _learn(self, error: Exception | None) -> None:
        well = error is None or isinstance(error, NotFound)
        failed = isinstance(error, ConnectFailed)
        if self.state == "closed":
            self.calls += [(self.clock.now, failed)] * (well or failed)
            recent = [bad for when, bad in self.calls if when > self.clock.now - WINDOW]
            if failed and sum(recent) >= THRESHOLD and sum(recent) * 2 >= len(recent):
                self._open()
        elif well:
            self._close()
        elif failed:
            self.factor = min(self.factor * 2, 10)
            self._open()
        else:
            self.state = "half-open"

    def _open(self) -> None:
        self.state, self.due = "open", self.clock.now + OPEN_TIME * self.factor

    def _close(self) -> None:
        self.state, self.factor, self.calls = "closed", 1, []


GuardHistory.TestCase.settings = settings(max_examples=75, stateful_step_count=40, deadline=None)
TestGuardHistory = GuardHistory.TestCase
