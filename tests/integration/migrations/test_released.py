"""A database that was made when Isthmus' own migrations still made the sample application's tables: revision 0005.

The folder ``released`` has what the last of them made: a whole SQLite file with what an application had written into
it, and the statements for PostgreSQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import create_app
from config.settings import load_settings
from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.columns import record_columns
from database.columns import table_metadata
from database.columns import text
from database.core.errors import ConstraintViolated
from database.declared import schema_of
from database.schema.migrations import own_schema
from database.schema.migrations import row_security
from database.schema.migrations import runner
from database.schema.migrations.history import UnknownRevision
from database.schema.migrations.sql_script import supabase_script
from database.schema.sqlalchemy_engine import connected
from tests.integration.http.support import CHEAP
from tests.integration.http.support import Site
from tests.integration.migrations.revisions import APPLICATION
from tests.integration.migrations.revisions import NEWEST
from tests.integration.migrations.revisions import OWN
from tests.integration.own_schema.catalogue import ours_in

RELEASED = Path(__file__).parent / "released"
SAMPLE = {"molecules", "protocols", "experiments", "notes"}
ROWS = """
insert into molecules (id, created_at, updated_at, version, name) values ('water', now(), now(), 1, 'Water');
insert into experiments (id, created_at, updated_at, version, name, molecule_id)
    values ('e1', now(), now(), 1, 'Boiling', 'water');
insert into notes (id, created_at, updated_at, version, owner_id, title) values ('n1', now(), now(), 1, 'me', 'Mine');
insert into isthmus_users (id, created_at, updated_at, version, email, password_hash, role)
    values ('u', now(), now(), 1, 'kept@example.org', 'x', 'user');
"""
BACK_TO = {
    "0004": "drop index ix_isthmus_idempotency_keys_created_at; drop index ix_isthmus_refresh_tokens_used_at;",
    "0003": "drop table notes;",
}


def statements(name: str) -> str:
    return (RELEASED / f"0005.{name}.sql").read_text()


def fill(adapter: DatabaseAdapter, text: str) -> None:
    """Run a script as the owner."""
    with connected(adapter, writes=True) as connection:
        for statement in text.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement.strip(), execution_options={"no_parameters": True})


@pytest.fixture
def released_file(tmp_path: Path) -> Path:
    path = tmp_path / "released.db"
    connection = sqlite3.connect(path)
    connection.executescript(statements("sqlite"))
    connection.close()
    return path


@pytest.fixture
def released_sqlite(released_file: Path) -> Iterator[SQLiteAdapter]:
    adapter = SQLiteAdapter({"path": str(released_file)})
    yield adapter
    adapter.disconnect()


@pytest.fixture
def released_postgres(postgres: PostgresAdapter) -> PostgresAdapter:
    fill(postgres, statements("postgres") + ROWS)
    return postgres


@pytest.fixture
def released_supabase(owner: PostgresAdapter) -> PostgresAdapter:
    fill(owner, statements("postgres") + statements("supabase") + ROWS)
    return owner


@pytest.fixture(params=["sqlite", "postgres", "supabase"])
def released(request: pytest.FixtureRequest) -> DatabaseAdapter:
    adapter: DatabaseAdapter = request.getfixturevalue(f"released_{request.param}")
    return adapter


def run_script(adapter: DatabaseAdapter) -> None:
    """As the SQL editor of a Supabase project does."""
    text = supabase_script(adapter.schema).removeprefix("begin;\n").removesuffix("commit;\n")
    with connected(adapter, writes=True) as connection:
        connection.exec_driver_sql(text, execution_options={"no_parameters": True})


def rows(adapter: DatabaseAdapter) -> dict[str, list[dict[str, Any]]]:
    """All but what sync remembers, whose columns have other names since 0006: its own tests are about that; and but
    the tables that came later.

    As the owner, who finds our own tables where they are by now.
    """
    others = ("isthmus_sync_", "isthmus_entries")
    names = [table.name for table in adapter.schema if not table.name.startswith(others)]
    with connected(adapter, writes=False) as connection:
        own_schema.widen(connection)
        found: dict[str, sa.Select[Any]] = {
            name: sa.select(sa.literal_column("*")).select_from(sa.table(name)).order_by(sa.text("id"))
            for name in names
        }
        return {name: [dict(row) for row in connection.execute(query).mappings()] for name, query in found.items()}


def tables(adapter: DatabaseAdapter) -> set[str]:
    with connected(adapter, writes=False) as connection:
        return set(sa.inspect(connection).get_table_names())


def test_it_gets_both_branches_and_keeps_its_rows(released: DatabaseAdapter) -> None:
    before = rows(released)
    assert before["molecules"]
    assert before["isthmus_users"]
    assert runner.current(released) == ["0005"]
    assert runner.upgrade(released) == OWN[5:]
    assert (runner.current(released), runner.pending(released)) == (NEWEST, [])
    assert runner.check(released) == []
    assert rows(released) == before
    assert not isinstance(released, PostgresAdapter) or ours_in(released, "public") == set()
    assert runner.upgrade(released, always=True) == []
    released.table("molecules").insert({"id": "ice", "name": "Ice"}).execute()
    assert [change.id for change in released.changes(released.changes().cursor).changes] == []


def test_its_accounts_sessions_and_sync_state_go_on(released_file: Path, tmp_path: Path) -> None:
    settings = load_settings(None, ENVIRONMENT="testing", INSTANCE_PATH=tmp_path, LOCAL_DB_PATH=released_file)
    site = Site(create_app(settings, password_hasher=CHEAP))
    headers = site.login("kept")
    assert [row["title"] for row in site.get("/api/notes", headers).json["data"]] == ["Mine"]
    assert site.get("/api/molecules/water").json["properties"] == {"mass": 18.015}
    found = site.dump()
    assert (len(found["isthmus_sync_records"]), len(found["isthmus_sync_conflicts"])) == (1, 1)
    assert found["isthmus_sync_cursors"][0]["cursors"] == {"a": "1"}
    site.close()


@pytest.mark.parametrize("revision", BACK_TO)
def test_one_that_is_older_gets_what_it_lacks(released: DatabaseAdapter, revision: str) -> None:
    for step in [step for step in BACK_TO if step >= revision]:
        fill(released, BACK_TO[step].replace("; ", ";\n"))
    fill(released, f"update isthmus_version set version_num = '{revision}'")
    expected = OWN[OWN.index(revision) + 1 :] + (APPLICATION[1:] if revision < "0004" else [])
    assert runner.upgrade(released) == expected
    assert (runner.current(released), runner.check(released)) == (NEWEST, [])
    assert [row["name"] for row in rows(released)["molecules"]] == ["Water"]


def test_a_downgrade_after_it_takes_the_tables_of_the_application(released: DatabaseAdapter) -> None:
    runner.upgrade(released)
    assert runner.downgrade(released, "0005") == OWN[5:][::-1]
    assert runner.current(released) == ["0005", APPLICATION[-1]]
    assert tables(released) >= SAMPLE
    assert runner.upgrade(released) == OWN[5:]
    assert runner.downgrade(released, "base") == [*OWN, *APPLICATION][::-1]
    assert not SAMPLE & tables(released)
    assert runner.upgrade(released) == [*OWN, *APPLICATION]


def test_it_can_be_undone_before_it_is_upgraded(released: DatabaseAdapter) -> None:
    assert runner.downgrade(released, "base") == [*OWN[:5], *APPLICATION][::-1]
    assert not SAMPLE & tables(released)
    assert runner.upgrade(released) == [*OWN, *APPLICATION]


def test_the_script_does_the_same(released_supabase: PostgresAdapter) -> None:
    before = rows(released_supabase)
    for _ in range(2):
        run_script(released_supabase)
        assert (runner.current(released_supabase), runner.check(released_supabase)) == (NEWEST, [])
        assert rows(released_supabase) == before
        assert ours_in(released_supabase, "public") == set()


# An application that has deleted the sample, with its migrations.


@pytest.fixture
def without_sample(tmp_path: Path) -> Path:
    """The folder of an application's migrations, which has none yet."""
    return tmp_path / "migrations"


def successor(adapter: DatabaseAdapter, migrations: Path) -> DatabaseAdapter:
    metadata = table_metadata()
    account = sa.Column("account_id", text(255), sa.ForeignKey(internal_tables.users.c.id))
    sa.Table("orders", metadata, *record_columns(), account, info={"access": {"read": "user"}})
    return type(adapter)(adapter.config, schema_of(metadata, migrations))


def test_the_tables_stay_and_a_new_database_has_none_of_them(
    released: DatabaseAdapter, sqlite: SQLiteAdapter, without_sample: Path
) -> None:
    former = rows(released)
    adapter = successor(released, without_sample)
    runner.revise(adapter, "Orders")
    (script,) = [script for script in runner.scripts(adapter) if script.revision not in OWN]
    assert script.down_revision is None
    assert runner.upgrade(adapter) == [script.revision]
    assert (runner.current(adapter), runner.check(adapter)) == ([OWN[-1], script.revision], [])
    adapter.table("orders").insert({"id": "a"}).execute()
    with pytest.raises(ConstraintViolated):
        adapter.table("orders").insert({"id": "b", "account_id": "nobody"}).execute()
    assert rows(released) == former
    new = successor(sqlite, without_sample)
    assert runner.upgrade(new) == [*OWN, script.revision]
    assert "orders" in tables(new)
    assert not SAMPLE & tables(new)
    assert runner.check(new) == []
    for one in (adapter, new):
        one.disconnect()


def test_a_database_that_has_served_the_sample_can_go_on_without_it(
    sqlite: SQLiteAdapter, without_sample: Path
) -> None:
    runner.upgrade(sqlite)
    adapter = successor(sqlite, without_sample)
    with pytest.raises(UnknownRevision, match=r"'laboratory2', which does not exist in this version.*flask db stamp"):
        runner.revise(adapter, "Orders")
    assert runner.stamp(adapter, OWN[-1]) == (NEWEST, OWN[-1:])
    runner.revise(adapter, "Orders")
    assert len(runner.upgrade(adapter)) == 1
    assert runner.check(adapter) == []
    adapter.disconnect()


@pytest.mark.parametrize("how", ["upgrade", "script"])
def test_what_nobody_declares_any_more_is_closed(
    released_supabase: PostgresAdapter, without_sample: Path, how: str
) -> None:
    adapter = successor(released_supabase, without_sample)
    fill(adapter, "create table others (id text primary key);\ngrant select on others to anon")
    if how == "upgrade":
        assert runner.upgrade(adapter) == OWN[5:]
    else:
        run_script(adapter)
    with connected(adapter, writes=False) as connection:
        open_to = set(connection.scalars(sa.text(_OPEN)))
    assert open_to == {"others"}
    assert [line for line in runner.check(adapter) if "orders" not in line] == []
    runner.upgrade(adapter, always=True)
    fill(adapter, "alter table notes disable row level security;\ngrant select on molecules to anon")
    found = [line for line in runner.check(adapter) if "orders" not in line]
    assert found == ["molecules: grant of select to anon is not declared", "notes: row level security is not enabled"]
    adapter.disconnect()


_OPEN = """
select relname from pg_class, aclexplode(relacl) where relkind = 'r' and relnamespace = 'public'::regnamespace
    and grantee = any(array['anon', 'authenticated']::regrole[]::oid[]) and relname <> 'orders'
"""


def test_another_programs_table_of_that_name_is_left_alone(owner: PostgresAdapter, without_sample: Path) -> None:
    fill(owner, "create table notes (id text primary key);\ngrant select on notes to anon")
    adapter = successor(owner, without_sample)
    for _ in range(2):
        runner.upgrade(adapter, always=True)
        run_script(adapter)
    with connected(adapter, writes=False) as connection:
        assert set(connection.scalars(sa.text(_OPEN))) == {"notes"}
    assert [line for line in runner.check(adapter) if "orders" not in line] == []
    adapter.disconnect()


def test_roles_that_come_later_find_them_closed(released_postgres: PostgresAdapter, without_sample: Path) -> None:
    adapter = successor(released_postgres, without_sample)
    runner.upgrade(adapter)
    released_postgres.execute_batch([f"create role {role}" for role in row_security.ROLES])
    try:
        fill(adapter, "grant select on notes to anon")
        runner.upgrade(adapter, always=True)
        with connected(adapter, writes=True) as connection:
            assert set(connection.scalars(sa.text(_OPEN))) == set()
    finally:
        for role in row_security.ROLES:
            released_postgres.execute_batch([f"drop owned by {role}", f"drop role {role}"])
        adapter.disconnect()
