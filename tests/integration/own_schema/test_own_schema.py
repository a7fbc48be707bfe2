"""Isthmus' own tables are in a schema of their own on PostgreSQL, whatever others make in public."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from database import internal_tables
from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import current_context
from database.core.errors import PermissionDenied
from database.core.operations import Sql
from database.schema.migrations import runner
from database.schema.migrations.revisions.comparison import VERSION_TABLE
from tests.integration.migrations.revisions import NEWEST
from tests.integration.migrations.revisions import OWN as OURS
from tests.integration.migrations.test_going_back import as_owner
from tests.integration.own_schema.catalogue import RPC
from tests.integration.own_schema.catalogue import our_functions_in
from tests.integration.own_schema.catalogue import ours_in
from tests.integration.supabase_sql.support import Project
from tests.integration.supabase_sql.support import RefusedError
from tests.integration.supabase_sql.support import absent
from tests.integration.supabase_sql.support import delete
from tests.integration.supabase_sql.support import insert
from tests.integration.supabase_sql.support import update
from tests.servers.postgres import PostgresDatabase

OWN = {*internal_tables.metadata.tables, VERSION_TABLE}
SIGNED_IN = Identity("7d8f6f9e-0000-4000-8000-000000000001", "authenticated")
USER = {"id": "u", "email": "a@example.org", "password_hash": "x"}


def test_nothing_of_ours_is_in_public(postgres: PostgresAdapter) -> None:
    runner.upgrade(postgres)
    assert (ours_in(postgres, "public"), our_functions_in(postgres, "public")) == (set(), set())
    assert ours_in(postgres, "isthmus_private") >= OWN


def test_of_supabase_public_has_the_functions_that_are_called_over_http(supabase: SupabaseDirectAdapter) -> None:
    runner.upgrade(supabase)
    assert ours_in(supabase, "public") == set()
    assert our_functions_in(supabase, "public") == RPC


@pytest.mark.parametrize("caller", [ANONYMOUS, SIGNED_IN], ids=["anon", "authenticated"])
def test_the_schema_is_the_services(supabase: SupabaseDirectAdapter, caller: Identity) -> None:
    runner.upgrade(supabase)
    supabase.table("isthmus_users").insert(USER).execute()
    asked = Sql(
        "select has_schema_privilege('isthmus_private', 'usage') as usage, (select count(*) from pg_proc"
        " where pronamespace = 'isthmus_private'::regnamespace) as functions"
    )
    rows = {}
    for identity in (caller, SERVICE):
        with acting_as(identity):
            rows[identity.role] = supabase.backend.execute(asked, current_context.get()).rows
    assert rows == {caller.role: [{"usage": False, "functions": 0}], "service_role": [{"usage": True, "functions": 0}]}


def test_tables_of_others_with_our_names_are_left_alone_and_not_used(supabase: SupabaseDirectAdapter) -> None:
    runner.upgrade(supabase)
    supabase.table("isthmus_users").insert(USER).execute()
    as_owner(supabase, "create table public.isthmus_version (version_num text)")
    as_owner(supabase, "insert into public.isthmus_version values ('9999')")
    as_owner(supabase, "create table public.isthmus_users (like isthmus_private.isthmus_users)")
    as_owner(supabase, "grant all on public.isthmus_users, public.isthmus_version to anon")
    for _ in range(2):
        assert runner.current(supabase) == NEWEST
        assert [row["id"] for row in supabase.table("isthmus_users").execute().rows] == ["u"]
        assert (runner.pending(supabase), runner.check(supabase)) == ([], [])
        runner.upgrade(supabase, always=True)
    kept = supabase.execute_query(
        "select relrowsecurity, exists (select from pg_policy where polrelid = pg_class.oid) as has_policy,"
        " has_table_privilege('anon', oid, 'select') as open from pg_class"
        " where relname in ('isthmus_users', 'isthmus_version') and relnamespace = 'public'::regnamespace"
    )
    assert kept == [{"relrowsecurity": False, "has_policy": False, "open": True}] * 2


def test_going_back_moves_the_tables_back_with_their_rows(supabase: SupabaseDirectAdapter) -> None:
    runner.upgrade(supabase)
    supabase.table("isthmus_users").insert(USER).execute()
    assert runner.downgrade(supabase, "0007") == OURS[7:][::-1]
    # The table of stores came later than the schema.
    assert ours_in(supabase, "public") >= OWN - {"isthmus_entries"}
    assert ours_in(supabase, "isthmus_private") == set()
    assert supabase.execute_query("select email from public.isthmus_users") == [{"email": "a@example.org"}]
    with acting_as(SIGNED_IN), pytest.raises(PermissionDenied):
        supabase.backend.execute(Sql("select * from public.isthmus_users"), current_context.get())
    assert runner.current(supabase) == ["0007", NEWEST[1]]
    assert runner.upgrade(supabase) == OURS[7:]
    assert [row["id"] for row in supabase.table("isthmus_users").execute().rows] == ["u"]
    assert runner.check(supabase) == []


@pytest.mark.parametrize("caller", [ANONYMOUS, SIGNED_IN], ids=["anon", "authenticated"])
def test_over_http_the_tables_exist_for_the_service_only(supabase: SupabaseDirectAdapter, caller: Identity) -> None:
    runner.upgrade(supabase)
    config = {field.name: supabase.config[field.name] for field in fields(PostgresDatabase)}
    project = Project(PostgresDatabase(**config))
    stamp = "2024-01-01T00:00:00+00:00"
    user = {**USER, "created_at": stamp, "updated_at": stamp, "version": 1, "role": "user", "name": None}
    asked = {"table": "isthmus_users", "group": ["email"]}
    assert project.commit(steps=[insert(user, "isthmus_users")])["replayed"] is False
    assert project.call("isthmus_groups", asked)["rows"] == [{"email": "a@example.org", "count": 1}]
    attempts: tuple[dict[str, Any], ...] = (
        {"steps": [insert({**user, "id": "v"}, "isthmus_users")]},
        {"steps": [update({**user, "role": "admin"}, "isthmus_users")]},
        {"steps": [delete("u", "isthmus_users")]},
        {"reads": [absent("u", "isthmus_users")]},
    )
    for parts in attempts:
        with pytest.raises(RefusedError) as caught:
            project.commit(identity=caller, **parts)
        assert (caught.value.state, caught.value.detail) == ("42P01", {"table": "isthmus_users"})
    with pytest.raises(RefusedError) as caught:
        project.call("isthmus_groups", asked, caller)
    assert caught.value.state == "42P01"
    assert [row["role"] for row in supabase.table("isthmus_users").execute().rows] == ["user"]
