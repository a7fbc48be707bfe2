"""Health, readiness, status and metrics endpoints. They contain no secrets and need no sign-in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask import Response
from flask import g
from flask import jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client import CollectorRegistry
from prometheus_client import generate_latest

from api.operations.features import features_off
from api.operations.features import may_lack_own_tables
from api.operations.metrics import AdapterCollector
from auth import without_cookies
from database import ConnectionManager
from database import DatabaseAdapter
from database import DataError
from database import Select
from database import as_application
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.lifecycle import rebuild_after_fork
from database.core.tables.access_rules import ADMIN
from storage import Stores

READY_FOR = 1.0
PATIENCE = 2.0
"""Seconds: how long a result is used, and the time limit of a test, because load balancers do not wait long."""

ENDPOINTS = frozenset({"livez", "readyz", "status", "metrics"})

_PLACES = frozenset({"host", "port", "database", "user", "path", "url", "place"})
"""Members of the status of a database or store that would help an attacker; shown to administrators only."""

ALIVE = {"status": "alive"}
UNCACHED = {"Cache-Control": "no-store"}


class Readiness:
    """Tests whether a database can answer reads, at most once in ``READY_FOR`` seconds.

    While one request tests, the others get the previous result.

    :ivar off: why each feature is off whose tables were not installed beside adopted ones; None before the first test.
    """

    def __init__(self, manager: ConnectionManager, clock: Clock = monotonic) -> None:
        self._manager = manager
        self._clock = clock
        self._answer: Mapping[str, str] | None = None
        self.off: Mapping[str, str] | None = None
        self._good_until = 0.0
        self._create_runtime_state()
        rebuild_after_fork(self, Readiness._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child."""
        self._testing = threading.Lock()

    def __call__(self) -> Mapping[str, str]:
        """The reason why each database cannot answer reads; empty if one can."""
        if self._answer is None or self._clock() >= self._good_until:
            self._refresh()
        return self._answer or {}

    def _refresh(self) -> None:
        if not self._testing.acquire(blocking=self._answer is None):
            return
        try:
            if self._answer is None or self._clock() >= self._good_until:
                self._answer = self._test_databases()
                self._good_until = self._clock() + READY_FOR
        finally:
            self._testing.release()

    def _test_databases(self) -> Mapping[str, str]:
        reasons: dict[str, str] = {}
        with as_application(within=PATIENCE):
            for name, adapter in self._manager.adapters.items():
                answers, message = adapter.test_connection()
                if answers:
                    # Reads go to the first database that answers; no fallback replaces it.
                    self.off = _find_features_off(adapter)
                    problem = _find_unreadable_table(adapter, own=not self.off)
                    return {} if problem is None else {name: problem}
                reasons[name] = message
        return reasons


def _find_features_off(adapter: DatabaseAdapter) -> dict[str, str]:
    if adapter.capabilities.sql != "native" or not may_lack_own_tables(adapter):
        return {}
    try:
        return features_off(adapter)
    except DataError:
        return {}


def _find_unreadable_table(adapter: DatabaseAdapter, *, own: bool) -> str | None:
    """The error of the first declared table that cannot be read. Tested on SQL databases only, where it is cheap.

    :param own: whether Isthmus's own tables must be there.
    """
    if adapter.capabilities.sql != "native":
        return None
    for table in adapter.schema:
        if table.internal and not own:
            continue
        try:
            adapter.run_alone(Select(table.name, table.key, limit=1))
        except DataError as error:
            return f"cannot read table {table.name}: {error}"
    return None


def _shown(info: dict[str, Any]) -> dict[str, Any]:
    """The status that the caller may see: without addresses, unless the caller is an administrator."""
    if (g.get("user_data") or {}).get("role") == ADMIN:
        return info
    return info | {kind: _without_places(info[kind]) for kind in ("adapters", "stores") if kind in info}


def _without_places(infos: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: value for key, value in one.items() if key not in _PLACES} for name, one in infos.items()}


def init_app(
    app: Flask,
    manager: ConnectionManager,
    others: Mapping[str, Callable[[], object]] | None = None,
    ready: Readiness | None = None,
    stores: Stores | None = None,
) -> None:
    """Add ``/livez``, ``/readyz``, ``/status`` and ``/metrics`` to ``app``.

    :param others: functions that return the status of other parts of the application, by their names in ``/status``.
    :param stores: those whose status and metrics are shown, too.
    """
    why_not = ready or Readiness(manager)
    registry = CollectorRegistry()
    registry.register(AdapterCollector(manager, stores))
    parts = {**(others or {}), **({} if stores is None else {"stores": stores.snapshot})}

    def livez() -> ResponseReturnValue:
        """Return 200 if the process runs, whatever the state of the databases."""
        return ALIVE, UNCACHED

    def readyz() -> ResponseReturnValue:
        """Return 200 if a database can answer reads, else 503 with the reasons."""
        reasons = why_not()
        if reasons:
            return {"status": "not ready", "reasons": dict(reasons)}, 503, UNCACHED
        off = {"features_off": dict(why_not.off)} if why_not.off else {}
        return {"status": "ready", **off}, 200, UNCACHED

    def status() -> ResponseReturnValue:
        """Return the known state of all databases and other parts without calling them; addresses to administrators."""
        known = {name: tell() for name, tell in parts.items()}
        if why_not.off:
            known["features_off"] = dict(why_not.off)
        return jsonify(_shown(manager.get_connection_info() | known)), UNCACHED

    def metrics() -> ResponseReturnValue:
        """Return the metrics of this process in Prometheus' text format."""
        return Response(generate_latest(registry), headers=UNCACHED, content_type=CONTENT_TYPE_LATEST)

    for view in (livez, readyz, status, metrics):
        # An outdated cookie must not prevent access.
        app.add_url_rule(f"/{view.__name__}", view.__name__, without_cookies(view))
