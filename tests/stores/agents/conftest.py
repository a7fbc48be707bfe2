"""The places in which the suite stores: each backend of agents, with a real server where it has one."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import closing
from contextlib import contextmanager
from itertools import count
from typing import Final

import pytest
import sqlalchemy as sa

from database.backends.memory import MemoryAdapter
from database.backends.sqlite import SQLiteAdapter
from stores import CosmosDBClient
from stores import DatabaseClient
from stores import PostgreSQLClient
from stores import SQLiteClient
from stores.agents.client import RecordsClient
from stores.agents.tables import own_schema
from tests.servers.available import available
from tests.servers.cosmos.account import KEY
from tests.servers.cosmos.account import CosmosAccount

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


_MAKERS: Final[dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[RecordsClient]]]] = {
    made.__name__: made for made in (postgresql, sqlite, cosmos, memory, application)
}


@pytest.fixture(scope="module", params=_MAKERS)
def client(request: pytest.FixtureRequest) -> Iterator[RecordsClient]:
    with _MAKERS[request.param](request) as made:
        yield made


@pytest.fixture
def ids() -> Ids:
    """Makes ids of this test's own from others."""
    number = next(_numbers)
    return lambda name: f"{number} {name}"
