"""``docs/make-it-yours.md`` is followed word for word in a copy of the project, which is used and updated then."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

from tests.contract.backends import supabase_database
from tests.integration.yours.copies import ROOT
from tests.integration.yours.copies import Copy
from tests.integration.yours.copies import blocks
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi

PAGE = ROOT / "docs" / "make-it-yours.md"
SAMPLE = {"molecules", "protocols", "experiments", "notes"}
OWN_TESTS = os.environ.get("FORK_TESTS", "tests/unit/database")
"""The framework's tests that are run in the copy; ``FORK_TESTS=tests`` with ``FORK_SECONDS=7200`` runs all of them."""

LATER = '''\
"""Something that a later version of the framework keeps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import record_columns

revision = "9001"
down_revision = "{0}"


def upgrade() -> None:
    """Make the table."""
    op.create_table("isthmus_later", *record_columns("isthmus_later"), sa.Column("name", sa.String))


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("isthmus_later")
'''
LATER_TABLE = """

later = sa.Table(
    "isthmus_later", metadata, *record_columns(), sa.Column("name", sa.String), info={"internal": True}
)
"""


def test_the_page_is_followed_word_for_word(tmp_path: Path, postgres_server: PostgresServer) -> None:
    copy = Copy(tmp_path / "copy")
    framework = copy.clone(tmp_path / "framework")
    printed = [copy.follow(block) for block in blocks(PAGE) if block.section < 6]
    assert any("as declared" in text for text in printed), printed
    assert any("2 passed" in text for text in printed), printed
    assert "orders: defineTable" in (copy.folder / "database/convex_functions/schema.ts").read_text()
    assert not SAMPLE & tables_of(copy.folder / "instance" / "isthmus.db")
    use_everywhere(copy, tmp_path, postgres_server)
    copy.run(f".venv/bin/pytest -q -p no:cacheprovider {OWN_TESTS}")

    publish_later_version(framework)
    copy.run(f"git remote add isthmus '{framework.folder}'")
    (last,) = [block for block in blocks(PAGE) if block.section == 6]
    updated = copy.follow(last)
    assert "local: applied 9001" in updated
    assert "as declared" in updated
    assert copy.run("git status --porcelain") == ""
    assert {"isthmus_later", "orders"} <= tables_of(copy.folder / "instance" / "isthmus.db")


def use_everywhere(copy: Copy, folder: Path, server: PostgresServer) -> None:
    """CRUD on each kind of database; then none of the SQL ones has a table of the sample."""
    direct, project = server.create_database(), supabase_database(server)
    project.execute(copy.run(".venv/bin/flask db supabase-sql"))
    functions = copy.folder / "database" / "convex_functions"
    with available(ConvexDeployment, functions) as convex, available(SupabaseApi, project) as supabase:
        databases: list[dict[str, object]] = [
            {"DB_ADAPTER_ORDER": "local", "LOCAL_DB_PATH": str(folder / "new.db")},
            {"DB_ADAPTER_ORDER": "supabase", **address(direct)},
            {"DB_ADAPTER_ORDER": "convex", "CONVEX_URL": convex.url, "CONVEX_DEPLOYMENT_KEY": convex.deploy_key},
            {"DB_ADAPTER_ORDER": "supabase", "SUPABASE_URL": supabase.url, "SUPABASE_KEY": supabase.service_key},
        ]
        own = {"INSTANCE_PATH": str(folder)}
        given = json.dumps([own | settings for settings in databases])
        used = copy.run(".venv/bin/python -m tests.integration.yours.using", given)
    assert used.split() == ["local", "supabase", "convex", "supabase"]
    for database in (direct, project):
        with psycopg.connect(database.dsn) as connection:
            found = {name for (name,) in connection.execute("select tablename from pg_tables")}
        assert not SAMPLE & found
        assert "orders" in found
        server.drop_database(database)
    assert not SAMPLE & tables_of(folder / "new.db")


def publish_later_version(framework: Copy) -> None:
    """A migration of the framework's, with its table there and on Convex, and a changed module."""
    versions = framework.folder / "database" / "schema" / "migrations" / "versions"
    last = max(path.name for path in versions.glob("*.py"))[:4]
    framework.write("database/schema/migrations/versions/9001_later.py", LATER.format(last))
    for name, more in (("database/internal_tables.py", LATER_TABLE), ("database/columns.py", "\n# Changed.\n")):
        path = framework.folder / name
        path.write_text(path.read_text() + more)
    framework.run(".venv/bin/flask db convex-schema")
    framework.commit("A later version")


def address(database: PostgresDatabase) -> dict[str, object]:
    names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "database"}
    return {f"SUPABASE_DB_{name}": getattr(database, field) for name, field in names.items()}


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("select name from sqlite_schema where type = 'table'")}
