"""The places in which the suite stores: how each backend is made, with a real server where it has one."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.faulty import Faults
from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.core.tables.schema import Schema
from database.resilience.settings import ResilienceSettings
from database.schema.migrations.supabase import functions
from storage.backends.cosmos.backend import CosmosEntries
from storage.backends.documents import DocumentEntries
from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.backends.qdrant.backend import QdrantEntries
from storage.backends.redis.backend import RedisEntries
from storage.backends.s3.backend import S3Entries
from storage.backends.table import TableEntries
from storage.core.backend import StoreBackend
from storage.core.layer import Layer
from storage.core.store import Store
from storage.layers.cache import Cache
from storage.layers.compression import Compression
from storage.layers.encryption import Encryption
from storage.layers.encryption import Keys
from storage.layers.fallback.stage import Fallback
from storage.layers.mirror.stage import Mirrors
from storage.layers.size_tier import SizeTier
from tests.contract.backends import supabase_database
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.cosmos import account as cosmos_account
from tests.servers.qdrant import server as qdrant_server
from tests.servers.s3 import ACCESS
from tests.servers.s3 import BUCKET
from tests.servers.supabase_api import SupabaseApi
from tests.storage.layers.faulty import Flaky
from tests.storage.writers import Recipe
from tests.storage.writers import table_entries

TIMEOUT: Final = 20  # seconds; only a broken backend needs them
DIMENSIONS: Final = 5
"""Of the vectors, where there are some."""

_numbers: Final = count()
"""Of the stores: also of the places that are made again, on the same servers."""

_TABLES: Final = internal_tables.metadata
_SCHEMA: Final = Schema.of(_TABLES)


@dataclass(frozen=True, slots=True)
class Place:
    """How the stores of one kind are made.

    :ivar make: an empty backend; the folder is that of the test.
    :ivar layers: makes those of a store.
    :ivar recipe: how another process makes the same one; None if it cannot.
    :ivar database: that of the application, in which they are; None if they are elsewhere.
    """

    make: Callable[[Path], StoreBackend]
    layers: Callable[[], Sequence[Layer]] = list
    recipe: Callable[[StoreBackend], Recipe] | None = None
    database: DatabaseAdapter | None = None


Maker = Callable[[pytest.FixtureRequest], AbstractContextManager[Place]]


@contextmanager
def memory(_: pytest.FixtureRequest) -> Iterator[Place]:
    yield Place(lambda _: MemoryEntries(dimensions=DIMENSIONS))


@contextmanager
def file(_: pytest.FixtureRequest) -> Iterator[Place]:
    yield Place(
        lambda folder: FileEntries(folder / "store"),
        recipe=lambda backend: partial(FileEntries, backend.describe()["folder"]),
    )


@contextmanager
def redis(request: pytest.FixtureRequest) -> Iterator[Place]:
    server = request.getfixturevalue("redis_server")
    yield Place(
        lambda _: RedisEntries(server.url, f"store {next(_numbers)}", TIMEOUT),
        recipe=lambda backend: partial(RedisEntries, server.url, backend.describe()["store"], TIMEOUT),
    )


@contextmanager
def s3(request: pytest.FixtureRequest) -> Iterator[Place]:
    server = request.getfixturevalue("s3_server")

    def recipe(store: str) -> Callable[[], S3Entries]:
        return partial(S3Entries, BUCKET, store, endpoint=server.url, timeout=TIMEOUT, **ACCESS)

    yield Place(
        lambda _: recipe(f"store {next(_numbers)}")(), recipe=lambda backend: recipe(backend.describe()["store"])
    )


@contextmanager
def qdrant(request: pytest.FixtureRequest) -> Iterator[Place]:
    server = request.getfixturevalue("qdrant_server")

    def recipe(collection: str) -> Callable[[], StoreBackend]:
        key = qdrant_server.KEY
        return partial(QdrantEntries, server.url, collection, dimensions=DIMENSIONS, api_key=key, timeout=TIMEOUT)

    yield Place(
        lambda _: recipe(f"store-{next(_numbers)}")(),
        recipe=lambda backend: recipe(backend.describe()["collection"]),
    )


@contextmanager
def cosmos(request: pytest.FixtureRequest) -> Iterator[Place]:
    account = request.getfixturevalue("cosmos_account")

    def recipe(store: str) -> Callable[[], StoreBackend]:
        return partial(CosmosEntries, account.url, cosmos_account.KEY, "isthmus", store, timeout=TIMEOUT)

    yield Place(
        lambda _: recipe(f"store {next(_numbers)}")(), recipe=lambda backend: recipe(backend.describe()["store"])
    )


@contextmanager
def memory_table(_: pytest.FixtureRequest) -> Iterator[Place]:
    with _table(MemoryAdapter(schema=_SCHEMA)) as place:
        yield replace(place, recipe=None)


@contextmanager
def sqlite(request: pytest.FixtureRequest) -> Iterator[Place]:
    path = request.getfixturevalue("tmp_path_factory").mktemp("storage") / "stores.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    _TABLES.create_all(engine)
    engine.dispose()
    with _table(SQLiteAdapter({"path": str(path), "synchronous": "normal", "timeout": TIMEOUT}, _SCHEMA)) as place:
        yield place


@contextmanager
def documents(_: pytest.FixtureRequest) -> Iterator[Place]:
    """Tables of their own in the file of the test."""
    numbers = count()

    def make(folder: Path) -> DocumentEntries:
        config = {"path": folder / "documents.db", "timeout": TIMEOUT}
        return DocumentEntries(SQLiteAdapter, config, f"documents_{next(numbers)}")

    yield Place(
        make,
        recipe=lambda backend: partial(
            DocumentEntries, SQLiteAdapter, {"path": backend.describe()["path"]}, backend.describe()["table"]
        ),
    )


@contextmanager
def postgresql(request: pytest.FixtureRequest) -> Iterator[Place]:
    with request.getfixturevalue("postgres_server").database() as database:
        database.create(_TABLES)
        with _table(PostgresAdapter({**asdict(database), "timeout": TIMEOUT}, _SCHEMA)) as place:
            yield place


@contextmanager
def supabase_http(request: pytest.FixtureRequest) -> Iterator[Place]:
    database = supabase_database(request.getfixturevalue("postgres_server"))
    database.create(_TABLES)
    database.execute(functions.script())
    with available(SupabaseApi, database) as project:
        config = {"url": project.url, "key": project.service_key, "timeout": TIMEOUT}
        with _table(SupabaseAdapter(config, _SCHEMA)) as place:
            yield place


@contextmanager
def convex(request: pytest.FixtureRequest) -> Iterator[Place]:
    folder = request.getfixturevalue("tmp_path_factory").mktemp("storage")
    with available(ConvexDeployment, functions_with(_SCHEMA, folder)) as deployment:
        config = {"url": deployment.url, "key": deployment.deploy_key, "timeout": TIMEOUT}
        with _table(ConvexAdapter(config, _SCHEMA)) as place:
            yield place


@contextmanager
def _table(adapter: DatabaseAdapter) -> Iterator[Place]:
    """A database that all tests share: each of them has a store of its own in the table, and sees no other one."""
    try:
        yield Place(
            lambda _: TableEntries(adapter, f"store {next(_numbers)}", DIMENSIONS),
            recipe=lambda backend: partial(table_entries, type(adapter), adapter.config, backend.describe()["store"]),
            database=adapter,
        )
    finally:
        adapter.disconnect()


def full_stack() -> Sequence[Layer]:
    """All layers; their own places are in memory."""
    return [
        Cache(),
        SizeTier(lasting(), 100),
        Compression(threshold=8),
        Encryption(Keys({"a": os.urandom(32)}, "a")),
        Fallback(lasting()),
        Mirrors({"copy": lasting()}, lasting()),
    ]


def lasting(backend: StoreBackend | None = None) -> Store:
    """A store that is as durable as the test."""
    made = backend or MemoryEntries()
    made.capabilities = replace(made.capabilities, durable=True)
    return Store(made, "journal", ResilienceSettings(retry_count=0, circuit_breaker_threshold=0))


def _stacked(maker: Maker) -> Maker:
    @contextmanager
    def stacked(request: pytest.FixtureRequest) -> Iterator[Place]:
        with maker(request) as place:
            yield replace(place, layers=full_stack, recipe=None)

    return stacked


def _through_faults(maker: Maker) -> Maker:
    @contextmanager
    def flaky(request: pytest.FixtureRequest) -> Iterator[Place]:
        with maker(request) as place:
            if place.database is None:
                yield replace(place, make=lambda folder: Flaky(place.make(folder)), recipe=None)
                return
            # The database tries again itself.
            with _table(FaultyAdapter(place.database, faults=Faults(refuse=0.02, error_before=0.02))) as faulty:
                yield replace(faulty, recipe=None)

    return flaky


_MAKERS: Final = (
    *(memory, file, redis, s3, cosmos, qdrant, memory_table, sqlite, documents),
    *(postgresql, supabase_http, convex),
)
_ALL: Final = os.environ.get("STORAGE_STACKS") == "all"
_STACKED: Final = _MAKERS if _ALL else (memory, sqlite)
_FLAKY: Final = _MAKERS if _ALL else (memory,)
PLACES: Final[dict[str, Maker]] = {
    **{maker.__name__: maker for maker in _MAKERS},
    **{f"{maker.__name__}_stacked": _stacked(maker) for maker in _STACKED},
    **{f"{maker.__name__}_flaky": _through_faults(maker) for maker in _FLAKY},
}
"""Also through the full stack of layers, and through faults: some of them, or all with ``STORAGE_STACKS=all``."""
