"""The contract's tables on PostgreSQL, and adapters that reach them through a fault proxy or a transaction pooler."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import pytest

from database.backends.postgres import PostgresAdapter
from database.core.tables.schema import Schema
from tests.contract.tables import SCHEMA
from tests.contract.tables import create_tables
from tests.servers.available import available
from tests.servers.network.proxy import FaultProxy
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

Make = Callable[..., PostgresAdapter]


@pytest.fixture(scope="session")
def _template(postgres_server: PostgresServer) -> PostgresDatabase:
    made = postgres_server.create_database()
    create_tables(made.sqlalchemy_url)
    return made


@pytest.fixture
def database(postgres_server: PostgresServer, _template: PostgresDatabase) -> Iterator[PostgresDatabase]:
    """A database with the contract's tables."""
    with postgres_server.database(like=_template) as made:
        yield made


@pytest.fixture
def between(proxy: Callable[[int], FaultProxy], database: PostgresDatabase) -> FaultProxy:
    """The proxy before the database."""
    return proxy(database.port)


@pytest.fixture(params=[1, 2], ids=["one server connection", "two server connections"])
def pooler(request: pytest.FixtureRequest, database: PostgresDatabase) -> Iterator[PgBouncer]:
    """A transaction pooler before the database; its clients have fewer connections to the server than they are."""
    with available(PgBouncer, database, pool_size=request.param) as running:
        yield running


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes adapters that are disconnected at the end of the test."""
    with ExitStack() as stack:

        def adapter(
            database: PostgresDatabase,
            kind: type[PostgresAdapter] = PostgresAdapter,
            schema: Schema = SCHEMA,
            **config: Any,
        ) -> PostgresAdapter:
            made = kind({**asdict(database), "retry_count": 0, **config}, schema)
            stack.callback(made.disconnect)
            return made

        yield adapter
