"""Every call runs as its caller: row level security on a database with Supabase's roles."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from database.backends.postgres import SupabaseDirectAdapter
from database.core.context import ANONYMOUS
from database.core.context import NO_CONTEXT
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import PermissionDenied
from database.core.errors import Unsupported
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.contract.callers import asking
from tests.integration.postgres.memos import ALICE
from tests.integration.postgres.memos import BOB
from tests.integration.postgres.memos import SCHEMA
from tests.integration.postgres.memos import begin_anew
from tests.integration.postgres.memos import change_identities
from tests.integration.postgres.memos import memo
from tests.integration.postgres.memos import memo_database
from tests.integration.postgres.memos import seen
from tests.integration.postgres.memos import who
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> PostgresDatabase:
    """A database where everybody has their own memos, and anyone sees the shared ones."""
    return memo_database(postgres_server)


@pytest.fixture
def adapter(database: PostgresDatabase) -> Iterator[SupabaseDirectAdapter]:
    """An adapter with fewer connections than the tests have threads; Alice and Bob have a memo each."""
    adapter = SupabaseDirectAdapter({**asdict(database), "max_connections": 3, "timeout": 20}, SCHEMA)
    begin_anew(adapter)
    yield adapter
    adapter.disconnect()


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (ALICE, ["a"]),
        (BOB, ["b", "s"]),
        (ANONYMOUS, ["s"]),
        (SERVICE, ["a", "b", "s"]),
        (None, ["a", "b", "s"]),
        (Identity("alice", "anon"), ["s"]),
        (Identity("carol", "authenticated"), []),
        (Identity(None, "authenticated"), []),
        (Identity("alice", "postgres"), ["s"]),
        (Identity("alice' or true --", "authenticated"), []),
        (Identity("alice\\", "authenticated", {"x": "\\'; reset role; --"}), []),
        (Identity("alice", "anon; reset role"), ["s"]),
    ],
    ids=repr,
)
def test_everyone_sees_what_is_theirs(
    adapter: SupabaseDirectAdapter, identity: Identity | None, expected: list[str]
) -> None:
    with asking(identity):
        assert seen(adapter) == expected
        assert adapter.table("memos").select(count=True).execute().count == len(expected)
        assert (adapter.get("memos", "a") is not None) is ("a" in expected)
        with adapter.transaction():
            assert seen(adapter) == expected


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a transaction"])
def test_what_belongs_to_another_is_out_of_reach(adapter: SupabaseDirectAdapter, inside: bool) -> None:
    before = adapter.table("memos").execute().rows
    with acting_as(ALICE):
        for untouched in (
            Update("memos", {"shared": True}, id="b"),
            Update("memos", {"shared": True}, id="b", expected_version=1),
            Update("memos", {"shared": True}, where=Where("owner", "eq", "bob")),
            Delete("memos", id="b"),
            Delete("memos", where=Where("owner", "eq", "bob"), returning=True),
        ):
            if inside:
                with adapter.transaction():
                    result = adapter.run(untouched)
            else:
                result = adapter.run(untouched)
            assert (result.count, result.rows) == (0, [])
        for refused in (
            Insert("memos", [memo("x", BOB)]),
            Insert("memos", [*(memo(f"x{n}", ALICE) for n in range(30)), memo("x", BOB)]),
            Upsert("memos", [memo("b", ALICE)]),
            Update("memos", {"owner": "bob"}, id="a"),
        ):
            with pytest.raises(PermissionDenied):
                if inside:
                    with adapter.transaction():
                        adapter.run(refused)
                else:
                    adapter.run(refused)
    assert adapter.table("memos").execute().rows == before


@pytest.mark.parametrize("identity", [ANONYMOUS, Identity("alice", "anon")], ids=repr)
def test_the_anonymous_change_nothing(adapter: SupabaseDirectAdapter, identity: Identity) -> None:
    before = adapter.table("memos").execute().rows
    with acting_as(identity):
        assert adapter.run(Update("memos", {"shared": False}, id="s")).count == 0
        assert adapter.run(Delete("memos", id="s")).count == 0
        with pytest.raises(PermissionDenied):
            adapter.run(Insert("memos", [memo("x", ALICE)]))
    assert adapter.table("memos").execute().rows == before


def test_owners_do_as_they_like(adapter: SupabaseDirectAdapter) -> None:
    with acting_as(ALICE):
        adapter.run(Insert("memos", [memo(f"n{n:02}", ALICE) for n in range(30)]))
        adapter.run(Upsert("memos", [memo("a", ALICE, shared=True), memo("z", ALICE)]))
        adapter.run(Delete("memos", where=Where("id", "like", "n%")))
        assert seen(adapter) == ["a", "z"]
    with acting_as(ANONYMOUS):
        assert seen(adapter) == ["a", "s"]


def test_the_database_knows_who_asks(adapter: SupabaseDirectAdapter) -> None:
    with acting_as(ALICE):
        assert who(adapter) == ("authenticated", "alice")
        with pytest.raises(Unsupported):
            adapter.execute_query("select auth.jwt() as claims")
    assert who(adapter) == ("service_role", None)
    assert adapter.get_connection_info()["row_security"] == "roles and claims"


def test_the_identity_may_change_inside_a_transaction(adapter: SupabaseDirectAdapter) -> None:
    with acting_as(ALICE), adapter.transaction():
        assert seen(adapter) == ["a"]
        with acting_as(BOB):
            assert seen(adapter) == ["b", "s"]
            adapter.run(Insert("memos", [memo("b2", BOB)]))
        assert seen(adapter) == ["a"]
        with acting_as(SERVICE):
            assert seen(adapter) == ["a", "b", "b2", "s"]
        assert who(adapter) == ("authenticated", "alice")
    assert "b2" in seen(adapter)


def test_the_identity_survives_a_nested_rollback(adapter: SupabaseDirectAdapter) -> None:
    with acting_as(ALICE), adapter.transaction():
        with pytest.raises(ZeroDivisionError), adapter.transaction(), acting_as(BOB):
            adapter.run(Insert("memos", [memo("b2", BOB)]))
            raise ZeroDivisionError
        with acting_as(BOB):
            # The rollback made the connection Alice's again, although Bob was the last to use it.
            assert who(adapter) == ("authenticated", "bob")
        assert who(adapter) == ("authenticated", "alice")
        with acting_as(BOB):
            with pytest.raises(PermissionDenied), adapter.transaction(), acting_as(ALICE):
                adapter.run(Insert("memos", [memo("x", BOB)]))
            assert who(adapter) == ("authenticated", "bob")
            assert seen(adapter) == ["b", "s"]
        with acting_as(BOB), adapter.transaction():
            adapter.run(Insert("memos", [memo("b3", BOB)]))
        assert seen(adapter) == ["a"]
    assert seen(adapter) == ["a", "b", "b3", "s"]


def test_nothing_is_left_on_a_connection(adapter: SupabaseDirectAdapter, database: PostgresDatabase) -> None:
    """Whatever a call did and however it ended, the next one on the same connection begins as nobody."""
    config = {**asdict(database), "max_connections": 1}
    single = SupabaseDirectAdapter(config, SCHEMA)
    with acting_as(ALICE):
        seen(single)
        with pytest.raises(PermissionDenied):
            single.run(Insert("memos", [memo("x", BOB)]))
        with pytest.raises(ZeroDivisionError), single.transaction():
            seen(single)
            raise ZeroDivisionError
    connection = single.backend._pool.acquire(NO_CONTEXT)
    row = connection.execute("select current_user::text, current_setting('request.jwt.claim.sub', true)").fetchone()
    single.backend._pool.release(connection)
    single.disconnect()
    assert row == ("postgres", "")


def test_threads_with_different_identities(adapter: SupabaseDirectAdapter) -> None:
    change_identities(adapter, threads=8, rounds=12)
