"""Whose rights a call has on a project."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest

from database.backends.supabase import SupabaseAdapter
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import CredentialsRefused
from database.core.errors import PermissionDenied
from database.core.errors import Unsupported
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.schema.migrations.supabase import functions
from tests.contract.callers import asking
from tests.integration.postgres.memos import SCHEMA
from tests.integration.postgres.memos import memo
from tests.integration.postgres.memos import memo_database
from tests.integration.supabase_http.conftest import PUBLISHABLE
from tests.integration.supabase_http.conftest import SECRET
from tests.integration.supabase_http.conftest import Make
from tests.integration.supabase_http.scripted import ScriptedServer
from tests.servers.available import available
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi

ALICE, BOB = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
OWN_ROWS = """
create policy own on memos to authenticated using (owner = auth.uid()::text) with check (owner = auth.uid()::text);
create policy shared on memos for select to anon using (shared);
"""
NO_POLICIES = "drop policy own on memos; drop policy shared on memos"


@pytest.fixture(scope="module")
def project(postgres_server: PostgresServer) -> Iterator[SupabaseApi]:
    """A project where everybody has their own memos, and anyone sees the shared ones."""
    database = memo_database(postgres_server)
    database.execute(functions.script())
    # The project has a function of its own for who asks.
    database.execute(NO_POLICIES)
    with available(SupabaseApi, database) as api:
        database.execute(OWN_ROWS)
        yield api


@pytest.fixture
def adapter(make: Make, project: SupabaseApi) -> SupabaseAdapter:
    """An adapter that tells callers apart; Alice and Bob have a memo each, and there is a shared one."""
    with psycopg.connect(project.database.dsn, autocommit=True) as connection:
        connection.execute("truncate memos")
    adapter = make(project.url, project.service_key, project.anon_key, SCHEMA, max_concurrency=4)
    adapter.run(
        Insert("memos", [memo("a", Identity(ALICE)), memo("b", Identity(BOB)), memo("s", Identity(BOB), shared=True)])
    )
    return adapter


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can, so that races are seen."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def user(project: SupabaseApi, subject: str, **claims: Any) -> Identity:
    return Identity(subject, "authenticated", token=project.user_token(subject, **claims))


def seen(adapter: SupabaseAdapter, identity: Identity | None) -> list[str]:
    with asking(identity):
        return [row["id"] for row in adapter.run(Select("memos", columns=("id",))).rows]


def test_everyone_sees_what_is_theirs(adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    assert adapter.capabilities.row_security
    assert seen(adapter, user(project, ALICE)) == ["a"]
    assert seen(adapter, user(project, BOB)) == ["b", "s"]
    assert seen(adapter, ANONYMOUS) == ["s"]
    assert seen(adapter, SERVICE) == seen(adapter, None) == ["a", "b", "s"]


def test_everyone_writes_what_is_theirs(adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    with acting_as(user(project, ALICE)):
        assert adapter.run(Update("memos", {"shared": True}, id="a")).count == 1
        assert adapter.run(Update("memos", {"shared": True}, id="b")).count == 0
        with pytest.raises(PermissionDenied):
            adapter.run(Insert("memos", [memo("x", Identity(BOB))]))
    with acting_as(ANONYMOUS), pytest.raises(PermissionDenied):
        adapter.run(Insert("memos", [memo("x", Identity(ALICE))]))
    assert seen(adapter, ANONYMOUS) == ["a", "s"]


@pytest.mark.parametrize("token", ["", "not.a.token", None], ids=repr)
def test_a_user_without_a_token_is_nobody(adapter: SupabaseAdapter, token: str | None) -> None:
    with pytest.raises(PermissionDenied):
        seen(adapter, Identity(ALICE, "authenticated", token=token))


def test_a_token_that_has_expired_says_what_to_do(adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    with pytest.raises(PermissionDenied, match=r"docs/supabase\.md"):
        seen(adapter, user(project, ALICE, exp=1))


def test_the_service_alone(make: Make, adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    alone = make(project.url, project.service_key, schema=SCHEMA)
    assert not alone.capabilities.row_security
    assert seen(alone, None) == ["a", "b", "s"]
    for identity in (user(project, ALICE), ANONYMOUS):
        # Nobody would tell the callers apart, and the table says nothing of them.
        with pytest.raises(PermissionDenied, match="closed to callers"):
            seen(alone, identity)
        with acting_as(identity), pytest.raises(Unsupported, match="rights of the application"):
            alone.call("isthmus_purge", {"keep": "7 days"})
    assert "only the application's access rules" in alone.get_connection_info()["row_security"]


def test_no_secret_key(make: Make, adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    public = make(project.url, project.anon_key, schema=SCHEMA)
    assert public.test_connection() == (True, "Connection successful")
    assert seen(public, user(project, ALICE)) == ["a"]
    for service in (None, SERVICE):
        with pytest.raises(PermissionDenied, match="SUPABASE_KEY"):
            seen(public, service)


def test_a_key_of_another_project(make: Make, project: SupabaseApi) -> None:
    stranger = make(project.url, "sb_secret_of_another_project", schema=SCHEMA)
    with pytest.raises(CredentialsRefused, match="SUPABASE_KEY") as refused:
        seen(stranger, None)
    assert "another_project" not in str(refused.value)


def test_threads_do_not_mix_their_callers(adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    threads, rounds = 16, 6
    expected = {
        user(project, ALICE): ["a"],
        user(project, BOB): ["b", "s"],
        ANONYMOUS: ["s"],
        SERVICE: ["a", "b", "s"],
    }
    callers = list(expected.items())
    ready = Barrier(threads)

    def work(thread: int) -> None:
        ready.wait(timeout=20)
        for turn in range(rounds):
            identity, rows = callers[(thread + turn) % len(callers)]
            assert seen(adapter, identity) == rows

    with ThreadPoolExecutor(threads) as workers:
        for done in [workers.submit(work, number) for number in range(threads)]:
            done.result()


def test_requests_share_no_headers(make: Make, scripted: ScriptedServer, eager_threads: None) -> None:
    """Each request asks for the record with the name of its caller, and carries that caller's token."""
    threads, rounds = 16, 40
    adapter = make(scripted.url, SECRET, PUBLISHABLE)
    shared = adapter.backend.client._rest.headers
    before = dict(shared)
    ready = Barrier(threads)

    def work(thread: int) -> None:
        ready.wait(timeout=20)
        for turn in range(rounds):
            name = f"user{thread}x{turn}"
            with acting_as(Identity(name, "authenticated", token=name)):
                adapter.run(Get("notes", name))

    with ThreadPoolExecutor(threads) as workers:
        for done in [workers.submit(work, number) for number in range(threads)]:
            done.result()
    assert len(scripted.asked) == threads * rounds
    for asked in scripted.asked:
        assert asked.headers["apikey"] == PUBLISHABLE
        name = asked.headers["authorization"].removeprefix("Bearer ")
        assert f"%22{name}%22" in asked.target
    assert dict(shared) == before


def test_nothing_shows_a_key(adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    shown = f"{adapter!r} {adapter.get_connection_info()} {adapter.describe()} {adapter.backend.client.keys!r}"
    assert project.service_key not in shown
    assert project.anon_key not in shown
    assert project.url in shown


# Several callers in one transaction


def in_turn(adapter: SupabaseAdapter, *turns: tuple[Identity, Operation]) -> None:
    """Carry out each operation in its caller's name, all in one transaction."""
    with acting_as(turns[0][0]), adapter.transaction():
        for identity, operation in turns:
            with acting_as(identity):
                adapter.run(operation)


SHARE_B = Update("memos", {"shared": True}, id="b")
TAKE_BOBS = Insert("memos", [memo("x", Identity(BOB))])
LOOK = Select("memos")


def test_a_part_of_a_transaction_has_the_rights_of_its_caller(adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    """Whoever began it, and whatever else is in it."""
    alice = user(project, ALICE)
    in_turn(adapter, (SERVICE, SHARE_B), (alice, Update("memos", {"shared": True}, id="a")))
    assert seen(adapter, ANONYMOUS) == ["a", "b", "s"]
    for first in (SERVICE, alice):
        with pytest.raises(PermissionDenied):
            in_turn(adapter, (first, LOOK), (SERVICE, LOOK), (alice, LOOK), (alice, TAKE_BOBS))
    in_turn(adapter, (alice, LOOK), (SERVICE, TAKE_BOBS))
    assert seen(adapter, SERVICE) == ["a", "b", "s", "x"]


def test_nobody_sees_what_another_has_read(adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    with as_application(), adapter.transaction():
        assert [row["id"] for row in adapter.run(LOOK).rows] == ["a", "b", "s"]
        assert adapter.get("memos", "b") is not None
        with acting_as(user(project, ALICE)):
            assert [row["id"] for row in adapter.run(LOOK).rows] == ["a"]
            assert adapter.get("memos", "b") is None
            assert adapter.run(SHARE_B).count == 0
    assert seen(adapter, ANONYMOUS) == ["s"]


@pytest.mark.parametrize("operation", [LOOK, Get("memos", "b"), SHARE_B], ids=repr)
def test_what_only_the_database_can_judge_is_not_shown(
    adapter: SupabaseAdapter, project: SupabaseApi, operation: Operation
) -> None:
    """The table says nothing of callers, and its policies have not seen the change yet."""
    with pytest.raises(PermissionDenied, match="separate transaction"):
        in_turn(adapter, (SERVICE, SHARE_B), (user(project, ALICE), operation))
    assert seen(adapter, ANONYMOUS) == ["s"]


def test_somebody_without_a_token_has_no_part(adapter: SupabaseAdapter) -> None:
    with pytest.raises(PermissionDenied, match="access token"):
        in_turn(adapter, (SERVICE, SHARE_B), (Identity(ALICE, "authenticated"), TAKE_BOBS))
    assert seen(adapter, SERVICE) == ["a", "b", "s"]


def test_several_callers_take_the_secret_key(make: Make, adapter: SupabaseAdapter, project: SupabaseApi) -> None:
    public = make(project.url, project.anon_key, schema=SCHEMA)
    alice, bob = (user(project, subject) for subject in (ALICE, BOB))
    with pytest.raises(PermissionDenied, match="SUPABASE_KEY"):
        in_turn(public, (alice, Update("memos", {"shared": True}, id="a")), (bob, TAKE_BOBS))
    assert seen(adapter, SERVICE) == ["a", "b", "s"]
    assert seen(adapter, ANONYMOUS) == ["s"]
