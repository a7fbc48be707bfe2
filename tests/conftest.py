"""Fixtures for all tests: real servers, fresh databases and faulty connections."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings

from config.settings import settings_table
from database.backends.convex import ConvexAdapter
from database.connection_manager import ConnectionManager
from tests import laboratory
from tests import no_skips
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import laboratory_functions
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.qdrant.server import QdrantServer
from tests.servers.redis import RedisServer
from tests.servers.s3 import S3Server
from tests.servers.tokens import TokenSigner

# Everything runs with the tests' own application. A conftest of a folder that is named on the command line is imported
# before the hooks of this one are called, and may ask for the tables.
os.environ.update(laboratory.ENVIRONMENT)

# Time says nothing about correctness on a shared machine.
settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=False, database=None, print_blob=True)
settings.load_profile("ci" if no_skips.IN_CI else "default")


def pytest_configure(config: pytest.Config) -> None:
    """Allow no skips in CI."""
    config.pluginmanager.register(no_skips, "no_skips")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests; leave it running."""
    with available(PostgresServer) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """A database that nobody else uses."""
    with postgres_server.database() as database:
        yield database


@pytest.fixture(scope="module")
def _durable_postgres() -> Iterator[PostgresServer]:
    with available(PostgresServer, durable=True) as server:
        yield server


@pytest.fixture
def durable_postgres(_durable_postgres: PostgresServer) -> PostgresServer:
    """A server of the module's own that commits to disk, running, to be stopped and killed at will."""
    _durable_postgres.start()
    return _durable_postgres


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server that all tests share; each has a store of its own there."""
    with available(RedisServer) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A server of S3 that all tests share; each has a store of its own there."""
    with available(S3Server) as server:
        yield server


@pytest.fixture(scope="session")
def qdrant_server() -> Iterator[QdrantServer]:
    """A server of Qdrant that all tests share; each has a collection of its own there."""
    with available(QdrantServer) as server:
        yield server


@pytest.fixture(scope="session")
def token_signer() -> TokenSigner:
    """Makes the tokens that the servers accept."""
    return TokenSigner()


@pytest.fixture(scope="session")
def convex_deployment(token_signer: TokenSigner) -> Iterator[ConvexDeployment]:
    """A Convex deployment of the tests' application for all of them; reset it, and leave it running."""
    with (
        laboratory_functions() as functions,
        available(ConvexDeployment, functions, provider=token_signer.provider) as deployment,
    ):
        yield deployment


@pytest.fixture
def empty_deployment(convex_deployment: ConvexDeployment) -> Iterator[ConvexDeployment]:
    """The deployment with empty tables, before the test and after it."""
    convex_deployment.reset()
    yield convex_deployment
    convex_deployment.reset()


@pytest.fixture
def convex_store(empty_deployment: ConvexDeployment) -> Iterator[ConvexAdapter]:
    """The empty deployment as the service sees it, to see what was done in it."""
    adapter = ConvexAdapter({"url": empty_deployment.url, "key": empty_deployment.deploy_key})
    yield adapter
    adapter.disconnect()


@pytest.fixture
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings from outside, and a folder for what is left behind."""
    for row in settings_table().splitlines()[2:]:
        if (name := row.split("`")[1]) not in laboratory.ENVIRONMENT:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    ConnectionManager.set_instance(None)


@pytest.fixture
def proxy() -> Iterator[Callable[[int], FaultProxy]]:
    """Make proxies to ports of this machine; they end with the test."""
    with ExitStack() as proxies:
        yield lambda upstream: proxies.enter_context(FaultProxy(upstream))
