"""The circuit breaker: while a backend is down, calls fail at once, and one trial at a time asks whether it is back.

pybreaker is the state machine that its listeners see; it is never asked to run a call, because it would hold its
lock meanwhile and every call would wait for the slowest. The decisions are taken here:

* closed: outcomes are counted in a :class:`~database.resilience.window.Window`. The circuit opens when the
  window holds the threshold of failures and they are the given share of its calls.
* open: nothing is sent until the open time is over; it doubles from one reopening to the next, up to tenfold.
* half-open: one reading call is the trial; its outcome closes or reopens the circuit.

Traffic alone finds a backend well in this way. Where a :class:`~database.resilience.probe.Prober` asks all the time, it
closes the circuit as soon as the backend answers, whatever is left of the open time.

Every closed period has its own window and every trial its own permit, so that an answer that comes after its
period is recognised and moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING
from typing import TypedDict

from database.core.chance import chance
from database.core.clock import Clock
from database.core.context import Context
from database.core.errors import CircuitOpen
from database.core.errors import DataError
from database.core.operations import Operation
from database.core.operations import reads_only
from database.resilience.classification import Verdict
from database.resilience.classification import classify
from database.resilience.metrics import Metrics
from database.resilience.settings import ResilienceSettings
from database.resilience.stages import Answer
from database.resilience.stages import Step
from database.resilience.window import Window

if TYPE_CHECKING:
    from pybreaker import CircuitBreakerListener

    from database.resilience.mirror import Mirror

# As pybreaker names them.
CLOSED = "closed"
OPEN = "open"
HALF_OPEN = "half-open"

Watch = Callable[[str], None]
"""Told of each new state."""

_MOST_DOUBLED = 10
_JITTER = 0.2


class GuardSnapshot(TypedDict):
    """The circuit breaker as seen from outside.

    ``failure_count`` as in :attr:`CircuitBreaker.failure_count`; ``openings`` and ``refused`` count since the start;
    ``retry_after`` is in seconds.
    """

    state: str
    failure_count: int
    openings: int
    refused: int
    retry_after: float


class _Trial:
    """A permit to ask the backend, good until ``expires``; its identity tells a late answer from a due one."""

    __slots__ = ("expires",)

    def __init__(self, expires: float) -> None:
        self.expires = expires


class CircuitBreaker:
    """The circuit breaker of one backend.

    :param name: the backend's name.
    :param settings: see there for what zero means.
    :param clock: the clock that deadlines are on.
    :param chance: a random number from 0 to 1, for the jitter that keeps many processes from asking in step.
    :param probed_every: seconds within which a prober asks the backend again while the circuit is not closed.
    """

    def __init__(
        self,
        name: str,
        settings: ResilienceSettings,
        clock: Clock,
        chance: Callable[[], float] = chance,
        probed_every: float = math.inf,
    ) -> None:
        self.name = name
        self._probed_every = probed_every
        self._settings = settings
        self._clock = clock
        self._chance = chance
        # Reentrant, because listeners are called under it and may ask the circuit breaker something.
        self._lock = RLock()
        self._watches: list[Watch] = []
        self._mirror: Mirror | None = None
        self._state = CLOSED
        self._window: Window | None = Window(settings.window, clock())
        self._trial: _Trial | None = None
        self._trial_due = 0.0
        self._doubled = 1
        self._failures = 0
        self._openings = 0
        self._refused = 0

    @property
    def state(self) -> str:
        """``"closed"``, ``"open"`` or ``"half-open"``."""
        return self._state

    @property
    def failure_count(self) -> int:
        """Failures in the window; while the circuit is not closed, those that opened it."""
        window = self._window
        return self._failures if window is None else window.totals(self._clock())[1]

    @property
    def retry_after(self) -> float:
        """Seconds until a prober or a trial asks the backend again; 0 if a trial may begin, or none is needed."""
        with self._lock:
            return min(self._until_trial(), self._probed_every)

    def snapshot(self) -> GuardSnapshot:
        """The state and the counts, taken together."""
        with self._lock:
            return GuardSnapshot(
                state=self._state,
                failure_count=self.failure_count,
                openings=self._openings,
                refused=self._refused,
                retry_after=self.retry_after,
            )

    def add_watch(self, watch: Watch) -> None:
        """Have ``watch`` called with every new state, in order.

        It is called under the circuit breaker's lock: it may read the circuit breaker's state, but must not wait for
        anything. What it raises reaches the call that caused the change.
        """
        with self._lock:
            self._watches.append(watch)

    def add_listener(self, listener: CircuitBreakerListener) -> None:
        """Have ``listener.state_change``, of pybreaker, called as :meth:`add_watch` says.

        The listener's other methods are never called.
        """
        from database.resilience.mirror import Mirror  # noqa: PLC0415  # see there

        with self._lock:
            if self._mirror is None:
                self._mirror = Mirror(self.name, self._state)
                self.add_watch(self._mirror.enter)
            self._mirror.add_listener(listener)

    def reset(self) -> None:
        """Close the circuit and forget all failures."""
        with self._lock:
            self._close()

    @property
    def openings(self) -> int:
        """How often the circuit has opened."""
        return self._openings

    def found_well(self, openings: int) -> None:
        """Close the circuit after a sign of life, unless it has opened again since it was asked for.

        :param openings: how often it had opened when the sign of life was asked for.
        """
        with self._lock:
            if openings == self._openings:
                self._close()

    def trip(self) -> None:
        """Open the circuit, whatever the threshold is: the backend is known not to answer."""
        with self._lock:
            if self._state == CLOSED:
                self._open()

    def protected(self, inner: Step[Answer], metrics: Metrics | None = None) -> Step[Answer]:
        """The stage: admits calls of ``inner`` as the state allows, and learns from their outcomes.

        :param metrics: count the calls that are admitted, too.
        :raises CircuitOpen: at once, with ``retry_after``, if the call is not admitted; nothing is sent.
        """
        metrics = metrics or Metrics(self._clock)
        measured = metrics.measured(inner)

        def attempt(operation: Operation, context: Context) -> Answer:
            return self._attempt(measured, operation, context)

        return self._counted(inner, attempt, metrics)

    def observed(self, inner: Step[Answer], metrics: Metrics | None = None) -> Step[Answer]:
        """The stage for calls of a session that is open already: learns from them, but refuses none."""
        metrics = metrics or Metrics(self._clock)
        return self._counted(inner, metrics.measured(inner), metrics)

    def _counted(self, inner: Step[Answer], unless_closed: Step[Answer], metrics: Metrics) -> Step[Answer]:
        """One stage for circuit breaker and metrics: a stage each would read the clock four times for every call."""
        clock, tallies = self._clock, metrics.tallies

        def call(operation: Operation, context: Context) -> Answer:
            window = self._window
            if window is None:
                return unless_closed(operation, context)
            started = clock()
            try:
                answer = inner(operation, context)
            except BaseException as error:
                tallies[operation.kind].failed(error, clock() - started)
                if isinstance(error, DataError):
                    self._count(window, self._judge(error, started, context, self._settings.timeout))
                raise
            ended = clock()
            window.succeed(ended)
            tallies[operation.kind].took(ended - started)
            return answer

        return call

    def _count(self, window: Window, verdict: Verdict) -> None:
        now = self._clock()
        if verdict is Verdict.WELL:
            window.succeed(now)
        elif verdict is Verdict.FAILED:
            with self._lock:
                window.fail(now)
                if window is self._window:
                    self._open_if_failing(window, now)

    def _open_if_failing(self, window: Window, now: float) -> None:
        well, failed = window.totals(now)
        threshold = self._settings.circuit_breaker_threshold
        if threshold and failed >= threshold and failed >= self._settings.failure_rate * (well + failed):
            self._failures = failed
            self._open()

    def _attempt(self, inner: Step[Answer], operation: Operation, context: Context) -> Answer:
        trial = self._admit(operation)
        started = self._clock()
        verdict = Verdict.NOTHING
        try:
            answer = inner(operation, context)
            verdict = Verdict.WELL
            return answer
        except DataError as error:
            limit = self._settings.trial_timeout
            verdict = self._judge(error, started, context, min(self._settings.timeout or limit, limit))
            raise
        finally:
            self._settle(trial, verdict)

    def _admit(self, operation: Operation) -> _Trial:
        with self._lock:
            now = self._clock()
            trial = _Trial(now + self._settings.trial_timeout)
            # Closed in the meantime: the permit stays unknown to the circuit breaker, and its outcome moves nothing.
            if self._state == CLOSED:
                return trial
            if self._until_trial() > 0 or not reads_only(operation):
                self._refused += 1
                message = f"{self.name} is not available: its circuit breaker is open"
                raise CircuitOpen(message, retry_after=self.retry_after)
            self._trial = trial
            if self._state == OPEN:
                self._enter(HALF_OPEN)
            return trial

    def _until_trial(self) -> float:
        if self._state == CLOSED:
            return 0.0
        due = self._trial_due if self._trial is None else self._trial.expires
        return max(0.0, due - self._clock())

    def _settle(self, trial: _Trial, verdict: Verdict) -> None:
        with self._lock:
            if trial is not self._trial:
                return
            if verdict is Verdict.WELL:
                self._close()
            elif verdict is Verdict.FAILED:
                self._doubled = min(self._doubled * 2, _MOST_DOUBLED)
                self._open()
            else:
                self._trial = None

    def _open(self) -> None:
        time = self._settings.circuit_breaker_timeout * self._doubled
        self._trial_due = self._clock() + time * (1 - _JITTER * self._chance())
        self._window = self._trial = None
        self._openings += 1
        self._enter(OPEN)

    def _close(self) -> None:
        self._window = Window(self._settings.window, self._clock())
        self._trial = None
        self._doubled = 1
        if self._state != CLOSED:
            self._enter(CLOSED)

    def _enter(self, state: str) -> None:
        self._state = state
        for watch in self._watches:
            watch(state)

    def _judge(self, error: DataError, started: float, context: Context, limit: float) -> Verdict:
        return classify(error, elapsed=self._clock() - started, limit=limit, allowed=context.deadline - started)
