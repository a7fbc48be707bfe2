"""What adopted tables get only if somebody asks for it."""

from __future__ import annotations

from pathlib import Path
from queue import Queue

import psycopg
import pytest
import sqlalchemy as sa

from database.core.context import as_application
from database.core.errors import SchemaMismatch
from database.sync.manager import SyncManager
from tests.integration.adoption.conftest import MakeProject
from tests.integration.adoption.conftest import Project
from tests.integration.adoption.conftest import fingerprint
from tests.integration.adoption.conftest import load
from tests.integration.adoption.conftest import on_postgres
from tests.integration.http.support import TIMEOUT
from tests.servers.postgres import PostgresDatabase

TABLES = """
create table letters (id text primary key, body text not null default 'it''s', sent timestamptz default now());
create table "Odd Cases" (id uuid primary key, owner uuid, "order" integer);
"""


@pytest.fixture
def letters(supabase: PostgresDatabase, project: MakeProject, tmp_path: Path) -> Project:
    """A project that has adopted two tables, and has an SQLite file beside them."""
    supabase.execute(TABLES)
    settings = {**on_postgres(supabase), "DB_ADAPTER_ORDER": "supabase,local", "LOCAL_DB_PATH": tmp_path / "copy.db"}
    made = project(**settings)
    made.adopt("--read", "owner", "--owner", "id")
    return made


def test_changes_are_logged_only_if_asked(letters: Project, supabase: PostgresDatabase) -> None:
    assert letters.run("upgrade").exit_code == 0
    before = fingerprint(supabase)
    dry = letters.run("install", "changes", "--database", "supabase", "--dry-run")
    assert (dry.exit_code, fingerprint(supabase)) == (0, before)
    assert 'create or replace trigger "isthmus_capture" after insert on "Odd Cases"' in dry.output
    done = letters.run("install", "changes", "letters", "--database", "supabase")
    assert done.output == "supabase: the change log has the changes of letters\n"
    again = letters.run("install", "changes", "letters", "--database", "supabase")
    assert again.output == "supabase: nothing to install\n"
    assert _triggers(supabase) == {"letters"}
    # An upgrade keeps what was asked for, and adds nothing.
    assert letters.run("upgrade").exit_code == 0
    assert letters.run("check").output.startswith("supabase: as declared\n")
    assert _triggers(supabase) == {"letters"}
    removed = letters.run("install", "remove-changes", "--database", "supabase")
    assert removed.output == "supabase: the change log no longer has the changes of letters\n"
    assert _triggers(supabase) == set()


def test_a_subscription_and_sync_need_the_log(letters: Project, supabase: PostgresDatabase) -> None:
    site = letters.site()
    for command in (["upgrade"], ["install", "tables", "--database", "local"]):
        assert site.app.test_cli_runner().invoke(args=["db", *command]).exit_code == 0
    here, there = (site.manager.adapters[name] for name in ("supabase", "local"))
    with as_application():
        query = here.table("letters").select("id")
        with pytest.raises(SchemaMismatch, match="run `flask db install changes letters`"):
            query.subscribe(print)
        sync = SyncManager(here, there, sync_tables=["letters"])
        assert not sync.sync_all()
        assert "flask db install changes letters" in str(sync.get_sync_status()["last_error"])
        done = site.app.test_cli_runner().invoke(args=["db", "install", "changes"])
        assert done.exit_code == 0, done.output
        delivered: Queue[list[str]] = Queue()
        with query.subscribe(lambda rows: delivered.put([row["id"] for row in rows])):
            assert delivered.get(timeout=TIMEOUT) == []
            supabase.execute("insert into letters (id, body) values ('a', 'Dear')")
            assert delivered.get(timeout=TIMEOUT) == ["a"]
        assert sync.sync_all()
        there.table("letters").insert({"id": "b", "body": "Sir"}).execute()
        supabase.execute("update letters set body = 'Hi' where id = 'a'")
        assert sync.sync_all()
        found = [side.table("letters").select("id", "body").order("id").execute().rows for side in (here, there)]
    assert found == [[{"id": "a", "body": "Hi"}, {"id": "b", "body": "Sir"}]] * 2
    site.close()


def test_policies_are_made_only_where_there_are_none(supabase: PostgresDatabase, project: MakeProject) -> None:
    load(supabase, "supabase_auth", "supabase_profiles")
    supabase.execute(TABLES)
    made = project(**on_postgres(supabase))
    made.adopt("--read", "owner", "--owner", "id")
    before = fingerprint(supabase)
    named = made.run("install", "policies", "profiles")
    assert "table 'profiles' has policies of its own, which stay in force; Isthmus adds none" in named.stderr
    dry = made.run("install", "policies", "--dry-run")
    assert '"id"::text = ' in dry.output
    assert fingerprint(supabase) == before
    done = made.run("install", "policies")
    assert done.output == "supabase: made policies for Odd Cases, letters\n"
    with psycopg.connect(supabase.dsn) as connection:
        rows = connection.execute("select tablename, policyname from pg_policies where policyname not like '%profile%'")
        assert set(rows) == {
            (table, f"isthmus_{name}") for table in ("Odd Cases", "letters") for name in ("service", "select")
        }
    assert made.run("upgrade").exit_code == 0
    assert made.run("check").output == "supabase: as declared\n"


def test_an_adopted_table_is_created_in_another_database(letters: Project, tmp_path: Path) -> None:
    dry = letters.run("install", "tables", "--dry-run")
    assert "-- supabase: would run nothing" in dry.output
    assert 'CREATE TABLE "Odd Cases"' in dry.output
    assert not (tmp_path / "copy.db").exists()
    done = letters.run("install", "tables")
    assert done.output == "supabase: nothing to install\nlocal: created Odd Cases, letters\n"
    unknown = letters.run("install", "tables", "nothing")
    assert "'nothing' is not an adopted table; they are Odd Cases, letters" in unknown.stderr


def test_declared_tables_that_exist_are_recorded_and_not_created_again(tmp_path: Path, project: MakeProject) -> None:
    made = project(LOCAL_DB_PATH=tmp_path / "first.db")
    made.declare(
        "import sqlalchemy as sa\nfrom database import columns\n\nmetadata = columns.table_metadata()\n"
        'sa.Table("orders", metadata, *columns.record_columns(), sa.Column("item", columns.text()))\n'
    )
    assert made.run("revision", "Orders").exit_code == 0
    there = tmp_path / "there.db"
    made.settings["LOCAL_DB_PATH"] = there
    engine = sa.create_engine(f"sqlite:///{there}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create table orders (id varchar(255) not null, created_at text not null, updated_at text not null,"
            " version bigint not null, item varchar, constraint pk_orders primary key (id))"
        )
        connection.exec_driver_sql("insert into orders values ('a', '', '', 1, 'Tea')")
    done = made.run("upgrade")
    assert done.exit_code == 0, done.output
    assert made.run("check").output == "local: as declared\n"
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select item from orders").all() == [("Tea",)]
    engine.dispose()


DECLARED = """
import sqlalchemy as sa
from database import columns

metadata = columns.table_metadata()
sa.Table(
    "letters", metadata, sa.Column("id", sa.Text, primary_key=True), sa.Column("body", sa.Text, nullable=False),
    info={"access": columns.PUBLIC_READ},
)
"""


@pytest.mark.parametrize("migrated", [False, True], ids=["without a migration", "with a migration"])
def test_a_declared_table_of_others_keeps_its_rights(
    supabase: PostgresDatabase, project: MakeProject, tmp_path: Path, migrated: bool
) -> None:
    made = project(**on_postgres(supabase))
    made.declare(DECLARED)
    if migrated:
        made.settings = {"LOCAL_DB_PATH": tmp_path / "first.db"}
        assert made.run("revision", "Letters").exit_code == 0
        made.settings = on_postgres(supabase)
    supabase.execute(
        "create table letters (id text, body text not null, constraint pk_letters primary key (id));"
        "alter table letters enable row level security; grant select, insert on letters to anon;"
        "create policy mine on letters for select using (body = 'mine')"
    )
    before = _rights(supabase)
    for _ in range(2):
        done = made.run("upgrade")
        assert done.exit_code == 0, done.output
        assert _rights(supabase) == before
    assert migrated or _triggers(supabase) == set()
    assert made.run("check").output == "supabase: as declared\n"
    if not migrated:
        asked = made.run("install", "changes", "letters")
        assert asked.output == "supabase: the change log has the changes of letters\n"
        assert made.run("upgrade").exit_code == 0
        assert (_triggers(supabase), _rights(supabase)) == ({"letters"}, before)


def _rights(database: PostgresDatabase) -> list[str]:
    """The grants and policies of the table of letters."""
    asked = (
        "select relacl, relrowsecurity, relforcerowsecurity from pg_class where oid = 'letters'::regclass",
        "select * from pg_policy where polrelid = 'letters'::regclass",
    )
    with psycopg.connect(database.dsn) as connection:
        return [repr(row) for text in asked for row in connection.execute(text.encode())]


def _triggers(database: PostgresDatabase) -> set[str]:
    with psycopg.connect(database.dsn) as connection:
        rows = connection.execute("select tgrelid::regclass::text from pg_trigger where tgname like '%isthmus%'")
        return {name.strip('"') for (name,) in rows}
