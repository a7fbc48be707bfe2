"""One thread that calls callbacks when deadlines have passed.

It covers what drivers cannot time out themselves: silent connections and forgotten transactions. Watching costs only a
dictionary entry, so that every statement can be watched; the thread checks all entries ten times a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count

from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.lifecycle import Worker

logger = logging.getLogger(__name__)

_INTERVAL = 0.1
_MOST_IDLE = 50
"""The number of successive checks without entries after which the thread ends."""


class Watchdog:
    """Watches any number of deadlines; starts its thread with the first one and ends it when idle.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._entries: dict[int, tuple[float, Callable[[], None]]] = {}
        self._tickets = count()
        self._idle = 0
        self._worker = Worker("isthmus-watchdog", self._look, _INTERVAL, first=_INTERVAL, goes_on=self._is_needed)

    def watch(self, deadline: float, expired: Callable[[], None]) -> int:
        """Call ``expired`` once, in the watchdog's thread, when ``deadline`` has passed. :returns: a ticket."""
        ticket = next(self._tickets)
        self._entries[ticket] = (deadline, expired)
        if not self._worker.at_work:
            self._idle = 0
            self._worker.start()
        return ticket

    def done(self, ticket: int) -> bool:
        """Stop watching. :returns: False if the callback was already called."""
        return self._entries.pop(ticket, None) is not None

    def _is_needed(self) -> bool:
        return bool(self._entries) or self._idle < _MOST_IDLE

    def _look(self) -> None:
        self._idle = 0 if self._entries else self._idle + 1
        now = self._clock()
        for ticket, (deadline, expired) in list(self._entries.items()):
            if now >= deadline and self.done(ticket):
                try:
                    expired()
                except Exception:
                    logger.exception("a callback of the watchdog failed")
