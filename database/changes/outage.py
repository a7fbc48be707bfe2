"""One line in the log when a backend stops answering its followers, and one when it answers all of them again."""

from __future__ import annotations

import logging
from threading import Lock

from database.core.errors import DataError

logger = logging.getLogger(__name__)


class Outage:
    """Who of a backend's followers waits for it.

    :param backend: its name, for the log.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._waiting: set[object] = set()
        self._lock = Lock()

    def begin(self, follower: object, error: Exception) -> None:
        """Note that ``follower`` got no answer."""
        with self._lock:
            begins = not self._waiting
            self._waiting.add(follower)
        if begins:
            # What is no error of the data layer is a mistake somewhere, and is looked for by its traceback.
            trace = None if isinstance(error, DataError) else error
            logger.warning("%s does not answer its subscriptions; they wait: %s", self._backend, error, exc_info=trace)

    def end(self, follower: object) -> bool:
        """Note that ``follower`` got an answer; whether it had been waiting for one."""
        with self._lock:
            if follower not in self._waiting:
                return False
            self._waiting.remove(follower)
            ends = not self._waiting
        if ends:
            logger.warning("%s answers its subscriptions again", self._backend)
        return True

    def leave(self, follower: object) -> None:
        """Note that ``follower`` does not wait any longer, answer or not."""
        with self._lock:
            self._waiting.discard(follower)
