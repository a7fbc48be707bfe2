"""Asking an unreachable backend for a sign of life, so that it is back in use without waiting for traffic."""

from __future__ import annotations

from collections.abc import Callable

from database.core.errors import DataError
from database.core.errors import RequestError
from database.core.lifecycle import Worker
from database.resilience.circuit_breaker import CLOSED
from database.resilience.circuit_breaker import OPEN
from database.resilience.circuit_breaker import CircuitBreaker

PAUSE = 0.5
"""Seconds between the end of a ping and the next one."""
PATIENCE = 1.0
"""Seconds that a ping may take: with the pause, a backend that is back is noticed within two."""

Wait = Callable[[float | None], object]
"""Waits the given seconds."""


class Prober:
    """A daemon thread that lives while a circuit is not closed, and closes it when the backend answers.

    :param circuit_breaker: whose circuit it watches.
    :param ping: asks for a sign of life, past the circuit breaker; a :class:`~database.core.errors.BackendError`
        is none.
    :param pause: seconds between two pings, whatever the circuit's open time is.
    :param wait: replaces the waiting, for tests.
    """

    def __init__(
        self,
        circuit_breaker: CircuitBreaker,
        ping: Callable[[], object],
        pause: float = PAUSE,
        wait: Wait | None = None,
    ) -> None:
        self._circuit_breaker = circuit_breaker
        self._ping = ping
        self._watching = True
        self._worker = Worker(
            f"isthmus-probe-{circuit_breaker.name}", self._step, pause, first=pause, goes_on=self._is_needed, wait=wait
        )
        circuit_breaker.add_watch(self._state_changed)

    @property
    def running(self) -> bool:
        """Whether there is a thread now."""
        return self._worker.running

    def start(self) -> None:
        """Watch again after :meth:`stop`. A new prober watches already."""
        self._watching = True
        self._ensure_thread()

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread and begin no other.

        :param timeout: seconds to wait for a ping that is under way; its thread ends after it in any case.
        """
        self._watching = False
        self._worker.stop(timeout)

    def _state_changed(self, state: str) -> None:
        if state == OPEN:
            self._ensure_thread()

    def _ensure_thread(self) -> None:
        if self._is_needed():
            self._worker.start()

    def _step(self) -> None:
        openings = self._circuit_breaker.openings
        if self._answers():
            self._circuit_breaker.found_well(openings)

    def _answers(self) -> bool:
        try:
            self._ping()
        except RequestError:
            return True  # it refuses, so it is there
        except DataError:
            return False
        return True

    def _is_needed(self) -> bool:
        return self._watching and self._circuit_breaker.state != CLOSED
