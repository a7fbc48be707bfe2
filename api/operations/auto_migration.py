"""Automatic migration (``DB_AUTO_MIGRATE``), including databases that become available after the start."""

from __future__ import annotations

import logging
import threading

from flask import Flask
from flask import request

from api.operations import health
from api.operations.features import REMEDY
from api.operations.features import features_off
from database import BackendError
from database import ConnectionManager
from database import DatabaseAdapter
from database import Isthmus
from database import RequestError
from database import as_application
from database.core.lifecycle import rebuild_after_fork
from database.schema import migrations
from database.schema.migrations.presence import adopted
from database.schema.migrations.presence import advice
from database.schema.migrations.presence import missing
from database.schema.migrations.presence import reason_to_wait
from database.schema.migrations.recorded import is_closed
from database.schema.migrations.recorded import is_up_to_date
from database.schema.sqlalchemy_engine import bare

logger = logging.getLogger(__name__)


_READY = "readyz"
_UNTOUCHED = health.ENDPOINTS - {_READY}

PATIENCE = 5.0
"""Timeout in seconds of the connection test; the start continues without a database that does not answer."""


class AutoMigration:
    """Migrates every database of ``manager`` once in this process, as soon as the application serves requests.

    Databases that answer are migrated at :meth:`start` or at the first request; the others before the first request
    that could use them. A command, which only creates the application, changes no database.
    """

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager
        self._waiting = dict(manager.adapters)
        self._started = False
        self._create_runtime_state()
        rebuild_after_fork(self, AutoMigration._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child, in which nobody goes on with a migration."""
        self._lock = threading.Lock()

    def start(self) -> None:
        """Migrate the databases that answer. :raises RequestError: if one rejects a migration."""
        with self._lock:
            self._started = True
            for name, adapter in list(self._waiting.items()):
                self._migrate(name, adapter)

    def before_request(self) -> None:
        """Migrate the databases that this request may use. It does nothing once all are migrated."""
        if not self._waiting or request.endpoint is None or request.endpoint in _UNTOUCHED:
            return
        # A readiness probe may find a database without tables, but must not wait for another thread's migration.
        if self._lock.acquire(blocking=request.endpoint != _READY):
            try:
                self._migrate_reachable()
            finally:
                self._lock.release()

    def _migrate_reachable(self) -> None:
        started, self._started = self._started, True
        active = self._manager.get_active_adapter() if started else None
        for name, adapter in list(self._waiting.items()):
            # Do not wait for an unavailable database: the prober reconnects, and a later request migrates it.
            if not started or (active is not None and (adapter is active or adapter.connected)):
                try:
                    self._migrate(name, adapter)
                except RequestError as error:
                    # A retry would fail again. Requests that need the missing tables report them.
                    del self._waiting[name]
                    logger.error("cannot migrate %s; run `flask db upgrade` after the correction: %s", name, error)

    def _migrate(self, name: str, adapter: DatabaseAdapter) -> None:
        with as_application(within=PATIENCE):
            answers, message = bare(adapter).test_connection()
        if not answers:
            logger.warning("%s is not available, its migration is postponed: %s", name, message)
            return
        try:
            current = is_up_to_date(adapter)
            kept = None if current else reason_to_wait(adapter, self._manager.settings)
            applied = [] if current or kept else migrations.runner.upgrade(adapter, always=is_closed(adapter))
            lacking = [] if kept else missing(adapter)
        except BackendError as error:
            logger.warning("%s is not available, its migration is postponed: %s", name, error)
            return
        del self._waiting[name]
        if kept:
            logger.warning("%s: its migrations are not applied, because %s. To apply them, %s", name, kept, REMEDY)
            logger.warning("%s: off until then: %s", name, ", ".join(features_off(adapter)) or "nothing")
        if applied:
            logger.info("%s: applied %s", name, ", ".join(applied))
        for line in advice(lacking, adopted(adapter)):
            logger.warning("%s: %s", name, line)


def init_app(app: Flask, manager: ConnectionManager) -> None:
    """Migrate the databases of ``app`` when it serves requests."""
    migration = AutoMigration(manager)
    Isthmus.of(app)[AutoMigration] = migration
    app.before_request(migration.before_request)


def start(app: Flask) -> None:
    """Migrate now, unless ``DB_AUTO_MIGRATE`` is false. :raises RequestError: if a database rejects a migration."""
    isthmus = Isthmus.found(app)
    if AutoMigration in isthmus:
        isthmus[AutoMigration].start()
