"""``flask db stamp`` and ``flask db downgrade``, and what stands in the way of a migration."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from cli.db import db_commands
from database.adapter.base import DatabaseAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.backends.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from database.extension import Isthmus
from database.schema.migrations import own_schema
from database.schema.migrations import runner
from database.schema.migrations.failures import MigrationFailed
from database.schema.migrations.failures import TableInTheWay
from database.schema.migrations.history import UnknownRevision
from database.schema.sqlalchemy_engine import connected
from tests.integration.migrations.revisions import APPLICATION
from tests.integration.migrations.revisions import NEWEST
from tests.integration.migrations.revisions import OWN
from tests.integration.migrations.revisions import REVISIONS


@pytest.fixture(params=["sqlite", "postgres"])
def adapter(request: pytest.FixtureRequest) -> DatabaseAdapter:
    """A file, and a server; what is different with Supabase's roles has tests of its own."""
    adapter: DatabaseAdapter = request.getfixturevalue(request.param)
    return adapter


def command(adapter: DatabaseAdapter, *arguments: str) -> tuple[int, str]:
    app = Flask(__name__)
    Isthmus.of(app)[ConnectionManager] = ConnectionManager(adapters={"it": adapter})
    app.cli.add_command(db_commands)
    done = app.test_cli_runner().invoke(args=["db", *arguments])
    return done.exit_code, done.output


def as_owner(adapter: DatabaseAdapter, statement: str) -> None:
    with connected(adapter, writes=True) as connection:
        own_schema.widen(connection)
        connection.exec_driver_sql(statement)


def tables(adapter: DatabaseAdapter) -> set[str]:
    with connected(adapter, writes=False) as connection:
        return set(sa.inspect(connection).get_table_names())


@pytest.mark.parametrize("adapter", ["sqlite", "supabase"], indirect=True)
def test_a_downgrade_undoes_the_last_migration_and_upgrades_again(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    adapter.table("molecules").insert({"name": "kept"}).execute()
    assert runner.downgrade(adapter) == APPLICATION[1:]
    assert runner.pending(adapter) == APPLICATION[1:]
    assert "notes" not in tables(adapter)
    assert runner.downgrade(adapter, "0003") == OWN[3:][::-1]
    assert runner.current(adapter) == ["0003", APPLICATION[0]]
    later = ("notes", "isthmus_sync_", "isthmus_entries", "index ix_isthmus")
    assert [line for line in runner.check(adapter) if not any(name in line for name in later)] == []
    adapter.table("molecules").insert({"name": "captured"}).execute()
    assert runner.downgrade(adapter, "0001") == ["0003", "0002"]
    assert runner.upgrade(adapter) == [*OWN[1:], *APPLICATION[1:]]
    assert runner.check(adapter) == []
    assert [row["name"] for row in adapter.table("molecules").order("name").execute().rows] == ["captured", "kept"]


def test_the_commands_say_what_they_did(adapter: DatabaseAdapter) -> None:
    name = adapter.name
    command(adapter, "upgrade")
    assert command(adapter, "downgrade") == (0, f"{name}: undid laboratory2; now at {OWN[-1]}, laboratory1\n")
    assert command(adapter, "downgrade", "0003")[0] == 0
    assert command(adapter, "downgrade", "-1") == (0, f"{name}: undid laboratory1; now at 0003\n")
    assert command(adapter, "downgrade", "-1") == (0, f"{name}: undid 0003; now at 0002\n")
    assert command(adapter, "downgrade", "base") == (0, f"{name}: undid 0002, 0001; now at no revision\n")
    assert command(adapter, "downgrade") == (0, f"{name}: nothing to undo; now at no revision\n")
    assert command(adapter, "upgrade", "0002") == (0, f"{name}: applied 0001, 0002\n")
    hint = "ran no migration. Run `flask db upgrade` for access rules and triggers"
    assert command(adapter, "stamp", "0001") == (0, f"{name}: recorded 0001 instead of 0002; {hint}\n")
    newest = ", ".join(NEWEST)
    assert command(adapter, "stamp", "head") == (0, f"{name}: recorded {newest} instead of 0001; {hint}\n")
    assert "notes" not in tables(adapter)


@pytest.mark.parametrize("arguments", [("stamp", "9999"), ("downgrade", "9999"), ("upgrade", "9999")])
def test_an_unknown_revision_is_refused(adapter: DatabaseAdapter, arguments: tuple[str, str]) -> None:
    command(adapter, "upgrade")
    code, output = command(adapter, *arguments)
    assert (code, f"revision '9999' does not exist; revisions are {', '.join(REVISIONS)}" in output) == (1, True), (
        output
    )
    assert runner.current(adapter) == NEWEST


def test_a_revision_that_the_database_does_not_have_is_no_way_back(sqlite: SQLiteAdapter) -> None:
    runner.upgrade(sqlite, "0002")
    with pytest.raises(UnknownRevision, match="does not have revision '0004'; it has 0002"):
        runner.downgrade(sqlite, "0004")


def test_a_stamp_is_the_way_out_of_a_revision_that_is_not_known(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    as_owner(adapter, f"update isthmus_version set version_num = '9999' where version_num = '{OWN[-1]}'")
    with pytest.raises(UnknownRevision):
        runner.downgrade(adapter)
    assert command(adapter, "stamp", OWN[-1])[0] == 0
    assert runner.current(adapter) == NEWEST
    assert runner.check(adapter) == []


def test_a_stamped_database_of_supabase_shows_its_record_to_nobody(supabase: SupabaseDirectAdapter) -> None:
    runner.stamp(supabase, "0001")
    with connected(supabase, writes=False) as connection:
        grants = connection.exec_driver_sql(
            "select count(*) from information_schema.role_table_grants"
            " where table_name = 'isthmus_version' and grantee in ('anon', 'authenticated')"
        )
        assert grants.scalar() == 0


def test_a_table_in_the_way_is_named_with_what_to_do(adapter: DatabaseAdapter) -> None:
    as_owner(adapter, "create table notes (id varchar(255) primary key)")
    before = tables(adapter)
    with pytest.raises(TableInTheWay) as caught:
        runner.upgrade(adapter)
    for words in (
        "migration laboratory2",
        "table notes",
        "nothing was changed",
        "rename",
        "flask db stamp laboratory2",
    ):
        assert words in str(caught.value)
    assert tables(adapter) == before
    code, output = command(adapter, "upgrade")
    assert (code, "flask db stamp laboratory2" in output) == (1, True)
    for arguments in (("upgrade", "laboratory1"), ("stamp", "laboratory2"), ("upgrade",)):
        assert command(adapter, *arguments)[0] == 0


def test_another_failure_names_its_migration(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter, "0003")
    as_owner(adapter, "drop table isthmus_sync_cursors")
    with pytest.raises(MigrationFailed, match="migration 0003 failed and was rolled back"):
        runner.downgrade(adapter)
    assert runner.current(adapter) == ["0003"]
