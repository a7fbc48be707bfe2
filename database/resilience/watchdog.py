"""One thread that calls back when a deadline has passed.

Watching costs a dictionary entry, so that every statement can be watched; the thread looks at all entries a
few times a second. For what a driver cannot time out by itself: a silent connection, a forgotten transaction.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from itertools import count

from database.core.clock import Clock
from database.core.clock import monotonic

logger = logging.getLogger(__name__)

_INTERVAL = 0.1


class Watchdog:
    """Watches any number of deadlines; starts its thread with the first and ends it when idle.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._entries: dict[int, tuple[float, Callable[[], None]]] = {}
        self._tickets = count()
        self._lock = threading.Lock()
        self._running = False

    def watch(self, deadline: float, expired: Callable[[], None]) -> int:
        """Call ``expired`` once, in the watchdog's thread, when ``deadline`` has passed; returns a ticket."""
        ticket = next(self._tickets)
        self._entries[ticket] = (deadline, expired)
        if not self._running:
            self._start()
        return ticket

    def done(self, ticket: int) -> bool:
        """Stop watching; False if the callback was already called."""
        return self._entries.pop(ticket, None) is not None

    def _start(self) -> None:
        with self._lock:
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="isthmus-watchdog", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        idle_rounds = 0
        while idle_rounds < 50:
            pause.wait(_INTERVAL)
            idle_rounds = 0 if self._entries else idle_rounds + 1
            self._expire()
        with self._lock:
            self._running = False
        # An entry may have come between the last look and the flag; its watcher saw the thread running.
        if self._entries:
            self._start()

    def _expire(self) -> None:
        now = self._clock()
        for ticket, (deadline, expired) in list(self._entries.items()):
            if now >= deadline and self.done(ticket):
                try:
                    expired()
                except Exception:
                    logger.exception("a watchdog callback failed")
