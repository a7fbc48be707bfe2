"""The same ledger on every kind of database, and an app on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from database.adapters.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from tests.contract.backends import supabase_database
from tests.integration.transactions import http_ledgers
from tests.integration.transactions import ledger as ledgers
from tests.integration.transactions.http_ledgers import ConvexLedger
from tests.integration.transactions.http_ledgers import SupabaseLedger
from tests.integration.transactions.ledger import TIMEOUT
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import make_api
from tests.integration.transactions.ledger import make_app
from tests.integration.transactions.ledger import managing
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerUnavailable
from tests.servers.supabase_api import SupabaseApi


@pytest.fixture(params=["sqlite", "postgresql", "convex", "supabase_http"])
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


@pytest.fixture(scope="package")
def _deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConvexDeployment]:
    try:
        deployment = ConvexDeployment(http_ledgers.convex_functions(tmp_path_factory.mktemp("convex")))
    except ServerUnavailable as reason:
        pytest.skip(str(reason))
    with deployment:
        yield deployment


@pytest.fixture
def convex_ledger(_deployment: ConvexDeployment) -> Iterator[ConvexLedger]:
    _deployment.reset()
    ledger = ConvexLedger(_deployment)
    yield ledger
    ledger.close()


@pytest.fixture(scope="package")
def _project(postgres_server: PostgresServer) -> Iterator[SupabaseApi]:
    database = supabase_database(postgres_server)
    http_ledgers.prepare_project(database)
    try:
        project = SupabaseApi(database)
    except ServerUnavailable as reason:
        pytest.skip(str(reason))
    with project:
        yield project
    postgres_server.drop_database(database)


@pytest.fixture
def supabase_http_ledger(_project: SupabaseApi) -> SupabaseLedger:
    http_ledgers.empty_project(_project.database)
    return SupabaseLedger(_project)


@pytest.fixture
def adapter(ledger: Ledger) -> Iterator[DatabaseAdapter]:
    made = ledger.adapter()
    yield made
    made.disconnect()


@pytest.fixture
def manager(adapter: DatabaseAdapter) -> ConnectionManager:
    """A manager that has made no call yet."""
    return managing(adapter)


@pytest.fixture
def app(manager: ConnectionManager) -> Flask:
    return make_app(manager, REQUEST_TIMEOUT=TIMEOUT)


@pytest.fixture
def api(manager: ConnectionManager) -> Flask:
    """An app that answers its errors as the application does."""
    return make_api(manager, REQUEST_TIMEOUT=TIMEOUT)
