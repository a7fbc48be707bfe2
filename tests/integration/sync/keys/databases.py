"""Databases with the contract's tables, whose keys are of every kind."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy as sa

from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.core.tables.schema import Schema
from database.schema.migrations.supabase import functions
from tests.contract.backends import supabase_database
from tests.contract.tables import create_tables
from tests.contract.tables import metadata
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.supabase_api import SupabaseApi

SCHEMA = Schema.of(metadata, internal_tables.metadata)


Make = Callable[[pytest.FixtureRequest, ExitStack], DatabaseAdapter]


@contextmanager
def two_of(
    makers: tuple[Make, Make], request: pytest.FixtureRequest
) -> Iterator[tuple[DatabaseAdapter, DatabaseAdapter]]:
    """Two databases with names of their own, for the time of a block."""
    with ExitStack() as closing:
        first, second = (make(request, closing) for make in makers)
        first.name, second.name = "first", "second"
        for adapter in (first, second):
            closing.callback(adapter.disconnect)
        yield first, second


def memory(_: pytest.FixtureRequest, __: ExitStack) -> DatabaseAdapter:
    return MemoryAdapter({}, SCHEMA)


def sqlite(request: pytest.FixtureRequest, _: ExitStack) -> DatabaseAdapter:
    folder: Path = request.getfixturevalue("tmp_path")
    url = f"sqlite:///{folder / 'keys.db'}"
    create_tables(url)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    internal_tables.metadata.create_all(engine)
    engine.dispose()
    return SQLiteAdapter({"path": str(folder / "keys.db"), "synchronous": "normal"}, SCHEMA)


def postgres(request: pytest.FixtureRequest, _: ExitStack) -> DatabaseAdapter:
    database = request.getfixturevalue("postgres_server").create_database()
    create_tables(database.sqlalchemy_url)
    database.create(internal_tables.metadata)
    return PostgresAdapter(asdict(database), SCHEMA)


def convex(request: pytest.FixtureRequest, closing: ExitStack) -> DatabaseAdapter:
    deployment = available(ConvexDeployment, functions_with(SCHEMA, request.getfixturevalue("tmp_path")))
    closing.enter_context(deployment)
    return ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key}, SCHEMA)


def supabase(request: pytest.FixtureRequest, closing: ExitStack) -> DatabaseAdapter:
    """A project over HTTP."""
    database = supabase_database(request.getfixturevalue("postgres_server"))
    create_tables(database.sqlalchemy_url)
    database.create(internal_tables.metadata)
    database.execute(functions.script())
    project = closing.enter_context(available(SupabaseApi, database))
    config = {"url": project.url, "key": project.service_key, "anon_key": project.anon_key}
    return SupabaseAdapter(config, SCHEMA)
