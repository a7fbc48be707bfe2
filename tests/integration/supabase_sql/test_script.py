"""The functions come with an upgrade, or with the script for the SQL editor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import psycopg
import pytest

from app import create_app
from database.backends.postgres import PostgresAdapter
from database.declared import declared_schema
from database.schema.migrations import runner
from database.schema.migrations.sql_script import supabase_script
from tests.contract.backends import supabase_database
from tests.integration.migrations.declaring import declared
from tests.integration.migrations.declaring import declaring
from tests.integration.supabase_sql.support import ALICE
from tests.integration.supabase_sql.support import Project
from tests.integration.supabase_sql.support import insert
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

MOLECULE = {
    "id": "a",
    "created_at": "2024-01-01T00:00:00+00:00",
    "updated_at": "2024-01-01T00:00:00+00:00",
    "version": 1,
    "name": "water",
    "formula": None,
    "properties": None,
}


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """A new project's database."""
    database = supabase_database(postgres_server)
    yield database
    postgres_server.drop_database(database)


@pytest.fixture
def adapter(database: PostgresDatabase) -> Iterator[PostgresAdapter]:
    """A direct connection as the owner."""
    adapter = PostgresAdapter(asdict(database))
    yield adapter
    adapter.disconnect()


def test_an_upgrade_makes_the_functions(database: PostgresDatabase, adapter: PostgresAdapter) -> None:
    runner.upgrade(adapter)
    assert runner.check(adapter) == []
    Project(database).commit(steps=[insert(MOLECULE, "molecules")], identity=ALICE)
    assert Project(database).rows("molecules") == [MOLECULE]


def test_the_script_makes_what_an_upgrade_makes(database: PostgresDatabase, adapter: PostgresAdapter) -> None:
    Project(database).execute(supabase_script(declared_schema()))
    assert runner.check(adapter) == []
    assert runner.pending(adapter) == []
    Project(database).commit(steps=[insert(MOLECULE, "molecules")], identity=ALICE)


def test_the_script_leaves_alone_what_is_there(database: PostgresDatabase, adapter: PostgresAdapter) -> None:
    runner.upgrade(adapter)
    Project(database).commit(steps=[insert(MOLECULE, "molecules")])
    for _ in range(2):
        Project(database).execute(supabase_script(declared_schema()))
    assert Project(database).rows("molecules") == [MOLECULE]
    assert len(Project(database).rows("isthmus.isthmus_commits")) == 1
    assert runner.check(adapter) == []


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("drop schema isthmus cascade", "isthmus_commit: is missing"),
        ("comment on schema isthmus is 'functions 0'", "isthmus_commit: is from another version"),
    ],
)
def test_check_finds_other_functions_and_an_upgrade_mends_them(
    database: PostgresDatabase, adapter: PostgresAdapter, statement: str, line: str
) -> None:
    runner.upgrade(adapter)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(statement.encode())
    assert runner.check(adapter) == [line]
    runner.upgrade(adapter, always=True)
    assert runner.check(adapter) == []
    Project(database).commit(steps=[insert(MOLECULE, "molecules")], identity=ALICE)


def test_the_command_shows_the_script() -> None:
    done = create_app().test_cli_runner().invoke(args=["db", "supabase-sql"])
    assert (done.exit_code, done.output) == (0, supabase_script(declared_schema()))


def test_the_script_leaves_out_a_table_that_no_migration_makes(database: PostgresDatabase) -> None:
    with declaring(declared("Orders")):
        script = supabase_script(declared_schema())
    assert "-- table Orders: no migration creates it; run `flask db revision MESSAGE`\n" in script
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(script.encode())
    adapter = PostgresAdapter(asdict(database))
    assert runner.check(adapter) == []
    adapter.disconnect()
