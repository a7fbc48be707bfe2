"""One thread that calls callbacks when deadlines have passed.

It covers what drivers cannot time out themselves: silent connections and forgotten transactions. Watching costs only a
dictionary entry, or for a :class:`WatchedLimit` an assignment, so that every statement can be watched; the thread
checks all of them ten times a second.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from itertools import count

from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.lifecycle import Worker

logger = logging.getLogger(__name__)

_INTERVAL = 0.1
_MOST_IDLE = 50
"""The number of successive checks without entries after which the thread ends."""


class WatchedLimit:
    """The deadline of one statement after another, of somebody who runs one at a time.

    Before a statement its owner sets :attr:`deadline`, then calls :meth:`Watchdog.look_on` unless the worker is at
    work; behind it, the owner sets it to ``inf``.

    :param expired: called in the watchdog's thread, again and again from the deadline on. The owner may have begun the
        next statement by then, so that it must look at the deadline itself.
    """

    __slots__ = ("deadline", "expired")

    def __init__(self, expired: Callable[[], object]) -> None:
        self.deadline = math.inf
        self.expired = expired


class Watchdog:
    """Watches any number of deadlines; starts its thread with the first one and ends it when idle.

    :param clock: monotonic seconds.
    :ivar worker: the thread.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._entries: dict[int, tuple[float, Callable[[], object]]] = {}
        self._limits: dict[WatchedLimit, None] = {}
        self._tickets = count()
        self._idle = 0
        self.worker = Worker("isthmus-watchdog", self._look, _INTERVAL, first=_INTERVAL, goes_on=self._is_needed)

    def watch(self, deadline: float, expired: Callable[[], object]) -> int:
        """Call ``expired`` once, in the watchdog's thread, when ``deadline`` has passed. :returns: a ticket."""
        ticket = next(self._tickets)
        self._entries[ticket] = (deadline, expired)
        if not self.worker.at_work:
            self.look_on()
        return ticket

    def done(self, ticket: int) -> bool:
        """Stop watching. :returns: False if the callback was already called."""
        return self._entries.pop(ticket, None) is not None

    def limit(self, expired: Callable[[], object]) -> WatchedLimit:
        """A limit that is looked at until it is handed to :meth:`forget`."""
        limit = WatchedLimit(expired)
        self._limits[limit] = None
        return limit

    def forget(self, limit: WatchedLimit) -> None:
        """Look at a limit no more."""
        self._limits.pop(limit, None)

    def look_on(self) -> None:
        """Start the thread, if it has ended."""
        self._idle = 0
        self.worker.start()

    def _is_needed(self) -> bool:
        return self._has_any() or self._idle < _MOST_IDLE

    def _has_any(self) -> bool:
        return bool(self._entries) or any(limit.deadline < math.inf for limit in list(self._limits))

    def _look(self) -> None:
        self._idle = 0 if self._has_any() else self._idle + 1
        now = self._clock()
        for ticket, (deadline, expired) in list(self._entries.items()):
            if now >= deadline and self.done(ticket):
                _call(expired)
        for limit in list(self._limits):
            if now >= limit.deadline:
                _call(limit.expired)


def _call(expired: Callable[[], object]) -> None:
    try:
        expired()
    except Exception:
        logger.exception("a callback of the watchdog failed")
