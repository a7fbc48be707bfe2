"""Tables made by the application itself (``DB_AUTO_MIGRATE``), also in a database that is late."""

from __future__ import annotations

import logging
import threading

from flask import Flask
from flask import request

from api.operations import health
from database import BackendError
from database import ConnectionManager
from database import DatabaseAdapter
from database import Isthmus
from database import RequestError
from database import as_application
from database.core.lifecycle import rebuild_after_fork
from database.schema import migrations
from database.schema.migrations.presence import advice
from database.schema.migrations.presence import missing
from database.schema.migrations.recorded import is_up_to_date
from database.schema.sqlalchemy_engine import bare

logger = logging.getLogger(__name__)


_READY = "readyz"
_UNTOUCHED = health.ENDPOINTS - {_READY}

PATIENCE = 5.0
"""Seconds that a database has for a sign of life, before the start goes on without it."""


class AutoMigration:
    """Brings every database of ``manager`` up to date once in this process, as soon as the application is served.

    Those that answer at :meth:`start`, or at the first request; the others before the first request that they would
    answer. A command that only makes the application changes no database.
    """

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager
        self._waiting = dict(manager.adapters)
        self._started = False
        self._build()
        rebuild_after_fork(self, AutoMigration._build)

    def _build(self) -> None:
        """Everything that must not be shared with a forked child, in which nobody goes on with a migration."""
        self._lock = threading.Lock()

    def start(self) -> None:
        """Migrate the databases that answer. :raises RequestError: if one answers, and refuses."""
        with self._lock:
            self._started = True
            for name, adapter in list(self._waiting.items()):
                self._try(name, adapter)

    def before_request(self) -> None:
        """Migrate what this request may reach. Costs nothing once all is done."""
        if not self._waiting or request.endpoint is None or request.endpoint in _UNTOUCHED:
            return
        # Readiness is asked of a database that may have no tables yet; but a probe does not wait for others' work.
        if self._lock.acquire(blocking=request.endpoint != _READY):
            try:
                self._migrate_reachable()
            finally:
                self._lock.release()

    def _migrate_reachable(self) -> None:
        started, self._started = self._started, True
        active = self._manager.get_active_adapter() if started else None
        for name, adapter in list(self._waiting.items()):
            # One that is away is not worth waiting for; it is asked again all the time, and will be found well.
            if not started or (active is not None and (adapter is active or adapter.connected)):
                try:
                    self._try(name, adapter)
                except RequestError as error:
                    # No later request would change that, and each finds out by itself what it can do without.
                    del self._waiting[name]
                    logger.error("%s is not migrated: %s", name, error)

    def _try(self, name: str, adapter: DatabaseAdapter) -> None:
        with as_application(within=PATIENCE):
            answers, message = bare(adapter).test_connection()
        if not answers:
            logger.warning("%s is not migrated yet: %s", name, message)
            return
        try:
            applied = [] if is_up_to_date(adapter) else migrations.runner.upgrade(adapter)
            lacking = missing(adapter)
        except BackendError as error:
            logger.warning("%s is not migrated yet: %s", name, error)
            return
        del self._waiting[name]
        if applied:
            logger.info("%s: applied %s", name, ", ".join(applied))
        for line in advice(lacking):
            logger.warning("%s: %s", name, line)


def init_app(app: Flask, manager: ConnectionManager) -> None:
    """Have the tables of ``app``'s databases made when it is served."""
    migration = AutoMigration(manager)
    Isthmus.of(app)[AutoMigration] = migration
    app.before_request(migration.before_request)


def start(app: Flask) -> None:
    """Make the tables now, if that is not switched off. :raises RequestError: if a database answers, and refuses."""
    isthmus = Isthmus.found(app)
    if AutoMigration in isthmus:
        isthmus[AutoMigration].start()
