"""Databases that were migrated once, and are copied for each test: a copy takes a tenth of a migration."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from database.backends.postgres import SupabaseDirectAdapter
from database.backends.sqlite import SQLiteAdapter
from database.schema.migrations import runner
from tests.contract.backends import supabase_database
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer


def migrated_supabase(server: PostgresServer) -> PostgresDatabase:
    """A new database of a Supabase project with the declared tables."""
    return server.create_database(like=_template(server))


def migrated_sqlite(path: Path) -> None:
    """Make a SQLite file with the declared tables."""
    path.write_bytes(_file())


@cache
def _template(server: PostgresServer) -> PostgresDatabase:
    database = supabase_database(server)
    adapter = SupabaseDirectAdapter(asdict(database))
    runner.upgrade(adapter)
    adapter.disconnect()
    return database


@cache
def _file() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "migrated.db")
        adapter = SQLiteAdapter({"path": path})
        runner.upgrade(adapter)
        # Closing merges the write-ahead log into the file.
        adapter.disconnect()
        return path.read_bytes()
