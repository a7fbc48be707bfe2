"""``docs/adopt.md`` is followed word for word in a copy of the project, on a database of the shape that it names."""

from __future__ import annotations

from pathlib import Path

import psycopg
from uuid_utils import uuid4

from tests.contract.backends import supabase_database
from tests.integration.yours.copies import ROOT
from tests.integration.yours.copies import Copy
from tests.integration.yours.copies import blocks
from tests.servers.postgres import PostgresServer

PAGE = ROOT / "docs" / "adopt.md"
SCHEMAS = ROOT / "tests" / "schemas"
SERVED = """
import app
from api.operations import auto_migration

site = app.create_app()
auto_migration.start(site)
print(site.test_client().get("/api/profiles?select=username").text)
"""


def test_the_page_is_followed_word_for_word(tmp_path: Path, postgres_server: PostgresServer) -> None:
    database = supabase_database(postgres_server)
    for name in ("supabase_auth", "supabase_profiles"):
        database.execute((SCHEMAS / f"{name}.sql").read_text())
    subject = uuid4()
    database.execute(f"insert into auth.users (id) values ('{subject}')")
    database.execute(f"insert into profiles (id, username) values ('{subject}', 'ada')")
    copy = Copy(tmp_path / "copy")
    for block in blocks(ROOT / "docs" / "make-it-yours.md"):
        if block.section == 1:
            copy.follow(block)
    copy.write(
        ".env",
        f"DB_ADAPTER_ORDER=supabase\nSUPABASE_DB_HOST={database.host}\nSUPABASE_DB_PORT={database.port}\n"
        f"SUPABASE_DB_USER={database.user}\nSUPABASE_DB_PASSWORD={database.password}\n"
        f"SUPABASE_DB_NAME={database.database}\n",
    )
    adopting, importing, installing = blocks(PAGE)
    report = copy.follow(adopting)
    assert "profiles: usable\n" in report
    assert "Wrote config/adopted.py" in report
    copy.follow(importing)
    assert copy.run(f".venv/bin/ruff check -q config && .venv/bin/python -c '{SERVED}'").endswith(
        '{"data":[{"username":"ada"}],"next_cursor":null}\n'
    )
    assert _made_by_us(database.dsn) == set()
    installed = copy.follow(installing)
    assert "-- supabase: would run:" in installed
    assert "the change log has the changes of profiles" in installed
    assert "profiles" in _made_by_us(database.dsn)
    postgres_server.drop_database(database)


def _made_by_us(dsn: str) -> set[str]:
    """The tables that have triggers of ours, and the schemas that are ours."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select tgrelid::regclass::text from pg_trigger where tgname like '%isthmus%'"
            " union select nspname from pg_namespace where nspname like 'isthmus%'"
            " union select relname from pg_class where relname like 'isthmus%'"
        )
        return {name for (name,) in rows}
