"""The places in which the suite stores: each backend of agents, with a real server where it has one."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import closing
from contextlib import contextmanager
from itertools import count
from typing import Final

import pytest
import sqlalchemy as sa

from database import internal_tables
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.schema.migrations.supabase import functions
from stores import CosmosDBClient
from stores import DatabaseClient
from stores import PostgreSQLClient
from stores import SQLiteClient
from stores.agents.client import RecordsClient
from stores.agents.tables import own_schema
from tests.contract.backends import supabase_database
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.cosmos.account import KEY
from tests.servers.cosmos.account import CosmosAccount
from tests.servers.supabase_api import SupabaseApi

_numbers: Final = count()

Ids = Callable[[str], str]


@pytest.fixture(scope="session")
def cosmos_account() -> Iterator[CosmosAccount]:
    with available(CosmosAccount) as account:
        yield account


@contextmanager
def postgresql(request: pytest.FixtureRequest) -> Iterator[RecordsClient]:
    with (
        request.getfixturevalue("postgres_server").database() as database,
        closing(PostgreSQLClient(database.url)) as client,
    ):
        yield client


@contextmanager
def sqlite(request: pytest.FixtureRequest) -> Iterator[RecordsClient]:
    folder = request.getfixturevalue("tmp_path_factory").mktemp("agents")
    with closing(SQLiteClient(folder / "agents.db")) as client:
        yield client


@contextmanager
def cosmos(request: pytest.FixtureRequest) -> Iterator[RecordsClient]:
    url = request.getfixturevalue("cosmos_account").url
    with closing(CosmosDBClient(url, KEY, "agents")) as client:
        yield client


@contextmanager
def memory(_: pytest.FixtureRequest) -> Iterator[RecordsClient]:
    yield DatabaseClient(MemoryAdapter(schema=own_schema()))


@contextmanager
def application(request: pytest.FixtureRequest) -> Iterator[RecordsClient]:
    """A database of an application, whose migrations have made the tables."""
    path = request.getfixturevalue("tmp_path_factory").mktemp("agents") / "application.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    schema = own_schema()
    schema.metadata.create_all(engine)
    engine.dispose()
    adapter = SQLiteAdapter({"path": str(path), "synchronous": "normal"}, schema)
    yield DatabaseClient(adapter)
    adapter.disconnect()


@contextmanager
def supabase_http(request: pytest.FixtureRequest) -> Iterator[RecordsClient]:
    schema = own_schema()
    database = supabase_database(request.getfixturevalue("postgres_server"))
    database.create(internal_tables.metadata)
    database.create(schema.metadata)
    database.execute(functions.script())
    with available(SupabaseApi, database) as project:
        adapter = SupabaseAdapter({"url": project.url, "key": project.service_key, "timeout": 120}, schema)
        yield DatabaseClient(adapter)
        adapter.disconnect()


@contextmanager
def convex(request: pytest.FixtureRequest) -> Iterator[RecordsClient]:
    schema, folder = own_schema(), request.getfixturevalue("tmp_path_factory").mktemp("agents")
    with available(ConvexDeployment, functions_with(schema, folder)) as deployment:
        adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key}, schema)
        yield DatabaseClient(adapter)
        adapter.disconnect()


_MAKERS: Final[dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[RecordsClient]]]] = {
    made.__name__: made
    for made in (
        *(postgresql, sqlite, cosmos, memory, application),
        *((supabase_http, convex) if os.environ.get("AGENT_PLACES") == "all" else ()),
    )
}
"""With ``AGENT_PLACES=all`` also the other databases of an application."""


@pytest.fixture(scope="module", params=_MAKERS)
def client(request: pytest.FixtureRequest) -> Iterator[RecordsClient]:
    with _MAKERS[request.param](request) as made:
        yield made


@pytest.fixture
def ids() -> Ids:
    """Makes ids of this test's own from others."""
    number = next(_numbers)
    return lambda name: f"{number} {name}"
