"""Adapters that speak HTTP: with a real project's API, and with a server that answers what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from database.backends.supabase import SupabaseAdapter
from database.core.tables.schema import Schema
from database.schema.migrations.supabase import functions
from tests.contract.backends import supabase_database
from tests.contract.tables import SCHEMA
from tests.contract.tables import create_tables
from tests.integration.supabase_http.scripted import ScriptedServer
from tests.servers.available import available
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi

Make = Callable[..., SupabaseAdapter]

SECRET = "sb_secret_of_no_project"
PUBLISHABLE = "sb_publishable_of_no_project"


@pytest.fixture(scope="package")
def database(postgres_server: PostgresServer) -> PostgresDatabase:
    """A project's database, with the contract's tables and the functions of commits."""
    database = supabase_database(postgres_server)
    create_tables(database.sqlalchemy_url)
    database.execute(functions.script())
    return database


@pytest.fixture(scope="package")
def project(database: PostgresDatabase) -> Iterator[SupabaseApi]:
    """The project's API; leave it running."""
    with available(SupabaseApi, database) as api:
        yield api


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A server of the test's own."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes adapters that try once and are disconnected at the end of the test."""
    with ExitStack() as stack:

        def adapter(
            url: str, key: str = SECRET, anon_key: str | None = None, schema: Schema = SCHEMA, **config: Any
        ) -> SupabaseAdapter:
            patient = {"timeout": 20, "retry_count": 0, "circuit_breaker_threshold": 0}
            made = SupabaseAdapter({**patient, "url": url, "key": key, "anon_key": anon_key, **config}, schema)
            stack.callback(made.disconnect)
            return made

        yield adapter


@pytest.fixture
def adapter(make: Make, project: SupabaseApi, database: PostgresDatabase) -> SupabaseAdapter:
    """The service's adapter to the project, whose tables are empty."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("truncate things, parts, notes, namesakes")
    return make(project.url, project.service_key)
