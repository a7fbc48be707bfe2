"""Logs one line when a backend stops responding to its followers, and one when it responds to all of them again."""

from __future__ import annotations

import logging
from threading import Lock

from database.core.errors import DataError

logger = logging.getLogger(__name__)


class Outage:
    """The followers of a backend that wait for its response.

    :param backend: its name, for the log.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._waiting: set[object] = set()
        self._lock = Lock()

    def begin(self, follower: object, error: Exception) -> None:
        """Record that ``follower`` got no response."""
        with self._lock:
            begins = not self._waiting
            self._waiting.add(follower)
        if begins:
            # Other exceptions are programming errors; the traceback helps to find them.
            trace = None if isinstance(error, DataError) else error
            logger.warning(
                "%s does not respond to its subscriptions; they are retried: %s", self._backend, error, exc_info=trace
            )

    def end(self, follower: object) -> bool:
        """Record that ``follower`` got a response. :returns: whether it had been waiting for one."""
        with self._lock:
            if follower not in self._waiting:
                return False
            self._waiting.remove(follower)
            ends = not self._waiting
        if ends:
            logger.warning("%s responds to its subscriptions again", self._backend)
        return True

    def leave(self, follower: object) -> None:
        """Record that ``follower`` has ended and no longer waits."""
        with self._lock:
            self._waiting.discard(follower)
