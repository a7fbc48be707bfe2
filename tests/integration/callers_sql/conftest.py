"""A world on each database that runs a caller's SQL text as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import create_app
from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.backends.sqlite import SQLiteAdapter
from tests.contract.backends import supabase_database
from tests.integration.callers_sql.world import SCHEMA
from tests.integration.callers_sql.world import World
from tests.integration.callers_sql.world import metadata
from tests.integration.callers_sql.world import prepare
from tests.integration.callers_sql.world import view
from tests.integration.http.support import Site


@pytest.fixture(scope="package", params=["sqlite", "postgres", "supabase"])
def _world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("callers")
    adapter = _adapter(request, folder)
    settings = load_settings(None, ENVIRONMENT="testing", INSTANCE_PATH=folder, PURGE_INTERVAL=0, DB_AUTO_MIGRATE=False)
    site = Site(create_app(settings, {"database": adapter}))
    site.app.add_url_rule("/ask", view_func=view, methods=["GET", "POST"])
    yield World(adapter, site)
    site.close()


def _adapter(request: pytest.FixtureRequest, folder: Path) -> DatabaseAdapter:
    """One with a single connection, so that what is left on it is seen."""
    if request.param == "sqlite":
        path = folder / "callers.db"
        engine = sa.create_engine(f"sqlite:///{path}")
        metadata.create_all(engine)
        engine.dispose()
        return SQLiteAdapter({"path": str(path), "synchronous": "normal"}, SCHEMA)
    database = supabase_database(request.getfixturevalue("postgres_server"))
    prepare(database, guarded=request.param == "supabase")
    kind = PostgresAdapter if request.param == "postgres" else SupabaseDirectAdapter
    return kind({**asdict(database), "min_connections": 1, "max_connections": 1, "timeout": 20}, SCHEMA)


@pytest.fixture
def world(_world: World) -> World:
    """With its rows as they are at first."""
    _world.begin_anew()
    return _world
