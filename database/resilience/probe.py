"""Pings an unavailable backend, so that its circuit closes as soon as it responds again, even without traffic."""

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
"""The timeout of a ping in seconds: together with the pause, recovery is detected within two seconds."""

Wait = Callable[[float | None], object]
"""Waits the given seconds."""


class Prober:
    """A daemon thread that runs while a circuit is not closed, and closes it when the backend responds.

    :param circuit_breaker: the circuit breaker to watch.
    :param ping: calls the backend, bypassing the circuit breaker; it responds unless this raises
        :class:`~database.core.errors.BackendError`.
    :param pause: seconds between two pings, independent of the circuit's open time.
    :param wait: replaces waiting, for tests.
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
        """Whether the thread is running."""
        return self._worker.running

    def start(self) -> None:
        """Resume after :meth:`stop`. A new prober need not be started."""
        self._watching = True
        self._ensure_thread()

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread and start no other.

        :param timeout: seconds to wait for a running ping; the thread ends after it in any case.
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
        if self._responds():
            self._circuit_breaker.close_if_unchanged(openings)

    def _responds(self) -> bool:
        try:
            self._ping()
        except RequestError:
            return True  # a refusal is a response
        except DataError:
            return False
        return True

    def _is_needed(self) -> bool:
        return self._watching and self._circuit_breaker.state != CLOSED
