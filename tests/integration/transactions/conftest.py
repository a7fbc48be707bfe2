"""The same ledger on both databases, and an app on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from config.settings import load_settings
from database.adapters.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from tests.integration.transactions import ledger as ledgers
from tests.integration.transactions.ledger import TIMEOUT
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import make_app
from tests.servers.postgres import PostgresDatabase


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """A fresh ledger on each kind of database."""
    made: Ledger = request.getfixturevalue(f"{request.param}_ledger")
    return made


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Ledger:
    return ledgers.sqlite_ledger(tmp_path / "ledger.db")


@pytest.fixture
def postgresql_ledger(postgres_database: PostgresDatabase) -> Ledger:
    return ledgers.postgresql_ledger(postgres_database)


@pytest.fixture
def adapter(ledger: Ledger) -> Iterator[DatabaseAdapter]:
    made = ledger.adapter()
    yield made
    made.disconnect()


@pytest.fixture
def manager(adapter: DatabaseAdapter) -> ConnectionManager:
    """A manager that has made no call yet."""
    return ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})


@pytest.fixture
def app(manager: ConnectionManager) -> Flask:
    return make_app(manager, REQUEST_TIMEOUT=TIMEOUT)
