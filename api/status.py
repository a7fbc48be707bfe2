"""How the application is: for load balancers, for people, and for Prometheus. No secrets, no sign-in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Mapping

from flask import Flask
from flask import Response
from flask import jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client import CollectorRegistry
from prometheus_client import generate_latest

from api.access import as_application
from api.metrics import AdapterCollector
from auth.sessions.cookies import without_cookies
from database.connection_manager import ConnectionManager
from database.core.clock import Clock
from database.core.clock import monotonic

READY_FOR = 1.0
PATIENCE = 2.0
"""Seconds: a load balancer does not wait long."""

ENDPOINTS = frozenset({"livez", "readyz", "status", "metrics"})

ALIVE = {"status": "alive"}
UNCACHED = {"Cache-Control": "no-store"}


class Readiness:
    """Whether any database answers reads, asked at most once in ``READY_FOR`` seconds.

    While one request asks, the others get the answer that is known.
    """

    def __init__(self, manager: ConnectionManager, clock: Clock = monotonic) -> None:
        self._manager = manager
        self._clock = clock
        self._asking = threading.Lock()
        self._answer: bool | None = None
        self._good_until = 0.0

    def __call__(self) -> bool:
        """True if a database answered a moment ago."""
        if self._answer is None or self._clock() >= self._good_until:
            self._refresh()
        return bool(self._answer)

    def _refresh(self) -> None:
        if not self._asking.acquire(blocking=self._answer is None):
            return
        try:
            if self._answer is None or self._clock() >= self._good_until:
                self._answer = self._any_answers()
                self._good_until = self._clock() + READY_FOR
        finally:
            self._asking.release()

    def _any_answers(self) -> bool:
        with as_application(within=PATIENCE):
            return any(adapter.test_connection()[0] for adapter in self._manager.adapters.values())


def init_app(
    app: Flask,
    manager: ConnectionManager,
    others: Mapping[str, Callable[[], object]] | None = None,
    ready: Readiness | None = None,
) -> None:
    """Give ``app`` ``/livez``, ``/readyz``, ``/status`` and ``/metrics``.

    :param others: what tells of the other parts of the application, by the names that ``/status`` has for them.
    """
    is_ready = ready or Readiness(manager)
    registry = CollectorRegistry()
    registry.register(AdapterCollector(manager))

    def livez() -> ResponseReturnValue:
        """The process answers; says nothing about databases."""
        return ALIVE, UNCACHED

    def readyz() -> ResponseReturnValue:
        """200 if reads can be answered, else 503."""
        return ({"status": "ready"}, 200, UNCACHED) if is_ready() else ({"status": "not ready"}, 503, UNCACHED)

    def status() -> ResponseReturnValue:
        """What is known of every database and the other parts, without asking."""
        known = {name: tell() for name, tell in (others or {}).items()}
        return jsonify(manager.get_connection_info() | known), UNCACHED

    def metrics() -> ResponseReturnValue:
        """The counters of this process, in Prometheus' text format."""
        return Response(generate_latest(registry), headers=UNCACHED, content_type=CONTENT_TYPE_LATEST)

    for view in (livez, readyz, status, metrics):
        # An old cookie must not hide them.
        app.add_url_rule(f"/{view.__name__}", view.__name__, without_cookies(view))
