"""A server behind a proxy, and adapters to it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.clock import monotonic
from database.core.context import Identity
from tests.integration.buffered.servers import Server
from tests.integration.buffered.tables import SCHEMA
from tests.integration.buffered.traffic import Traffic
from tests.servers.network.link import HOST
from tests.servers.network.proxy import FaultProxy

TIMEOUT = 20  # seconds; only what is broken needs them


class Remote:
    """A backend as the tests see it: its server, what passes on the way to it, and adapters on this side.

    :ivar direct: an adapter that speaks to the server without the proxy.
    :ivar adapter: an adapter behind the proxy that is patient and has no circuit breaker.
    """

    def __init__(self, server: Server, between: FaultProxy, stack: ExitStack) -> None:
        self.server = server
        self.between = between
        self.traffic = Traffic()
        self._stack = stack
        between.set(self.traffic)
        self.direct = self._made(server.port)
        self.adapter = self.another()

    def another(self, **config: Any) -> DatabaseAdapter:
        """An adapter behind the proxy; it ends with the test."""
        return self._made(self.between.port, **config)

    def user(self, subject: str, **claims: Any) -> Identity:
        """A user with a token."""
        return Identity(subject, "authenticated", {"sub": subject}, self.server.token(subject, **claims))

    def commits(self) -> list[bytes]:
        """The commits that have come to the proxy."""
        return self.traffic.bodies(self.server.commit)

    def _made(self, port: int, **config: Any) -> DatabaseAdapter:
        usual = {"url": f"http://{HOST}:{port}", "timeout": TIMEOUT, "circuit_breaker_threshold": 0, "retry_count": 5}
        adapter = self.server.adapter({**usual, **self.server.credentials, **config}, SCHEMA)
        self._stack.callback(adapter.disconnect)
        return adapter


class Lasting:
    """Asserts on leaving its block that it has taken some time.

    :param least: in seconds.
    :param most: in seconds.
    """

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most

    def __enter__(self) -> None:
        self._begun = monotonic()

    def __exit__(self, *_: object) -> None:
        assert self._least <= monotonic() - self._begun < self._most


def at_once(threads: int, work: Callable[[int], Any]) -> list[Any]:
    """What ``work`` returns in each of the threads, which begin together."""
    ready = Barrier(threads)

    def run(number: int) -> Any:
        ready.wait(timeout=TIMEOUT)
        return work(number)

    with ThreadPoolExecutor(threads) as workers:
        return list(workers.map(run, range(threads)))


def ids(adapter: DatabaseAdapter, table: str) -> list[str]:
    """The ids in a table, in order."""
    return [row["id"] for row in adapter.table(table).select("id").execute()]


only_convex = pytest.mark.parametrize("_server", ["convex"], indirect=True)
only_supabase = pytest.mark.parametrize("_server", ["supabase"], indirect=True)
