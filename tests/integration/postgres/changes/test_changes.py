"""The feed of PostgreSQL: transactions that overlap, what other programs write, and who may read it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.changes.feed import ReadChanges
from database.core.context import ANONYMOUS
from database.core.context import NO_CONTEXT
from database.core.errors import InvalidQuery
from database.core.operations import Insert
from database.schema.migrations.capture import install as capture
from tests.contract.backends import supabase_database
from tests.contract.following import in_pages
from tests.contract.following import told
from tests.contract.tables import create_tables
from tests.contract.tables import thing
from tests.integration.postgres.conftest import Make
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

_NOTE = "insert into notes (id) values (%s)"

Connect = Callable[..., psycopg.Connection[Any]]


@pytest.fixture
def adapter(make: Make, database: PostgresDatabase) -> PostgresAdapter:
    """An adapter to the contract's tables."""
    return make(database)


@pytest.fixture
def connect(database: PostgresDatabase) -> Iterator[Connect]:
    """Makes connections past the adapter, each in a transaction from its first statement on."""
    made: list[psycopg.Connection[Any]] = []

    def connection() -> psycopg.Connection[Any]:
        made.append(psycopg.connect(database.dsn))
        return made[-1]

    yield connection
    for one in made:
        one.close()


def _add(connection: psycopg.Connection[Any], *names: str) -> None:
    for name in names:
        connection.execute(_NOTE, [name])


def _ids(adapter: PostgresAdapter, cursor: str, limit: int) -> list[str]:
    return [change.id for change in in_pages(adapter, cursor, limit)[0]]


def test_an_open_transaction_holds_nobody_up_and_is_told_when_it_commits(
    adapter: PostgresAdapter, connect: Connect
) -> None:
    start = adapter.changes()
    idle = connect()
    _add(idle, "early")
    for number in range(5):
        adapter.run(Insert("notes", [{"id": f"n{number}"}]))
    found, cursor = in_pages(adapter, start.cursor)
    assert [change.id for change in found] == ["n0", "n1", "n2", "n3", "n4"]
    assert adapter.changes(cursor).changes == ()
    idle.commit()
    assert told(adapter, cursor) == [("insert", "early")]


def test_a_transaction_that_is_rolled_back_leaves_nothing(adapter: PostgresAdapter, connect: Connect) -> None:
    start = adapter.changes()
    connection = connect()
    _add(connection, "undone")
    between = adapter.changes(start.cursor)
    connection.rollback()
    assert (between.changes, told(adapter, between.cursor), told(adapter, start.cursor)) == ((), [], [])


def test_a_page_is_of_one_window(adapter: PostgresAdapter, connect: Connect) -> None:
    start = adapter.changes()
    early, late = connect(), connect()
    _add(early, "e0", "e1")
    _add(late, "l0", "l1", "l2")
    _add(early, "e2")
    late.commit()
    first = adapter.changes(start.cursor, 2)
    early.commit()
    adapter.run(Insert("notes", [{"id": "after"}]))
    second = adapter.changes(first.cursor, 2)
    assert [[change.id for change in page.changes] for page in (first, second)] == [["l0", "l1"], ["l2"]]
    assert (first.more, second.more) == (True, True)
    assert _ids(adapter, second.cursor, 2) == ["e0", "e1", "e2", "after"]


def test_a_cursor_within_a_window_is_good_for_another_process(
    adapter: PostgresAdapter, make: Make, database: PostgresDatabase
) -> None:
    start = adapter.changes()
    names = [f"{number:04}" for number in range(25)]
    adapter.run(Insert("notes", [{"id": name} for name in names]))
    page = adapter.changes(start.cursor, 10)
    adapter.run(Insert("notes", [{"id": "later"}]))
    rest = _ids(make(database), page.cursor, 10)
    assert [change.id for change in page.changes] + rest == [*names, "later"]


def test_with_nothing_new_the_cursor_stays(adapter: PostgresAdapter) -> None:
    adapter.run(Insert("notes", [{"id": "a"}]))
    # The first to come gives the log its identity, which is a transaction.
    cursors = [adapter.changes(adapter.changes().cursor).cursor]
    for _ in range(5):
        cursors.append(adapter.changes(cursors[-1]).cursor)
    # The server's own processes make a transaction now and then; if reading made one, no two of these were the same.
    assert any(before == after for before, after in pairwise(cursors))


def test_other_programs_are_captured_as_well(adapter: PostgresAdapter, connect: Connect) -> None:
    start = adapter.changes()
    connection = connect()
    _add(connection, "a", "b")
    connection.execute("update notes set body = 'x' where id = 'a'")
    connection.execute("update notes set body = body")
    connection.execute("update notes set id = 'c' where id = 'b'")
    connection.execute("insert into notes (id) values ('a') on conflict (id) do update set body = 'y'")
    connection.execute("insert into notes (id) values ('a') on conflict (id) do nothing")
    connection.execute("delete from notes where id = 'a'")
    connection.execute("copy notes (id) from program 'echo d'")
    connection.commit()
    assert told(adapter, start.cursor) == [
        ("insert", "a"),
        ("insert", "b"),
        ("update", "a"),
        ("delete", "b"),
        ("insert", "c"),
        ("update", "a"),
        ("delete", "a"),
        ("insert", "d"),
    ]


def test_truncating_deletes_every_row(adapter: PostgresAdapter, connect: Connect) -> None:
    adapter.run(Insert("things", [thing("a"), thing("b")]))
    adapter.run(Insert("parts", [{"id": "p", "thing_id": "a"}]))
    start = adapter.changes()
    connection = connect()
    connection.execute("truncate things cascade")
    connection.rollback()
    assert told(adapter, start.cursor) == []
    connection.execute("truncate things cascade")
    connection.commit()
    assert sorted(told(adapter, start.cursor)) == [("delete", "a"), ("delete", "b"), ("delete", "p")]


def test_a_purge_is_a_gap_for_those_who_were_behind(adapter: PostgresAdapter, connect: Connect) -> None:
    first = adapter.changes()
    adapter.run(Insert("notes", [{"id": "a"}, {"id": "b"}]))
    second = adapter.changes(first.cursor, 1)
    third = adapter.changes(second.cursor)
    connection = connect()
    connection.execute("update isthmus_changes.entries set at = at - interval '8 days'")
    connection.commit()
    adapter.run(Insert("notes", [{"id": "c"}]))
    assert capture.purge(adapter, timedelta(days=7)) == 2
    assert [adapter.changes(page.cursor).gap for page in (first, second, third)] == [True, True, False]
    assert told(adapter, third.cursor) == [("insert", "c")]
    assert told(adapter, adapter.changes(first.cursor).cursor) == []


def test_a_purge_spares_what_a_present_cursor_has_not_seen(adapter: PostgresAdapter, connect: Connect) -> None:
    idle = connect()
    _add(idle, "early")
    adapter.run(Insert("notes", [{"id": "seen"}]))
    start = adapter.changes()
    assert capture.purge(adapter, timedelta()) == 0
    idle.commit()
    assert told(adapter, start.cursor) == [("insert", "early")]
    assert capture.purge(adapter, timedelta()) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cursor: cursor.replace("/", "/1:", 1),
        lambda cursor: f"{cursor}/",
        lambda cursor: f"{cursor}/{cursor.split('/')[1]}",
        lambda cursor: f"{cursor}\n",
        lambda cursor: cursor.split("/")[0] + "/5:3:",
        lambda cursor: cursor.split("/")[0] + "/3:5:9",
        lambda cursor: cursor.split("/")[1],
    ],
)
def test_a_cursor_that_was_tampered_with_is_refused(adapter: PostgresAdapter, spoil: Callable[[str], str]) -> None:
    with pytest.raises(InvalidQuery):
        adapter.changes(spoil(adapter.changes().cursor))


# Who may


@pytest.fixture
def supabase(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """A database with Supabase's roles."""
    database = supabase_database(postgres_server)
    create_tables(database.sqlalchemy_url)
    yield database
    postgres_server.drop_database(database)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "statement",
    [
        "select * from isthmus_changes.entries",
        "select * from isthmus_changes.log",
        "insert into isthmus_changes.entries (table_name, kind, record_ids) values ('things', 'delete', '{a}')",
        "select isthmus_changes.read(null, 1)",
        "select isthmus_changes.page(null, 1)",
        "select isthmus_changes.purge('0')",
        "select public.isthmus_changes(null, 1)",
    ],
)
def test_callers_cannot_look_into_the_log(supabase: PostgresDatabase, role: str, statement: str) -> None:
    with psycopg.connect(supabase.dsn) as connection:
        connection.execute(f"set role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_the_service_reads_the_feed_and_nothing_else(supabase: PostgresDatabase) -> None:
    with psycopg.connect(supabase.dsn, autocommit=True) as connection:
        connection.execute("set role service_role")
        assert connection.execute("select public.isthmus_changes(null, 1) ->> 'gap'").fetchone() == ("false",)
        for statement in ("delete from isthmus_changes.entries", "select isthmus_changes.purge('0')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_what_callers_write_is_captured(make: Make, supabase: PostgresDatabase) -> None:
    adapter = make(supabase)
    start = adapter.changes()
    with psycopg.connect(supabase.dsn) as connection:
        connection.execute("set role anon")
        _add(connection, "a")
        connection.execute("delete from notes")
    assert told(adapter, start.cursor) == [("insert", "a"), ("delete", "a")]


def test_the_feed_is_read_as_the_application_whoever_asks(make: Make, supabase: PostgresDatabase) -> None:
    adapter = make(supabase, SupabaseDirectAdapter)
    adapter.changes()
    found = adapter.backend.execute(ReadChanges(None, 1), NO_CONTEXT.acting_as(ANONYMOUS))
    assert found.value == adapter.changes()
