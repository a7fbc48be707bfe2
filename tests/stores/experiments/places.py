"""Where the suite keeps records: in tables of each database, and in stores."""

from __future__ import annotations

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

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.core.context import as_application
from database.core.operations import Delete
from database.core.query.filters import Where
from database.declared import schema_of
from database.schema.migrations.supabase import functions
from storage import FileEntries
from storage import MemoryEntries
from storage import Mirrors
from storage import Store
from stores import Experiments
from stores.experiments.kinds import KINDS
from tests.contract.backends import supabase_database
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.supabase_api import SupabaseApi
from tests.storage.contract.places import lasting
from tests.stores.experiments.laboratory.config.tables import metadata

TIMEOUT: Final = 20  # seconds; only a broken backend needs them

SCHEMA: Final = schema_of(metadata)


@dataclass(frozen=True, slots=True)
class Place:
    """Where records are.

    :ivar make: experiments that have none yet; the folder is that of the test, the store is for other keys.
    :ivar database: in whose tables they are; None if they are in a store.
    """

    make: Callable[[Path, bool], Experiments]
    database: DatabaseAdapter | None = None

    @property
    def is_far(self) -> bool:
        """Whether each call takes so long that there should be few of them."""
        return isinstance(self.database, SupabaseAdapter | ConvexAdapter)


Maker = Callable[[pytest.FixtureRequest], AbstractContextManager[Place]]


@contextmanager
def memory(_: pytest.FixtureRequest) -> Iterator[Place]:
    yield Place(lambda _, general: Experiments.on_store(Store(MemoryEntries()), general=general))


@contextmanager
def file(_: pytest.FixtureRequest) -> Iterator[Place]:
    yield Place(lambda folder, general: Experiments.on_store(Store(FileEntries(folder / "records")), general=general))


@contextmanager
def mirror(_: pytest.FixtureRequest) -> Iterator[Place]:
    def make(folder: Path, general: bool) -> Experiments:
        mirrors = Mirrors({"files": Store(FileEntries(folder / "copy"))}, lasting())
        return Experiments.on_store(Store(MemoryEntries(), layers=[mirrors]), general=general)

    yield Place(make)


@contextmanager
def memory_tables(_: pytest.FixtureRequest) -> Iterator[Place]:
    with _tables(MemoryAdapter(schema=SCHEMA)) as place:
        yield place


@contextmanager
def sqlite(request: pytest.FixtureRequest) -> Iterator[Place]:
    path = request.getfixturevalue("tmp_path_factory").mktemp("experiments") / "records.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    metadata.create_all(engine)
    engine.dispose()
    with _tables(SQLiteAdapter({"path": path, "synchronous": "normal", "timeout": TIMEOUT}, SCHEMA)) as place:
        yield place


@contextmanager
def postgresql(request: pytest.FixtureRequest) -> Iterator[Place]:
    with request.getfixturevalue("postgres_server").database() as database:
        database.create(metadata)
        with _tables(PostgresAdapter({**asdict(database), "timeout": TIMEOUT}, SCHEMA)) as place:
            yield place


@contextmanager
def supabase_http(request: pytest.FixtureRequest) -> Iterator[Place]:
    database = supabase_database(request.getfixturevalue("postgres_server"))
    database.create(metadata)
    database.execute(functions.script())
    with available(SupabaseApi, database) as project:
        config = {"url": project.url, "key": project.service_key, "timeout": TIMEOUT}
        with _tables(SupabaseAdapter(config, SCHEMA)) as place:
            yield place


@contextmanager
def convex(request: pytest.FixtureRequest) -> Iterator[Place]:
    folder = request.getfixturevalue("tmp_path_factory").mktemp("experiments")
    with available(ConvexDeployment, functions_with(SCHEMA, folder)) as deployment:
        config = {"url": deployment.url, "key": deployment.deploy_key, "timeout": TIMEOUT}
        with _tables(ConvexAdapter(config, SCHEMA)) as place:
            yield place


@contextmanager
def _tables(adapter: DatabaseAdapter) -> Iterator[Place]:
    def make(_: Path, general: bool) -> Experiments:
        with as_application():
            for kind in KINDS:
                adapter.run(Delete(kind.table, where=Where(kind.id_column, "is_null", False)))
        return Experiments.on_tables(adapter, Store(MemoryEntries()) if general else None)

    try:
        yield Place(make, adapter)
    finally:
        adapter.disconnect()


PLACES: Final[dict[str, Maker]] = {
    maker.__name__: maker for maker in (memory, file, mirror, memory_tables, sqlite, postgresql, supabase_http, convex)
}
