"""The circuit breaker: while a backend is down, calls fail at once, and one trial at a time tests whether it is back.

pybreaker only mirrors the state for its listeners. It runs no calls, because it would hold its lock during a call and
make all others wait. The decisions are made here:

* closed: outcomes are counted in a :class:`~database.resilience.window.Window`. The circuit opens when the
  failures in the window reach both the threshold and the failure rate.
* open: nothing is sent until the open time is over; it doubles from one reopening to the next, up to tenfold.
* half-open: one reading call is the trial; its outcome closes or reopens the circuit.

This works with traffic alone. A :class:`~database.resilience.probe.Prober`, if there is one, pings the backend
continuously and closes the circuit as soon as the backend responds, regardless of the open time.

Every closed period has its own window and every trial its own permit, so that an outcome that arrives after its
period is recognised and ignored.
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
from database.resilience.stages import BackendCall
from database.resilience.window import Window

if TYPE_CHECKING:
    from pybreaker import CircuitBreakerListener

    from database.resilience.mirror import Mirror

# As pybreaker names them.
CLOSED = "closed"
OPEN = "open"
HALF_OPEN = "half-open"

Watch = Callable[[str], None]
"""Called with each new state."""

_MOST_DOUBLED = 10
_JITTER = 0.2


class CircuitBreakerSnapshot(TypedDict):
    """The state and counters of a circuit breaker.

    ``failure_count`` as :attr:`CircuitBreaker.failure_count`; ``openings`` and ``refused`` count since the start;
    ``retry_after`` is in seconds.
    """

    state: str
    failure_count: int
    openings: int
    refused: int
    retry_after: float


class _Trial:
    """A permit for one trial, valid until ``expires``; its identity distinguishes late outcomes from current ones."""

    __slots__ = ("expires",)

    def __init__(self, expires: float) -> None:
        self.expires = expires


class CircuitBreaker:
    """The circuit breaker of one backend.

    :param name: the backend's name.
    :param settings: see :class:`~database.resilience.settings.ResilienceSettings` for the meaning of zero.
    :param clock: the clock of the deadlines.
    :param chance: returns a random number from 0 to 1, for the jitter that keeps many processes from retrying at once.
    :param probed_every: seconds within which a prober pings the backend again while the circuit is not closed.
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
        # Reentrant, because listeners are called under the lock and may read the circuit breaker's state.
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
        """Seconds until the next ping or trial; 0 if a trial may begin, or none is needed."""
        with self._lock:
            return min(self._until_trial(), self._probed_every)

    def snapshot(self) -> CircuitBreakerSnapshot:
        """The state and the counts, taken together."""
        with self._lock:
            return CircuitBreakerSnapshot(
                state=self._state,
                failure_count=self.failure_count,
                openings=self._openings,
                refused=self._refused,
                retry_after=self.retry_after,
            )

    def add_watch(self, watch: Watch) -> None:
        """Call ``watch`` with every new state, in order.

        It is called under the circuit breaker's lock: it may read the state, but must not wait. Its exceptions are
        raised in the call that caused the change.
        """
        with self._lock:
            self._watches.append(watch)

    def add_listener(self, listener: CircuitBreakerListener) -> None:
        """Call pybreaker's ``listener.state_change`` at every change, as :meth:`add_watch`.

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

    def close_if_unchanged(self, openings: int) -> None:
        """Close the circuit after a successful ping, unless it has opened again since the ping was sent.

        :param openings: the value of :attr:`openings` when the ping was sent.
        """
        with self._lock:
            if openings == self._openings:
                self._close()

    def trip(self) -> None:
        """Open the circuit regardless of the threshold: the backend is known not to respond."""
        with self._lock:
            if self._state == CLOSED:
                self._open()

    def protected(self, inner: BackendCall[Answer], metrics: Metrics | None = None) -> BackendCall[Answer]:
        """The stage: admits calls of ``inner`` as the state allows, and counts their outcomes.

        :param metrics: count the calls that are admitted, too.
        :raises CircuitOpen: at once, with ``retry_after``, if the call is not admitted; nothing is sent.
        """
        metrics = metrics or Metrics(self._clock)
        measured = metrics.measured(inner)

        def attempt(operation: Operation, context: Context) -> Answer:
            return self._attempt(measured, operation, context)

        return self._counted(inner, attempt, metrics)

    def observed(self, inner: BackendCall[Answer], metrics: Metrics | None = None) -> BackendCall[Answer]:
        """The stage for calls of an open session: counts their outcomes, but refuses none."""
        metrics = metrics or Metrics(self._clock)
        return self._counted(inner, metrics.measured(inner), metrics)

    def _counted(
        self, inner: BackendCall[Answer], unless_closed: BackendCall[Answer], metrics: Metrics
    ) -> BackendCall[Answer]:
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
            # What succeed() of the window and took() of the tally do: two calls less for every operation.
            if ended >= window.ends:
                window.advance(ended)
            window.well += 1
            tally, took = tallies[operation.kind], ended - started
            tally.seconds += took
            tally.durations[int(took * 1e6).bit_length()] += 1
            return answer

        return call

    def _count(self, window: Window, verdict: Verdict) -> None:
        now = self._clock()
        if verdict is Verdict.HEALTHY:
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

    def _attempt(self, inner: BackendCall[Answer], operation: Operation, context: Context) -> Answer:
        trial = self._admit(operation)
        started = self._clock()
        verdict = Verdict.IGNORED
        try:
            answer = inner(operation, context)
            verdict = Verdict.HEALTHY
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
            # The circuit has closed meanwhile: the permit is not recorded, so the outcome of this call is ignored.
            if self._state == CLOSED:
                return trial
            if self._until_trial() > 0 or not reads_only(operation):
                self._refused += 1
                message = f"{self.name} is not available: its circuit breaker is open; retry later"
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
            if verdict is Verdict.HEALTHY:
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
