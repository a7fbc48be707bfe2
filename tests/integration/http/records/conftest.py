"""Another program that writes to the application's database."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import apsw
import psycopg
import pytest

from tests.integration.http.support import Site
from tests.servers.postgres import PostgresDatabase

Run = Callable[[str], object]
_PATH = "-c search_path=public,isthmus_private"


@pytest.fixture
def run(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[Run]:
    """Runs SQL as another program does."""
    if "supabase" in request.node.callspec.id:
        database: PostgresDatabase = request.getfixturevalue("project_database")
        with psycopg.connect(database.dsn, autocommit=True, options=_PATH) as connection:
            yield lambda text: connection.execute(text.encode())
    else:
        file = apsw.Connection(str(tmp_path / "isthmus.db"))
        file.set_busy_timeout(10_000)
        yield file.execute
        file.close()
