"""Tables made by the application itself (``DB_AUTO_MIGRATE``), also in a database that is late."""

from __future__ import annotations

import logging
import threading

from flask import Flask
from flask import request

from api import status
from api.access import as_application
from database.adapters.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.core.errors import BackendError
from database.migrations.runner import upgrade

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that a database has for a sign of life, before the start goes on without it."""


class AutoMigration:
    """Brings every database of ``manager`` up to date once in this process.

    Those that answer at once; the others before the first request that they would answer.

    :raises RequestError: if a database answers, and refuses.
    """

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager
        self._waiting = dict(manager.adapters)
        self._lock = threading.Lock()
        for name, adapter in manager.adapters.items():
            self._try(name, adapter)

    def before_request(self) -> None:
        """Migrate what this request may reach. Costs nothing once all is done."""
        if self._waiting and request.endpoint is not None and request.endpoint not in status.ENDPOINTS:
            with self._lock:
                self._migrate_reachable()

    def _migrate_reachable(self) -> None:
        active = self._manager.get_active_adapter()
        for name, adapter in list(self._waiting.items()):
            # One that is away is not worth waiting for; it is asked again all the time, and will be found well.
            if active is not None and (adapter is active or adapter.connected):
                self._try(name, adapter)

    def _try(self, name: str, adapter: DatabaseAdapter) -> None:
        with as_application(within=PATIENCE):
            answers, message = adapter.test_connection()
        if not answers:
            logger.warning("%s is not migrated yet: %s", name, message)
            return
        try:
            applied = upgrade(adapter)
        except BackendError as error:
            logger.warning("%s is not migrated yet: %s", name, error)
            return
        del self._waiting[name]
        if applied:
            logger.info("%s: applied %s", name, ", ".join(applied))


def init_app(app: Flask, manager: ConnectionManager) -> None:
    """Make the tables of ``app``'s databases. :raises RequestError: if a database answers, and refuses."""
    app.before_request(AutoMigration(manager).before_request)
