"""The places in which the suite keeps evaluations, with a real server where there is one."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.columns import table_metadata
from database.core.operations import Delete
from database.core.query.filters import Where
from database.core.tables.schema import Schema
from database.schema.migrations.supabase import functions
from storage.backends.memory import MemoryEntries
from storage.core.store import Store
from stores.evaluations.manager.cache import EvaluationCache
from stores.evaluations.manager.fallback import EvaluationsWithFallback
from stores.evaluations.manager.journal import EvaluationJournal
from stores.evaluations.places.on_services import EvaluationsInService
from stores.evaluations.places.on_stores import EvaluationsInStore
from stores.evaluations.places.on_tables import EvaluationsInTables
from stores.evaluations.places.records import EvaluationRecords
from stores.evaluations.tables import EVALUATIONS
from stores.evaluations.tables import declare_evaluations
from tests.contract.backends import supabase_database
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.supabase_api import SupabaseApi
from tests.storage.contract import places as stores
from tests.stores.evaluations.services import JsonService

TIMEOUT: Final = 20  # seconds; only a broken backend needs them

METADATA: Final = table_metadata()
declare_evaluations(METADATA)
SCHEMA: Final = Schema.of(METADATA, internal_tables.metadata)


@dataclass(frozen=True, slots=True)
class EvaluationPlace:
    """How the evaluations of one test are kept.

    :ivar make: an empty place, and a store for blobs; the folder is that of the test.
    """

    make: Callable[[Path], tuple[EvaluationRecords, Store]]


Maker = Callable[[pytest.FixtureRequest], AbstractContextManager[EvaluationPlace]]


@contextmanager
def memory_table(_: pytest.FixtureRequest) -> Iterator[EvaluationPlace]:
    with _tables(MemoryAdapter(schema=SCHEMA)) as place:
        yield place


@contextmanager
def sqlite(request: pytest.FixtureRequest) -> Iterator[EvaluationPlace]:
    path = request.getfixturevalue("tmp_path_factory").mktemp("evaluations") / "evaluations.db"
    create_sqlite(path)
    with _tables(SQLiteAdapter({"path": str(path), "synchronous": "normal", "timeout": TIMEOUT}, SCHEMA)) as place:
        yield place


@contextmanager
def postgresql(request: pytest.FixtureRequest) -> Iterator[EvaluationPlace]:
    with request.getfixturevalue("postgres_server").database() as database:
        database.create(METADATA)
        with _tables(PostgresAdapter({**asdict(database), "timeout": TIMEOUT}, SCHEMA)) as place:
            yield place


@contextmanager
def supabase_http(request: pytest.FixtureRequest) -> Iterator[EvaluationPlace]:
    database = supabase_database(request.getfixturevalue("postgres_server"))
    database.create(METADATA)
    database.create(internal_tables.metadata)
    database.execute(functions.script())
    with available(SupabaseApi, database) as project:
        config = {"url": project.url, "key": project.service_key, "timeout": TIMEOUT}
        with _tables(SupabaseAdapter(config, SCHEMA)) as place:
            yield place


@contextmanager
def convex(request: pytest.FixtureRequest) -> Iterator[EvaluationPlace]:
    folder = request.getfixturevalue("tmp_path_factory").mktemp("evaluations")
    with available(ConvexDeployment, functions_with(SCHEMA, folder)) as deployment:
        config = {"url": deployment.url, "key": deployment.deploy_key, "timeout": TIMEOUT}
        with _tables(ConvexAdapter(config, SCHEMA)) as place:
            yield place


def create_sqlite(path: Path) -> None:
    """Create the tables in a file."""
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    METADATA.create_all(engine)
    engine.dispose()


@contextmanager
def _tables(adapter: DatabaseAdapter) -> Iterator[EvaluationPlace]:
    """A database that all tests share; each begins without evaluations."""

    def make(_: Path) -> tuple[EvaluationRecords, Store]:
        adapter.run(Delete(EVALUATIONS, where=Where("id", "is_null", False)))
        return EvaluationsInTables(adapter), Store(MemoryEntries())

    try:
        yield EvaluationPlace(make)
    finally:
        adapter.disconnect()


def _in_store(maker: stores.Maker) -> Maker:
    """The evaluations and their blobs in one store."""

    @contextmanager
    def in_store(request: pytest.FixtureRequest) -> Iterator[EvaluationPlace]:
        with maker(request) as place:

            def make(folder: Path) -> tuple[EvaluationRecords, Store]:
                store = Store(place.make(folder), layers=place.layers())
                return EvaluationsInStore(store), store

            yield EvaluationPlace(make)

    return in_store


@contextmanager
def service(_: pytest.FixtureRequest) -> Iterator[EvaluationPlace]:
    """A place that an application has written itself."""
    yield EvaluationPlace(lambda _: (EvaluationsInService(JsonService()), Store(MemoryEntries())))


@contextmanager
def with_fallback(_: pytest.FixtureRequest) -> Iterator[EvaluationPlace]:
    """A place with a fallback, which it does not need, and a cache."""

    def make(_: Path) -> tuple[EvaluationRecords, Store]:
        primary, fallback, cache = (Store(MemoryEntries()) for _ in range(3))
        journal = EvaluationJournal(fallback)
        records = EvaluationsWithFallback(
            EvaluationsInStore(primary), EvaluationsInStore(fallback), journal, EvaluationCache(cache)
        )
        return records, primary

    yield EvaluationPlace(make)


_ALL: Final = os.environ.get("STORAGE_STACKS") == "all"
_TABLES: Final = (memory_table, sqlite, postgresql, convex, *((supabase_http,) if _ALL else ()))
_OTHERS: Final = (service, with_fallback)
_STORES: Final = (stores.memory, stores.file, stores.redis, stores.s3, *((stores.cosmos,) if _ALL else ()))
PLACES: Final[dict[str, Maker]] = {
    **{maker.__name__: maker for maker in (*_TABLES, *_OTHERS)},
    **{maker.__name__: _in_store(maker) for maker in _STORES},
}
"""With ``STORAGE_STACKS=all`` also those that differ least from others."""
