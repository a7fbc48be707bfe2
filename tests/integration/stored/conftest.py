"""Tables whose rows the database makes others of: by its defaults, its triggers and its rules."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.columns import record_columns
from database.columns import text
from database.core.tables.schema import Schema
from database.schema.migrations.capture import install as capture
from database.schema.migrations.supabase import functions
from tests.contract.backends import supabase_database
from tests.servers.available import available
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi

metadata = sa.MetaData()

orders = sa.Table(
    "orders",
    metadata,
    *record_columns(),
    sa.Column("name", text(), nullable=False),
    sa.Column("note", text()),
    sa.Column("number", sa.BigInteger, unique=True),
    sa.Column("code", text(), server_default=sa.text("upper('ab')")),
)

plain = sa.Table("plain", metadata, *record_columns(), sa.Column("name", text(), nullable=False))

SCHEMA = Schema.of(metadata)

_ADDED = """
select format('drop trigger %I on %s', tgname, tgrelid::regclass) from pg_trigger
where not tgisinternal and tgname !~ 'isthmus_'
union all
select format('drop rule %I on %s', rulename, tablename) from pg_rules where schemaname = 'public'"""
"""What gets rid of the triggers and the rules that a test has added."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A database with these tables.

    :ivar execute: runs statements of another program.
    """

    name: str
    adapter: DatabaseAdapter
    execute: Callable[[str], Any]

    def another(self) -> DatabaseAdapter:
        """A new adapter, which has looked at nothing yet."""
        return type(self.adapter)(self.adapter.config, SCHEMA)


def _create(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
        capture.apply(connection, metadata.sorted_tables)
    engine.dispose()


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Stored]:
    """A SQLite file."""
    path = str(tmp_path / "stored.db")
    _create(f"sqlite:///{path}")
    adapter = SQLiteAdapter({"path": path, "retry_count": 0}, SCHEMA)
    file = apsw.Connection(path)
    yield Stored("sqlite", adapter, lambda statement: file.execute(statement).fetchall())
    adapter.disconnect()
    file.close()


@pytest.fixture
def on_postgres(postgres_database: PostgresDatabase) -> Iterator[Stored]:
    """A PostgreSQL database."""
    _create(postgres_database.sqlalchemy_url)
    adapter = PostgresAdapter({**asdict(postgres_database), "retry_count": 0}, SCHEMA)
    with psycopg.connect(postgres_database.dsn, autocommit=True) as connection:
        yield Stored("postgres", adapter, lambda statement: connection.execute(statement.encode()))
        adapter.disconnect()


@pytest.fixture(scope="module")
def project(postgres_server: PostgresServer) -> Iterator[SupabaseApi]:
    """The HTTP interface of a Supabase project."""
    database = supabase_database(postgres_server)
    _create(database.sqlalchemy_url)
    database.execute(functions.script())
    with available(SupabaseApi, database) as project:
        yield project
    postgres_server.drop_database(database)


@pytest.fixture
def on_supabase(project: SupabaseApi) -> Iterator[Stored]:
    """A Supabase project over HTTP."""
    adapter = SupabaseAdapter({"url": project.url, "key": project.service_key, "retry_count": 0}, SCHEMA)
    with psycopg.connect(project.database.dsn, autocommit=True) as connection:
        yield Stored("supabase", adapter, lambda statement: connection.execute(statement.encode()))
        connection.execute("truncate plain, orders")
        for (drop,) in connection.execute(_ADDED).fetchall():
            connection.execute(drop)
    adapter.disconnect()


@pytest.fixture(params=["on_sqlite", "on_postgres", "on_supabase"])
def stored(request: pytest.FixtureRequest) -> Stored:
    """Each of the above."""
    found: Stored = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def memory() -> Iterator[MemoryAdapter]:
    """The same tables in memory."""
    adapter = MemoryAdapter({}, SCHEMA)
    yield adapter
    adapter.disconnect()
