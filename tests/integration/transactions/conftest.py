"""The same ledger on every kind of database, and an app on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from tests.contract.backends import supabase_database
from tests.integration.convex_functions.support import Functions
from tests.integration.transactions import http_ledgers
from tests.integration.transactions import ledger as ledgers
from tests.integration.transactions.http_ledgers import ConvexLedger
from tests.integration.transactions.http_ledgers import SupabaseLedger
from tests.integration.transactions.ledger import TIMEOUT
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import make_api
from tests.integration.transactions.ledger import make_app
from tests.integration.transactions.ledger import managing
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi


@pytest.fixture(params=["sqlite", "postgresql", "convex", "supabase_http"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """A fresh ledger on each kind of database."""
    made: Ledger = request.getfixturevalue(f"{request.param}_ledger")
    return made


@pytest.fixture(scope="package")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    ledgers.sqlite_ledger(path)
    return path


@pytest.fixture
def sqlite_ledger(_template: Path, tmp_path: Path) -> Ledger:
    path = tmp_path / "ledger.db"
    shutil.copy(_template, path)
    return ledgers.sqlite_ledger(path)


@pytest.fixture(scope="package")
def _database(postgres_server: PostgresServer) -> Iterator[tuple[PostgresDatabase, Ledger]]:
    with postgres_server.database() as database:
        yield database, ledgers.postgresql_ledger(database)


@pytest.fixture
def postgresql_ledger(_database: tuple[PostgresDatabase, Ledger]) -> Ledger:
    database, ledger = _database
    ledgers.empty_postgresql(database)
    return ledger


@pytest.fixture(scope="package")
def _deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConvexDeployment]:
    with available(ConvexDeployment, functions_with(ledgers.SCHEMA, tmp_path_factory.mktemp("convex"))) as deployment:
        yield deployment


@pytest.fixture(scope="package")
def _functions(_deployment: ConvexDeployment) -> Iterator[Functions]:
    functions = Functions(_deployment.url, f"Convex {_deployment.deploy_key}")
    yield functions
    functions.close()


@pytest.fixture
def convex_ledger(_deployment: ConvexDeployment, _functions: Functions) -> ConvexLedger:
    _deployment.reset()
    return ConvexLedger(_deployment, _functions)


@pytest.fixture(scope="package")
def _project(postgres_server: PostgresServer) -> Iterator[SupabaseApi]:
    database = supabase_database(postgres_server)
    http_ledgers.prepare_project(database)
    with available(SupabaseApi, database) as project:
        yield project
    postgres_server.drop_database(database)


@pytest.fixture
def supabase_http_ledger(_project: SupabaseApi) -> SupabaseLedger:
    ledgers.empty_postgresql(_project.database)
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
