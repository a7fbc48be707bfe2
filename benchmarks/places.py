"""New databases with the tables of the tests' application, for measurements that need one of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import psycopg
from psycopg import sql

from benchmarks.contenders import one_way
from database import ConvexAdapter
from database import DatabaseAdapter
from database import Insert
from database import PostgresAdapter
from database import SQLiteAdapter
from database import as_application
from database.schema.migrations import runner
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer


class Places:
    """Makes new databases, as copies of one that has the tables, because migrations take seconds."""

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        self._folder = folder
        self._number = 0
        self._file = folder / "tables.db"
        self._database = server.create_database()
        for adapter in (_on_sqlite(self._file, "tables"), _on_postgres(self._database, "tables")):
            runner.upgrade(adapter)
            adapter.disconnect()

    @contextmanager
    def sqlite(self, rows: int = 0) -> Iterator[tuple[SQLiteAdapter, Path]]:
        """A SQLite file with the tables, and so many rows in one of them."""
        self._number += 1
        path = self._folder / f"{self._number}.db"
        copyfile(self._file, path)
        adapter = _on_sqlite(path, f"sqlite {self._number}")
        fill(adapter, rows)
        try:
            yield adapter, path
        finally:
            adapter.disconnect()
            path.unlink()

    @contextmanager
    def postgres(self, rows: int = 0) -> Iterator[tuple[PostgresAdapter, PostgresDatabase]]:
        """A PostgreSQL database in the same way."""
        self._number += 1
        name = sql.Identifier(f"sync_{self._number}")
        there = replace(self._database, database=f"sync_{self._number}")
        template = sql.Identifier(self._database.database)
        self._run(sql.SQL("create database {} template {}").format(name, template))
        adapter = _on_postgres(there, f"postgres {self._number}")
        fill(adapter, rows)
        try:
            yield adapter, there
        finally:
            adapter.disconnect()
            self._run(sql.SQL("drop database {} with (force)").format(name))

    def _run(self, statement: sql.Composed) -> None:
        postgres = replace(self._database, database="postgres")
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute(statement)


def _on_sqlite(path: Path, name: str) -> SQLiteAdapter:
    return SQLiteAdapter({"path": path, "timeout": 0}, name=name)


def _on_postgres(database: PostgresDatabase, name: str) -> PostgresAdapter:
    return PostgresAdapter({**asdict(database), "timeout": 0}, name=name)


@contextmanager
def emptied(deployment: ConvexDeployment) -> Iterator[tuple[ConvexAdapter, ConvexAdapter]]:
    """An adapter to a Convex deployment without rows, also in the place of where it is."""
    deployment.reset()
    adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key, "timeout": 0})
    try:
        yield adapter, adapter
    finally:
        adapter.disconnect()


def fill(adapter: DatabaseAdapter, rows: int) -> None:
    """Insert so many rows in the largest batches."""
    with as_application():
        for start in range(0, rows, 1_000):
            numbers = range(start, min(rows, start + 1_000))
            adapter.run(Insert(one_way.TABLE, [one_way.record(number) for number in numbers], returning=False))
