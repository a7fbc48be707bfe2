"""Deletion of old data by the application itself.

A request starts it every ``PURGE_INTERVAL`` seconds, in a thread of its own, which ends when it is done. Every process
purges at its own time.
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
from database import DatabaseAdapter
from database import DataError
from database import Isthmus
from database.core.chance import chance
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.lifecycle import in_background
from database.core.lifecycle import rebuild_after_fork
from database.purging import gone
from database.purging import purge_changes
from database.purging import purge_conflicts
from database.sync.checkpoint import followers
from storage import Stores
from stores import Evaluations
from stores.current import RecordStores

logger = logging.getLogger(__name__)

_SOON = 60.0
"""Seconds until a process purges for the first time, at most; less if the interval is shorter."""

Step = Callable[[], object]


class Purger:
    """Purges the databases of a manager periodically.

    :param stores: those whose expired entries are deleted, too.
    :param clock: a monotonic clock.
    :param evaluations: those whose lost codes and outputs are deleted, too.
    """

    def __init__(
        self,
        manager: ConnectionManager,
        clock: Clock = monotonic,
        stores: Stores | None = None,
        evaluations: Evaluations | None = None,
    ) -> None:
        self._manager = manager
        self._stores = stores
        self._evaluations = evaluations
        self._settings: Settings = manager.settings
        self._clock = clock
        self._create_runtime_state()
        rebuild_after_fork(self, Purger._create_runtime_state)

    def snapshot(self) -> dict[str, list[str]]:
        """By the name of each database, the syncs for which its change log is no longer kept."""
        return {name: sorted(pairs) for name, pairs in self._gone.items() if pairs}

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child, in which no purge is under way."""
        self._running = Lock()
        self._gone: dict[str, set[str]] = {}
        self._due = self._clock() + chance() * min(self._settings.purge_interval, _SOON)

    def before_request(self) -> None:
        """Start a purge if it is due. The request does not wait for it."""
        if self._clock() >= self._due and self._running.acquire(blocking=False):
            self._due = self._clock() + self._settings.purge_interval
            in_background("isthmus-purge", self._run)

    def run(self) -> None:
        """Purge everything. A failed step is logged, and the next purge repeats it."""
        for what, step in self._steps():
            try:
                step()
            except DataError as error:
                logger.warning("the clean-up of %s has failed, the next purge retries: %s", what, error)
            except Exception:
                logger.exception("the clean-up of %s has failed", what)

    def _run(self) -> None:
        try:
            self.run()
        finally:
            self._running.release()

    def _steps(self) -> Iterator[tuple[str, Step]]:
        manager = self._manager
        idle = timedelta(seconds=self._settings.auth_session_idle_seconds)
        conflicts = timedelta(seconds=self._settings.db_conflicts_kept)
        yield "idempotency keys", partial(idempotency.purge, manager)
        yield "ended sessions", partial(sessions.purge, manager, idle)
        if self._stores is not None:
            yield "expired entries of stores", self._stores.sweep_tables
            for store in self._stores:
                yield f"the copies of the store {store}", partial(self._stores.repair, store)
        if self._evaluations is not None:
            yield "outputs of no evaluation", self._evaluations.sweep
        for name, adapter in manager.adapters.items():
            yield f"old changes of {name}", partial(self._purge_changes, name, adapter)
            if conflicts:
                yield f"old conflicts of {name}", partial(purge_conflicts, adapter, conflicts)

    def _purge_changes(self, name: str, adapter: DatabaseAdapter) -> None:
        kept = timedelta(seconds=self._settings.db_changes_kept)
        followers_kept = timedelta(seconds=self._settings.db_followers_kept)
        away = {one.pair for one in gone(followers(adapter), followers_kept)}
        for pair in away - self._gone.get(name, set()):
            logger.warning(
                "the sync %s has not read the change log of %s for more than %d days, and the log is no longer kept for"
                " it: when it returns, it compares all records",
                pair,
                name,
                followers_kept.days,
            )
        self._gone = {**self._gone, name: away}
        purge_changes(adapter, kept, followers_kept=followers_kept)


def init_app(app: Flask, manager: ConnectionManager, stores: Stores | None = None) -> Purger:
    """Purge the databases of ``manager`` with requests of ``app``, unless ``PURGE_INTERVAL`` is 0."""
    isthmus = Isthmus.of(app)
    declared = isthmus[RecordStores].get("evaluations") if RecordStores in isthmus else None
    evaluations = None if declared is None else declared.records
    purger = Purger(manager, stores=stores, evaluations=evaluations)
    if manager.settings.purge_interval:
        app.before_request(purger.before_request)
    return purger
