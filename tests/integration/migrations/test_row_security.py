from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import pytest
import sqlalchemy as sa

from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.columns import text
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import current_context
from database.core.errors import PermissionDenied
from database.core.errors import Unsupported
from database.core.operations import Ping
from database.core.operations import Sql
from database.core.result import Result
from database.schema.migrations import row_security
from database.schema.migrations import runner
from database.schema.sqlalchemy_engine import connected
from tests.contract.callers import asking
from tests.integration.migrated import migrated_supabase
from tests.laboratory.config.tables import metadata
from tests.servers.postgres import PostgresServer

USER = Identity("7d8f6f9e-0000-4000-8000-000000000001", "authenticated", {"app_metadata": {"role": "user"}})
ADMIN = Identity("7d8f6f9e-0000-4000-8000-000000000002", "authenticated", {"app_metadata": {"role": "admin"}})
# A token whose role claim is not where the application puts it, and one that says nothing.
PRETENDER = Identity("7d8f6f9e-0000-4000-8000-000000000003", "authenticated", {"user_metadata": {"role": "admin"}})
CALLERS = (ANONYMOUS, USER, ADMIN, PRETENDER)

PUBLIC = ("molecules", "protocols", "experiments")
INTERNAL = (
    "isthmus_users",
    "isthmus_idempotency_keys",
    "isthmus_sessions",
    "isthmus_refresh_tokens",
    "isthmus_version",
)


@pytest.fixture
def supabase(postgres_server: PostgresServer) -> Iterator[SupabaseDirectAdapter]:
    """A project that is up to date."""
    with _project(postgres_server) as adapter:
        yield adapter


@pytest.fixture(scope="module")
def unchanged(postgres_server: PostgresServer) -> Iterator[SupabaseDirectAdapter]:
    """The same for tests that change nothing."""
    with _project(postgres_server) as adapter:
        yield adapter


@contextmanager
def _project(server: PostgresServer) -> Iterator[SupabaseDirectAdapter]:
    database = migrated_supabase(server)
    adapter = SupabaseDirectAdapter(asdict(database))
    yield adapter
    adapter.disconnect()
    server.drop_database(database)


@pytest.mark.parametrize("table", PUBLIC)
@pytest.mark.parametrize("caller", [*CALLERS, SERVICE], ids=lambda one: f"{one.role} {one.claims}")
def test_anyone_may_read_public_tables(supabase: SupabaseDirectAdapter, table: str, caller: Identity) -> None:
    supabase.table(table).insert({"id": "1", "name": "water"}).execute()
    with acting_as(caller):
        assert [row["name"] for row in supabase.table(table).execute().rows] == ["water"]


def judged_by_server(adapter: SupabaseDirectAdapter, operation: Sql) -> Result:
    """Run past the application's own rules, which refuse such texts before the server sees them."""
    adapter.run(Ping())
    return adapter.backend.execute(operation, current_context.get())


@pytest.mark.parametrize("table", INTERNAL)
@pytest.mark.parametrize("caller", CALLERS, ids=lambda one: f"{one.role} {one.claims}")
@pytest.mark.parametrize(
    "statement",
    [
        "select * from {}",
        "delete from {}",
        "truncate {}",
        "insert into {} default values",
        "lock table {}",
        "create trigger t before insert on {} execute function suppress_redundant_updates_trigger()",
    ],
)
def test_nobody_comes_near_internal_tables(
    unchanged: SupabaseDirectAdapter, table: str, caller: Identity, statement: str
) -> None:
    with acting_as(caller), pytest.raises(PermissionDenied):
        judged_by_server(unchanged, Sql(statement.format(f"isthmus_private.{table}")))


def test_the_application_itself_may_do_everything(supabase: SupabaseDirectAdapter) -> None:
    for identity in (None, SERVICE):
        with asking(identity):
            user = {"id": "1", "email": "a@b.example", "password_hash": "x"}
            assert supabase.table("isthmus_users").insert(user).execute().rows[0]["role"] == "user"
            assert supabase.table("isthmus_users").update({"name": "A"}).eq("id", "1").execute().count == 1
            assert supabase.table("isthmus_users").delete().eq("id", "1").execute().count == 1


def test_the_service_role_needs_no_right_to_bypass(supabase: SupabaseDirectAdapter, owner: PostgresAdapter) -> None:
    owner.execute_query("alter role service_role nobypassrls")
    try:
        supabase.table("molecules").insert({"id": "1", "name": "water"}).execute()
        assert supabase.get("molecules", "1") is not None
    finally:
        owner.execute_query("alter role service_role bypassrls")


@pytest.mark.parametrize("table", PUBLIC)
def test_writing_needs_a_token(supabase: SupabaseDirectAdapter, table: str) -> None:
    with acting_as(ANONYMOUS), pytest.raises(PermissionDenied):
        supabase.table(table).insert({"name": "water"}).execute()
    with acting_as(USER):
        row = supabase.table(table).insert({"name": "water"}).execute().rows[0]
        assert supabase.table(table).update({"name": "ice"}).eq("id", row["id"]).execute().rows[0]["name"] == "ice"
        assert supabase.table(table).upsert({"id": row["id"], "name": "steam"}).execute().rows[0]["version"] == 3
    with acting_as(ANONYMOUS), pytest.raises(PermissionDenied):
        supabase.table(table).update({"name": "mud"}).eq("id", row["id"]).execute()
    with acting_as(ANONYMOUS), pytest.raises(PermissionDenied):
        supabase.table(table).upsert({"id": row["id"], "name": "mud"}).execute()
    assert supabase.get(table, row["id"], ("name",)) == {"name": "steam"}


@pytest.mark.parametrize("table", PUBLIC)
def test_deleting_needs_the_role_admin(supabase: SupabaseDirectAdapter, table: str) -> None:
    supabase.table(table).insert([{"id": "1", "name": "water"}, {"id": "2", "name": "ice"}]).execute()
    with acting_as(ANONYMOUS), pytest.raises(PermissionDenied):
        supabase.table(table).delete().eq("id", "1").execute()
    for caller in (USER, PRETENDER, Identity(USER.subject, "authenticated")):
        with acting_as(caller):
            with pytest.raises(PermissionDenied):
                supabase.table(table).delete().eq("id", "1").execute()
            # To a policy, a row that may not be deleted is not there.
            assert supabase.run(Sql(f"delete from {table}")).count == 0  # a constant
    with acting_as(ADMIN):
        assert [row["id"] for row in supabase.table(table).delete().eq("id", "1").execute().rows] == ["1"]
    assert [row["id"] for row in supabase.table(table).select("id").execute().rows] == ["2"]


def test_an_emptied_claim_is_no_error(supabase: SupabaseDirectAdapter, owner: PostgresAdapter) -> None:
    supabase.table("molecules").insert({"id": "1", "name": "water"}).execute()
    delete = "delete from molecules"
    for setting in ("select set_config('request.jwt.claims', '', true)", "select 1"):
        answers = owner.execute_batch(["set local role authenticated", setting, delete])
        assert answers[-1] == 0


@pytest.mark.parametrize("verb", ["truncate molecules", "alter table molecules add column x text"])
def test_an_admin_of_the_application_is_none_of_the_database(supabase: SupabaseDirectAdapter, verb: str) -> None:
    with acting_as(ADMIN), pytest.raises(PermissionDenied):
        judged_by_server(supabase, Sql(verb))


DRIFTS = {
    "alter table isthmus_private.isthmus_users disable row level security": (
        "isthmus_users: row level security is not enabled"
    ),
    "grant select on isthmus_private.isthmus_users to anon": "isthmus_users: grant of select to anon is not declared",
    "create policy open on isthmus_private.isthmus_users using (true)": "isthmus_users: policy open is not declared",
    "drop policy isthmus_delete on molecules": "molecules: policy isthmus_delete is missing",
    "alter policy isthmus_select on notes using (true)": (
        "notes: policy isthmus_select differs from the declared access rules"
    ),
    "alter policy isthmus_update on notes with check (true)": (
        "notes: policy isthmus_update differs from the declared access rules"
    ),
    "alter policy isthmus_delete on protocols to public": (
        "protocols: policy isthmus_delete differs from the declared access rules"
    ),
    "revoke usage on schema isthmus_private from service_role": "isthmus_private: usage is not granted to",
    "revoke select on molecules from anon": "molecules: grant of select to anon is missing",
    "grant all on isthmus_private.isthmus_version to authenticated": (
        "isthmus_version: grant of delete to authenticated"
    ),
}
"""A change by somebody else, and what the check says of it."""


def test_check_finds_each_drift_and_an_upgrade_mends_it(
    supabase: SupabaseDirectAdapter, owner: PostgresAdapter
) -> None:
    owner.execute_batch(DRIFTS)
    found = runner.check(supabase)
    assert [line for line in DRIFTS.values() if not any(one.startswith(line) for one in found)] == []
    assert runner.upgrade(supabase, always=True) == []
    # A policy of others is theirs.
    assert runner.check(supabase) == ["isthmus_users: policy open is not declared"]


def test_roles_that_come_later_are_served_by_the_next_upgrade(postgres: PostgresAdapter) -> None:
    runner.upgrade(postgres)
    postgres.execute_batch([f"create role {role}" for role in row_security.ROLES])
    try:
        assert "isthmus_users: row level security is not enabled" in runner.check(postgres)
        assert runner.upgrade(postgres, always=True) == []
        assert runner.check(postgres) == []
    finally:
        for role in row_security.ROLES:
            postgres.execute_batch([f"drop owned by {role}", f"drop role {role}"])


def test_without_the_roles_nothing_is_done(postgres: PostgresAdapter) -> None:
    with connected(postgres, writes=True) as connection:
        assert row_security.apply(connection, metadata.sorted_tables) is False
    runner.upgrade(postgres)
    assert postgres.execute_query("select relname from pg_class where relrowsecurity") == []
    assert postgres.execute_query("select * from pg_policies") == []


def test_without_the_roles_the_server_judges_nobody(postgres: PostgresAdapter) -> None:
    runner.upgrade(postgres)
    adapter = SupabaseDirectAdapter(postgres.config)
    with acting_as(USER):
        with pytest.raises(Unsupported, match="as_application"):
            adapter.execute_query("select * from notes")
        adapter.table("notes").insert({"id": "1", "title": "mine"}).execute()
    with acting_as(ADMIN):
        assert adapter.table("notes").execute().rows == []
    adapter.disconnect()


def test_names_are_quoted(supabase: SupabaseDirectAdapter, owner: PostgresAdapter) -> None:
    name = 'odd "table"; --'
    access = {"read": "user", "write": "role:chief-1.b", "delete": "admin"}
    odd = sa.MetaData()
    sa.Table(name, odd, sa.Column("id", text(), primary_key=True), info={"access": access})
    with connected(owner, writes=True) as connection:
        odd.create_all(connection)
        row_security.apply(connection, odd.sorted_tables)
        assert row_security.differences(connection, odd.sorted_tables) == []
    quoted = name.replace('"', '""')
    insert = Sql(f'insert into "{quoted}" values (%s)', ["1"])
    chief = Identity("1", "authenticated", {"app_metadata": {"role": "chief-1.b"}})
    with acting_as(USER), pytest.raises(PermissionDenied):
        judged_by_server(supabase, insert)
    with acting_as(chief):
        assert judged_by_server(supabase, insert).count == 1
    with acting_as(ANONYMOUS), pytest.raises(PermissionDenied):
        judged_by_server(supabase, Sql(f'select * from "{quoted}"'))


def test_a_table_that_declares_nothing_is_closed() -> None:
    silent = sa.Table("silent", sa.MetaData(), sa.Column("id", text(), primary_key=True))
    assert row_security.policies(silent) == []
    opened = sa.Table("opened", sa.MetaData(), info={"internal": True, "access": {"read": "anyone"}})
    assert row_security.policies(opened) == []
