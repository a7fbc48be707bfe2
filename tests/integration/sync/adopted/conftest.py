"""Databases as people have them, adopted from PostgreSQL, and the same tables on other backends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.context import as_application
from database.core.operations import Select
from database.core.result import Row
from database.core.tables.schema import Schema
from database.declared import schema_of
from database.schema.adoption import adopting
from database.schema.adoption import installing
from database.schema.adoption import writing
from database.schema.migrations import runner
from tests.contract.backends import supabase_database
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

SCHEMAS = Path(__file__).parents[3] / "schemas"
NAMES = ("supabase_auth", "supabase_profiles", "supabase_slack", "supabase_todos", "chinook", "pagila", "awkward")
USERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(12)]
"""Of the project, in a table that is not adopted."""


def load(database: PostgresDatabase) -> None:
    """Make the tables of all schemas, which have no two tables of one name."""
    for name in NAMES:
        text = (SCHEMAS / f"{name}.sql").read_text()
        database.execute(re.sub(r"\bcustomer\b", "renter", text) if name == "pagila" else text)
    database.execute(f"insert into auth.users (id) values {', '.join(f'({user!r})' for user in USERS)}")


@cache
def _source(server: PostgresServer) -> str:
    """The declarations that `flask db adopt` would write."""
    database = supabase_database(server)
    load(database)
    adapter = _postgres(database, schema_of(sa.MetaData()))
    try:
        judged = adopting.judged(adopting.find(adapter), sa.MetaData(), {})
        return writing.module(judged, writing.GivenAccess({}), {})
    finally:
        adapter.disconnect()
        server.drop_database(database)


def adopted(server: PostgresServer) -> Schema:
    """The adopted tables, whose keys are given."""
    source = re.sub(r"sa\.Identity\(.*?\)", "autoincrement=False", _source(server))
    return schema_of(writing.check(source))


def _postgres(database: PostgresDatabase, schema: Schema) -> DatabaseAdapter:
    names = ("host", "port", "user", "password", "database")
    return SupabaseDirectAdapter({name: getattr(database, name) for name in names}, schema)


@dataclass(frozen=True, slots=True)
class Place:
    """One of the two databases.

    :ivar kind: ``postgres``, ``sqlite`` or ``convex``.
    :ivar address: what another program connects to; empty for Convex.
    """

    kind: str
    adapter: DatabaseAdapter
    address: str = ""

    def rows(self, table: str) -> list[Row]:
        with as_application():
            return self.adapter.run(Select(table)).rows


def place(kind: str, server: PostgresServer, folder: Path, closing: ExitStack) -> Place:
    """A database with the adopted tables, whose changes are logged."""
    schema = adopted(server)
    if kind == "convex":
        # Convex does not allow the name.
        schema.metadata.remove(schema.metadata.tables["Odd Table"])
        schema = schema_of(schema.metadata)
        deployment = available(ConvexDeployment, functions_with(schema, folder))
        closing.enter_context(deployment)
        made = Place(kind, ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key}, schema))
    elif kind == "sqlite":
        path = folder / "adopted.db"
        made = Place(kind, SQLiteAdapter({"path": path, "synchronous": "normal"}, schema), str(path))
    else:
        database = supabase_database(server)
        load(database)
        made = Place(kind, _postgres(database, schema), database.dsn)
    closing.callback(made.adapter.disconnect)
    if kind != "convex":
        runner.upgrade(made.adapter)
        installing.install_tables(made.adapter)
        installing.install_changes(made.adapter)
    return made


@pytest.fixture(params=["postgres-sqlite", "postgres-convex", "sqlite-convex"])
def places(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[tuple[Place, Place]]:
    """Two databases that are kept equal."""
    with ExitStack() as closing:
        first, second = (place(kind, postgres_server, tmp_path, closing) for kind in request.param.split("-"))
        first.adapter.name, second.adapter.name = "first", "second"
        yield first, second
