"""Tables with every kind of unique value and reference, on pairs of databases that are kept equal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy as sa

from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.columns import record_columns
from database.columns import text
from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Select
from database.core.query.filters import Where
from database.core.result import Row
from database.core.tables.schema import Schema
from database.schema.migrations.capture import install as capture
from database.schema.migrations.supabase import functions
from database.sync import SyncManager
from database.sync import chunks
from tests.contract.backends import supabase_database
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.supabase_api import SupabaseApi

metadata = sa.MetaData()

sa.Table(
    "slots",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("title", text()),
    sa.Column("place", sa.BigInteger, unique=True),
    sa.Column("code", text(), unique=True),
    sa.Column("number", sa.SmallInteger, sa.CheckConstraint("number > 0"), unique=True),
    sa.Column("room", text(8)),
    sa.Column("hour", sa.Integer),
    sa.UniqueConstraint("room", "hour"),
)
sa.Table(
    "strict",
    metadata,
    *record_columns(),
    sa.Column("code", text(8), nullable=False, unique=True),
    sa.Column("token", sa.Uuid(as_uuid=False), nullable=False, unique=True),
    sa.Column("level", sa.SmallInteger, sa.CheckConstraint("level > 0"), nullable=False, unique=True),
    sa.Column("price", sa.Numeric(8, 2), nullable=False, unique=True),
    sa.Column("day", sa.Date, nullable=False, unique=True),
    sa.Column("raw", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("owner", text(255), nullable=False),
    sa.Column("role", sa.Enum("admin", "guest", "user", name="strict_role"), nullable=False),
    sa.UniqueConstraint("owner", "role"),
)
sa.Table(
    "handles",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", text(255), nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Index(
        "active_handles", "name", unique=True, postgresql_where=sa.text("active"), sqlite_where=sa.text("active = 1")
    ),
)
sa.Table(
    "teams",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("name", text(255), nullable=False, unique=True),
    sa.Column("captain_id", text(255), sa.ForeignKey("players.id", use_alter=True, name="captain")),
)
sa.Table(
    "players",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("name", text()),
    sa.Column("team_id", text(255), sa.ForeignKey("teams.id"), nullable=False),
    sa.Column("mentor_id", text(255), sa.ForeignKey("players.id")),
)
sa.Table(
    "notes",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("body", text()),
    sa.Column("team_id", text(255), sa.ForeignKey("teams.id", ondelete="CASCADE"), nullable=False),
    sa.Column("under", text(255), sa.ForeignKey("notes.id", ondelete="CASCADE")),
)
sa.Table(
    "badges",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("body", text()),
    sa.Column("team_id", text(255), sa.ForeignKey("teams.id", ondelete="SET NULL")),
)

SCHEMA = Schema.of(metadata, internal_tables.metadata)
TABLES = tuple(table.name for table in SCHEMA if not table.internal)


def make(kind: str, request: pytest.FixtureRequest, folder: Path, closing: ExitStack) -> DatabaseAdapter:
    """An adapter with the tables."""
    if kind == "memory":
        return MemoryAdapter({}, SCHEMA)
    if kind == "convex":
        deployment = available(ConvexDeployment, functions_with(SCHEMA, folder))
        closing.enter_context(deployment)
        return ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key}, SCHEMA)
    if kind == "sqlite":
        _create(f"sqlite:///{folder / 'rings.db'}", internal_tables.metadata)
        return SQLiteAdapter({"path": folder / "rings.db", "synchronous": "normal"}, SCHEMA)
    database = supabase_database(request.getfixturevalue("postgres_server"))
    database.create(internal_tables.metadata)
    _create(database.sqlalchemy_url)
    if kind == "postgres":
        return PostgresAdapter(asdict(database), SCHEMA)
    database.execute(functions.script())
    project = closing.enter_context(available(SupabaseApi, database))
    return SupabaseAdapter({"url": project.url, "key": project.service_key}, SCHEMA)


def _create(url: str, *more: sa.MetaData) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for each in (metadata, *more):
            each.create_all(connection)
        capture.apply(connection, list(metadata.tables.values()))
        connection.execute(sa.text("create unique index undeclared on badges (lower(body))"))
    engine.dispose()


class Pair:
    """Two databases and the sync of them."""

    def __init__(self, first: DatabaseAdapter, second: DatabaseAdapter) -> None:
        self.first, self.second = first, second

    def manager(self) -> SyncManager:
        return SyncManager(self.first, self.second, sync_tables=TABLES)

    def sync(self) -> SyncManager:
        """A cycle after which both sides are equal."""
        manager = self.manager()
        assert manager.sync_all(), manager.get_sync_status()
        assert self.rows(self.first) == self.rows(self.second)
        return manager

    @staticmethod
    def rows(adapter: DatabaseAdapter) -> dict[str, list[Row]]:
        with as_application():
            return {table: adapter.run(Select(table)).rows for table in TABLES}

    def empty(self) -> None:
        """Delete everything."""
        with as_application():
            for adapter in (self.first, self.second):
                adapter.table("teams").update({"captain_id": None}).neq("id", "").execute()
                adapter.table("players").update({"mentor_id": None}).neq("id", "").execute()
                for table in ("notes", "badges", "players", "teams", "handles", "strict", "slots", *_own(adapter)):
                    key = adapter.schema.table(table).key[0]
                    adapter.run(Delete(table, where=Where(key, "is_null", False)))


def _own(adapter: DatabaseAdapter) -> list[str]:
    return [table.name for table in adapter.schema if table.name.startswith("isthmus_sync_")]


LONG = int(os.environ.get("SYNC_RING_LENGTH", "25"))
"""Records in the longest rings and chains."""


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer records at once than the longest rings have."""
    if LONG < chunks.FIRST:
        monkeypatch.setattr(chunks, "FIRST", LONG // 3)
        monkeypatch.setattr(chunks, "LARGEST", LONG // 3)


PAIRS = ["memory-memory", "sqlite-postgres", "postgres-convex", "convex-sqlite"]
if "SYNC_RING_LENGTH" in os.environ:
    # Over HTTP each statement takes its time.
    PAIRS += ["sqlite-memory", "sqlite-supabase"]


@pytest.fixture(params=PAIRS, scope="module")
def _pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as closing:
        sides = []
        for place, kind in enumerate(request.param.split("-")):
            adapter = make(kind, request, tmp_path_factory.mktemp(kind), closing)
            adapter.name = ("first", "second")[place]
            closing.callback(adapter.disconnect)
            sides.append(adapter)
        yield Pair(*sides)


@pytest.fixture
def pair(_pair: Pair) -> Pair:
    """Two databases, empty."""
    _pair.empty()
    return _pair
