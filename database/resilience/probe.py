"""Asking an unreachable backend for a sign of life, so that it is back in use without waiting for traffic."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from threading import Lock
from threading import Thread
from threading import current_thread

from database.core.errors import DataError
from database.core.errors import RequestError
from database.resilience.guard import CLOSED
from database.resilience.guard import OPEN
from database.resilience.guard import Guard

PAUSE = 0.5
"""Seconds between the end of a ping and the next one."""
PATIENCE = 1.0
"""Seconds that a ping may take: with the pause, a backend that is back is noticed within two."""

Wait = Callable[[float], bool]
"""Waits the given seconds; True if it was woken because the prober stops."""


class Prober:
    """A daemon thread that lives while a guard is not closed, and closes it when the backend answers.

    :param guard: whose circuit it watches.
    :param ping: asks for a sign of life, past the guard; a :class:`~database.core.errors.BackendError` is none.
    :param pause: seconds between two pings, whatever the circuit's open time is.
    :param wait: replaces the waiting, for tests.
    """

    def __init__(
        self, guard: Guard, ping: Callable[[], object], pause: float = PAUSE, wait: Wait | None = None
    ) -> None:
        self._guard = guard
        self._ping = ping
        self._pause = pause
        self._lock = Lock()
        self._stopped = Event()
        self._wait = wait or self._stopped.wait
        self._thread: Thread | None = None
        guard.add_watch(self._state_changed)

    @property
    def running(self) -> bool:
        """Whether there is a thread now."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Watch again after :meth:`stop`. A new prober watches already."""
        self._stopped.clear()
        self._ensure_thread()

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread and begin no other.

        :param timeout: seconds to wait for a ping that is under way; its thread ends after it in any case.
        """
        self._stopped.set()
        thread = self._thread
        if thread is not None and thread is not current_thread():
            thread.join(timeout)

    def _state_changed(self, state: str) -> None:
        if state == OPEN:
            self._ensure_thread()

    def _ensure_thread(self) -> None:
        with self._lock:
            # A thread that a fork left behind in the parent is not alive here.
            if self._is_over() or self.running:
                return
            self._thread = Thread(target=self._run, name=f"isthmus-probe-{self._guard.name}", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._goes_on():
            stopping = self._wait(self._pause)
            openings = self._guard.openings
            if not stopping and self._answers():
                self._guard.found_well(openings)

    def _answers(self) -> bool:
        try:
            self._ping()
        except RequestError:
            return True  # it refuses, so it is there
        except DataError:
            return False
        return True

    def _goes_on(self) -> bool:
        # Deciding to end and forgetting the thread are one step: an opening in between would find a thread that leaves.
        with self._lock:
            if self._is_over():
                self._thread = None
            return self._thread is not None

    def _is_over(self) -> bool:
        return self._stopped.is_set() or self._guard.state == CLOSED
