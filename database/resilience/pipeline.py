"""The stages between a call and its adapter, built once per backend.

From the outside in: deadline, bulkhead, retry, circuit breaker, metrics, adapter. So a call holds its permit while it
waits for a retry, the circuit breaker classifies every attempt, and the metrics count only attempts that were sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from typing import ClassVar
from typing import TypedDict
from typing import TypeVar

from database.core.chance import chance
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.context import NO_CONTEXT
from database.core.context import SERVICE
from database.core.context import Context
from database.core.immutable import immutable
from database.core.operations import Operation
from database.core.operations import Ping
from database.resilience import probe
from database.resilience.bulkhead import Bulkhead
from database.resilience.circuit_breaker import CircuitBreaker
from database.resilience.deadline import bounded
from database.resilience.deadline import in_time
from database.resilience.metrics import Metrics
from database.resilience.metrics import OperationCounts
from database.resilience.probe import Prober
from database.resilience.retry import Retry
from database.resilience.retry import Sleep
from database.resilience.settings import ResilienceSettings
from database.resilience.stages import Answer
from database.resilience.stages import BackendCall
from database.resilience.stages import Handler

Session = TypeVar("Session")


class PipelineSnapshot(TypedDict):
    """The state of a backend's pipeline, for the status page.

    ``in_flight`` is None without a limit on concurrency; ``retry_after`` and ``retries_left`` as in
    :class:`~database.resilience.circuit_breaker.CircuitBreaker` and :class:`~database.resilience.retry.RetryBudget`.
    """

    name: str
    circuit_state: str
    failure_count: int
    openings: int
    refused: int
    retry_after: float
    in_flight: int | None
    retries_left: float
    operations: dict[str, OperationCounts]


@immutable
class _Begin(Operation):
    """Open a session. This changes nothing yet, so it may be retried, and may be a trial of the circuit breaker."""

    kind: ClassVar[str] = "begin"
    reads: ClassVar[bool] = True
    opener: Callable[[Context], Any]


class Pipeline:
    """The stages around one backend.

    :param name: the backend's name, for errors, listeners and the status page.
    :param execute: the adapter's handler.
    :param settings: timeouts, limits and thresholds.
    :param clock: the clock of the deadlines.
    :param sleep: replaces waiting between attempts, for tests.
    :param chance: returns a random number from 0 to 1, for the jitter of the open time.
    :param probing: whether a thread pings the backend while the circuit is not closed.
    :ivar call: the adapter's handler with all stages; raises the adapter's errors, ``TimedOut``, ``PoolExhausted`` and
        ``CircuitOpen``.
    """

    def __init__(
        self,
        name: str,
        execute: Handler,
        settings: ResilienceSettings | None = None,
        *,
        clock: Clock = monotonic,
        sleep: Sleep | None = None,
        chance: Callable[[], float] = chance,
        probing: bool = True,
    ) -> None:
        self.name = name
        self.settings = settings or ResilienceSettings()
        self.metrics = Metrics(clock)
        self.circuit_breaker = CircuitBreaker(
            name, self.settings, clock, chance, probe.PAUSE + probe.PATIENCE if probing else math.inf
        )
        self._clock = clock
        self._bulkhead = Bulkhead(self.settings.max_concurrency, clock)
        self._retry = Retry(self.settings.retry_count, clock, sleep)
        self.call: Handler = self._bounded(self._bulkhead.limited(self._retry.repeated(self._protected(execute))))
        self._begin: BackendCall[Any] = self._bounded(self._bulkhead.held(self._retry.repeated(self._protected(_open))))
        # A ping takes no permit: hanging calls must not prevent the circuit from closing.
        self._ping: Handler = self._bounded(self.metrics.measured(execute))
        self._prober = Prober(self.circuit_breaker, self._probe) if probing else None

    def observe(self, handler: Handler) -> Handler:
        """The stages for operations inside an open session: deadline, circuit breaker and metrics.

        The deadline is the session's. They neither retry nor refuse a call: the session already holds its permit, and a
        transaction can only be retried as a whole.
        """
        return in_time(self.circuit_breaker.observed(handler, self.metrics), self.name, self._clock)

    def open_session(self, opener: Callable[[Context], Session], context: Context) -> Session:
        """Open a session with all stages around ``opener``. After success it holds a permit.

        The caller must call :meth:`release_session` once, at the end of the session.

        :raises DataError: as ``opener`` and :attr:`call`; no permit is held then.
        """
        session: Session = self._begin(_Begin(opener), context)
        return session

    def hold(self, context: Context) -> None:
        """Take the permit of a session that is opened without a call. :raises PoolExhausted: as :attr:`call`."""
        self._bounded(self._bulkhead.held(_nothing))(Ping(), context)

    def inside(self, handler: Handler) -> Handler:
        """All stages except the bulkhead, for the calls of a session that already holds a permit."""
        return self._bounded(self._retry.repeated(self._protected(handler)))

    def release_session(self) -> None:
        """Return the permit of an ended session.

        :raises RuntimeError: if no permit is in use.
        """
        self._bulkhead.release()

    def snapshot(self) -> PipelineSnapshot:
        """The current state and counters."""
        circuit = self.circuit_breaker.snapshot()
        return PipelineSnapshot(
            name=self.name,
            circuit_state=circuit["state"],
            failure_count=circuit["failure_count"],
            openings=circuit["openings"],
            refused=circuit["refused"],
            retry_after=circuit["retry_after"],
            in_flight=self._bulkhead.in_flight,
            retries_left=self._retry.budget.retries,
            operations=self.metrics.snapshot(),
        )

    def start(self) -> None:
        """Resume probing after :meth:`close`. A new pipeline need not be started."""
        if self._prober is not None:
            self._prober.start()

    def close(self) -> None:
        """Stop probing. Calls still work: only background work ends."""
        if self._prober is not None:
            self._prober.stop()

    def _bounded(self, inner: BackendCall[Answer]) -> BackendCall[Answer]:
        return bounded(inner, self.name, self.settings.timeout, self._clock)

    def _protected(self, inner: BackendCall[Answer]) -> BackendCall[Answer]:
        return self.circuit_breaker.protected(inner, self.metrics)

    def _probe(self) -> None:
        self._ping(Ping(), NO_CONTEXT.acting_as(SERVICE).until(self._clock() + probe.PATIENCE))


def _nothing(_: Operation, __: Context) -> None:
    """Open a session that needs no call to be opened."""


def _open(operation: Any, context: Context) -> Any:
    return operation.opener(context)
