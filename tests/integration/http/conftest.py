"""The application on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings
from tests.servers.supabase_api import add_roles


@pytest.fixture(params=["sqlite", "supabase"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """The application on SQLite, and on a Supabase project's database."""
    settings = {}
    if request.param == "supabase":
        database = request.getfixturevalue("postgres_database")
        add_roles(database)
        settings = supabase_settings(database)
    site = make_site(tmp_path, **settings)
    yield site
    site.close()


@pytest.fixture
def sqlite_site(tmp_path: Path) -> Iterator[Site]:
    """The application on SQLite alone, for what no database has a part in."""
    site = make_site(tmp_path)
    yield site
    site.close()
