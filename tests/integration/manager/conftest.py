"""Two databases in order: a PostgreSQL server that can be stopped, and an SQLite file as its stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pybreaker
import pytest

from config.settings import load_settings
from database.connection_manager import ConnectionManager
from database.core.result import Result
from database.resilience.circuit_breaker import CLOSED
from tests.clocks import ManualClock
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import postgresql_ledger
from tests.integration.transactions.ledger import sqlite_ledger
from tests.integration.transactions.ledger import write
from tests.servers.postgres import PostgresServer

PATIENCE = 20.0  # seconds after which a test that hangs fails
FAILBACK_AFTER = 5.0  # seconds of the injected clock


@dataclass(frozen=True, slots=True)
class Pair:
    """A manager of ``main`` and ``spare``, whose one entry each is named after it."""

    manager: ConnectionManager
    main: Ledger
    spare: Ledger
    server: PostgresServer
    clock: ManualClock

    def read(self) -> Result:
        """All entries, wherever they come from."""
        return self.manager.table("entries").execute()

    def wait_until_well(self) -> None:
        """Return when the circuit to ``main`` is closed."""
        circuit_breaker = self.manager.adapters["main"].pipeline.circuit_breaker
        closed = Event()
        circuit_breaker.add_listener(_When(CLOSED, closed))
        assert circuit_breaker.state == CLOSED or closed.wait(PATIENCE)


class _When(pybreaker.CircuitBreakerListener):
    """Sets an event when a circuit comes into a state."""

    def __init__(self, state: str, event: Event) -> None:
        self._state = state
        self._event = event

    def state_change(self, cb: object, old_state: object, new_state: pybreaker.CircuitBreakerState) -> None:
        if new_state.name == self._state:
            self._event.set()


@pytest.fixture
def pair(durable_postgres: PostgresServer, tmp_path: Path) -> Iterator[Pair]:
    """Both databases, up, and a manager that has made no call yet."""
    main = postgresql_ledger(durable_postgres.create_database())
    spare = sqlite_ledger(tmp_path / "spare.db")
    clock = ManualClock()
    settings = load_settings(None, ENVIRONMENT="testing", DB_FAILBACK_AFTER=str(FAILBACK_AFTER))
    impatient = {"retry_count": 0, "circuit_breaker_threshold": 1, "circuit_breaker_timeout": 0}
    for name, ledger in (("main", main), ("spare", spare)):
        writer = ledger.adapter()
        write(writer, f"in {name}")
        writer.disconnect()
    adapters = {"main": main.adapter(**impatient), "spare": spare.adapter()}
    manager = ConnectionManager(settings, adapters, clock=clock)
    yield Pair(manager, main, spare, durable_postgres, clock)
    manager.disconnect()
