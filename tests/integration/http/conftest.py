"""The application on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings
from tests.integration.migrated import migrated_sqlite
from tests.integration.migrated import migrated_supabase
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer


@pytest.fixture
def project_database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """A Supabase project's database with the application's tables."""
    database = migrated_supabase(postgres_server)
    yield database
    postgres_server.drop_database(database)


@pytest.fixture(params=["sqlite", "supabase"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """The application on SQLite, and on a Supabase project's database."""
    settings = {}
    if request.param == "supabase":
        settings = supabase_settings(request.getfixturevalue("project_database"))
    migrated_sqlite(tmp_path / "isthmus.db")
    site = make_site(tmp_path, **settings)
    yield site
    site.close()


@pytest.fixture
def sqlite_site(tmp_path: Path) -> Iterator[Site]:
    """The application on SQLite alone, for what no database has a part in."""
    migrated_sqlite(tmp_path / "isthmus.db")
    site = make_site(tmp_path)
    yield site
    site.close()
