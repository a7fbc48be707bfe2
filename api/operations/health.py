"""How the application is: for load balancers, for people, and for Prometheus. No secrets, and no need to sign in."""

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

READY_FOR = 1.0
PATIENCE = 2.0
"""Seconds: a load balancer does not wait long."""

ENDPOINTS = frozenset({"livez", "readyz", "status", "metrics"})

_PLACES = frozenset({"host", "port", "database", "user", "path", "url"})
"""What is known of a database that helps who wants to get at it."""

ALIVE = {"status": "alive"}
UNCACHED = {"Cache-Control": "no-store"}


class Readiness:
    """Why reads cannot be answered, by database; asked at most once in ``READY_FOR`` seconds.

    While one request asks, the others get the answer that is known.
    """

    def __init__(self, manager: ConnectionManager, clock: Clock = monotonic) -> None:
        self._manager = manager
        self._clock = clock
        self._answer: Mapping[str, str] | None = None
        self._good_until = 0.0
        self._build()
        rebuild_after_fork(self, Readiness._build)

    def _build(self) -> None:
        """Everything that must not be shared with a forked child."""
        self._asking = threading.Lock()

    def __call__(self) -> Mapping[str, str]:
        """The reasons of a moment ago; none if a database answers reads."""
        if self._answer is None or self._clock() >= self._good_until:
            self._refresh()
        return self._answer or {}

    def _refresh(self) -> None:
        if not self._asking.acquire(blocking=self._answer is None):
            return
        try:
            if self._answer is None or self._clock() >= self._good_until:
                self._answer = self._reasons()
                self._good_until = self._clock() + READY_FOR
        finally:
            self._asking.release()

    def _reasons(self) -> Mapping[str, str]:
        reasons: dict[str, str] = {}
        with as_application(within=PATIENCE):
            for name, adapter in self._manager.adapters.items():
                answers, message = adapter.test_connection()
                if answers:
                    # Of a database that answers, nobody takes the reads over.
                    problem = _unreadable(adapter)
                    return {} if problem is None else {name: problem}
                reasons[name] = message
        return reasons


def _unreadable(adapter: DatabaseAdapter) -> str | None:
    """What is wrong with the first declared table that cannot be read; asked where that costs next to nothing."""
    if adapter.capabilities.sql != "native":
        return None
    for table in adapter.schema:
        try:
            adapter.run_alone(Select(table.name, ("id",), limit=1))
        except DataError as error:
            return f"table {table.name} cannot be read: {error}"
    return None


def _shown(info: dict[str, Any]) -> dict[str, Any]:
    """What the caller may know of the databases."""
    if (g.get("user_data") or {}).get("role") == ADMIN:
        return info
    adapters = {
        name: {key: value for key, value in known.items() if key not in _PLACES}
        for name, known in info["adapters"].items()
    }
    return info | {"adapters": adapters}


def init_app(
    app: Flask,
    manager: ConnectionManager,
    others: Mapping[str, Callable[[], object]] | None = None,
    ready: Readiness | None = None,
) -> None:
    """Give ``app`` ``/livez``, ``/readyz``, ``/status`` and ``/metrics``.

    :param others: what tells of the other parts of the application, by the names that ``/status`` has for them.
    """
    why_not = ready or Readiness(manager)
    registry = CollectorRegistry()
    registry.register(AdapterCollector(manager))

    def livez() -> ResponseReturnValue:
        """The process answers; says nothing about databases."""
        return ALIVE, UNCACHED

    def readyz() -> ResponseReturnValue:
        """200 if reads can be answered, else 503 with the reasons."""
        reasons = why_not()
        if reasons:
            return {"status": "not ready", "reasons": dict(reasons)}, 503, UNCACHED
        return {"status": "ready"}, 200, UNCACHED

    def status() -> ResponseReturnValue:
        """What is known of every database and the other parts, without asking; where they are, for administrators."""
        known = {name: tell() for name, tell in (others or {}).items()}
        return jsonify(_shown(manager.get_connection_info()) | known), UNCACHED

    def metrics() -> ResponseReturnValue:
        """The counters of this process, in Prometheus' text format."""
        return Response(generate_latest(registry), headers=UNCACHED, content_type=CONTENT_TYPE_LATEST)

    for view in (livez, readyz, status, metrics):
        # An old cookie must not hide them.
        app.add_url_rule(f"/{view.__name__}", view.__name__, without_cookies(view))
