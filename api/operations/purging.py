"""What is old and needed by nobody, deleted by the application itself.

Once in ``PURGE_INTERVAL`` seconds, with a request: in a thread of its own, which ends when it is done. Every process
does so at a time of its own; what one has deleted, the others do not find.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from threading import Lock

from flask import Flask

from api.http import idempotency
from auth.sessions import purging as sessions
from config.settings import Settings
from database import ConnectionManager
from database import DataError
from database.core.chance import chance
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.lifecycle import in_background
from database.core.lifecycle import rebuild_after_fork
from database.purging import purge_changes

logger = logging.getLogger(__name__)

_SOON = 60.0
"""Seconds within which a process purges for the first time, if the interval is not shorter."""

Step = Callable[[], object]


class Purger:
    """Purges a manager's databases when it is time.

    :param clock: a monotonic clock.
    """

    def __init__(self, manager: ConnectionManager, clock: Clock = monotonic) -> None:
        self._manager = manager
        self._settings: Settings = manager.settings
        self._clock = clock
        self._build()
        rebuild_after_fork(self, Purger._build)

    def _build(self) -> None:
        """Everything that must not be shared with a forked child, in which no purge is under way."""
        self._running = Lock()
        self._due = self._clock() + chance() * min(self._settings.purge_interval, _SOON)

    def before_request(self) -> None:
        """Begin to purge if it is time; the request does not wait for it."""
        if self._clock() >= self._due and self._running.acquire(blocking=False):
            self._due = self._clock() + self._settings.purge_interval
            in_background("isthmus-purge", self._run)

    def run(self) -> None:
        """Purge everything; what a database refuses now is left for the next time."""
        for what, step in self._steps():
            try:
                step()
            except DataError as error:
                logger.warning("%s were not purged: %s", what, error)
            except Exception:
                logger.exception("%s were not purged", what)

    def _run(self) -> None:
        try:
            self.run()
        finally:
            self._running.release()

    def _steps(self) -> Iterator[tuple[str, Step]]:
        manager = self._manager
        idle = timedelta(seconds=self._settings.auth_session_idle_seconds)
        kept = timedelta(seconds=self._settings.db_changes_kept)
        yield "idempotency keys", partial(idempotency.purge, manager)
        yield "ended sessions", partial(sessions.purge, manager, idle)
        for name, adapter in manager.adapters.items():
            yield f"old changes of {name}", partial(purge_changes, adapter, kept)


def init_app(app: Flask, manager: ConnectionManager) -> None:
    """Have ``app`` delete what is old in ``manager``'s databases, unless ``PURGE_INTERVAL`` is 0."""
    if manager.settings.purge_interval:
        app.before_request(Purger(manager).before_request)
