"""Answers that come after the deadline, and connections that somebody ends: what came is the answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.core.clock import monotonic
from database.core.context import NO_CONTEXT
from database.core.errors import InvalidQuery
from database.core.errors import Outcome
from database.core.errors import OutcomeUnknown
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.core.errors import Unavailable
from database.core.errors import UnreadableRecord
from database.core.operations import Batch
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Sql
from tests.contract.backends import supabase_database
from tests.contract.tables import create_tables
from tests.contract.tables import thing
from tests.integration.postgres.conftest import Make
from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import Fault
from tests.servers.network.faults import LoseReply
from tests.servers.network.link import Link
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

LIMIT = 0.2  # seconds that a call has
PATIENCE = 20.0  # seconds; only a broken adapter needs them


class AnswerAfterCancel(Fault):
    """The reply to a request waits until the client wants to cancel it; that never reaches the server.

    :param request: bytes that the request contains.
    """

    def __init__(self, request: bytes) -> None:
        super().__init__()
        self._request = request
        self._held: set[Link] = set()
        self._cancelled = asyncio.Event()

    async def admit(self, link: Link) -> None:
        self.fired = True
        self._cancelled.set()
        link.reset()

    async def request(self, link: Link, data: bytes) -> None:
        if self._request in data:
            self._held.add(link)
        await super().request(link, data)

    async def reply(self, link: Link, data: bytes) -> None:
        if link in self._held:
            await self._cancelled.wait()
        await super().reply(link, data)

    def lift(self) -> None:
        self._cancelled.set()
        super().lift()


@dataclass(frozen=True, slots=True)
class Case:
    """An operation, the request in it that changes something, and what is there afterwards.

    :ivar commit: the request that commits, where that is not the same.
    """

    operation: Operation
    change: bytes
    stored: list[str]
    commit: bytes = b""


CASES = {
    "one": Case(Insert("things", [thing("x")]), b"INSERT", ["first", "x"]),
    "two": Case(Insert("things", [thing("x"), thing("y")]), b"INSERT", ["first", "x", "y"], b"commit"),
    "batch": Case(Batch((Insert("things", [thing("x")]), Get("things", "x"))), b"INSERT", ["first", "x"], b"commit"),
    "text": Case(Sql("delete from things where id = 'first'"), b"delete", []),
}
DIRECT = [(SupabaseDirectAdapter, "one"), (SupabaseDirectAdapter, "two")]
written = pytest.mark.parametrize(
    ("adapter", "name"), [*((PostgresAdapter, name) for name in CASES), *DIRECT], indirect=["adapter"]
)
unfinished = pytest.mark.parametrize(
    ("adapter", "name"), [(PostgresAdapter, "two"), (PostgresAdapter, "batch"), *DIRECT], indirect=["adapter"]
)


@pytest.fixture(scope="module")
def _project(postgres_server: PostgresServer) -> PostgresDatabase:
    project = supabase_database(postgres_server)
    create_tables(project.sqlalchemy_url)
    return project


@pytest.fixture
def database(_project: PostgresDatabase) -> PostgresDatabase:
    """A Supabase project's database with the contract's tables, and nothing in them."""
    _project.execute("truncate things, notes cascade")
    return _project


@pytest.fixture(params=[PostgresAdapter, SupabaseDirectAdapter], ids=lambda kind: kind.kind)
def adapter(
    request: pytest.FixtureRequest, make: Make, database: PostgresDatabase, between: FaultProxy
) -> PostgresAdapter:
    """An adapter behind the proxy with one connection, and one thing in the table."""
    make(database).run(Insert("things", [thing("first")]))
    adapter = make(database.at(between.port), request.param, max_connections=1, timeout=LIMIT)
    eventually(adapter.connect)
    return adapter


def eventually(condition: Callable[[], Any]) -> None:
    pause = threading.Event()
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        pause.wait(0.01)


def stored(database: PostgresDatabase) -> list[str]:
    """The ids in the table, read past the proxy."""
    with psycopg.connect(database.dsn) as connection:
        return [row[0] for row in connection.execute("select id from things order by id")]


@contextmanager
def late(between: FaultProxy, request: bytes) -> Iterator[None]:
    """The reply to a request comes after the deadline."""
    fault = AnswerAfterCancel(request)
    with between.suffering(fault):
        yield
    assert fault.fired


@written
def test_a_write_that_was_confirmed_late_is_confirmed(
    adapter: PostgresAdapter, between: FaultProxy, database: PostgresDatabase, name: str
) -> None:
    case = CASES[name]
    with late(between, b"commit" if adapter.capabilities.row_security else case.commit or case.change):
        result = adapter.run(case.operation)
    assert (result.count or 0) > 0
    assert stored(database) == case.stored
    eventually(adapter.connect)


@unfinished
def test_what_was_not_yet_committed_is_certainly_not_applied(
    adapter: PostgresAdapter, between: FaultProxy, database: PostgresDatabase, name: str
) -> None:
    with late(between, CASES[name].change), pytest.raises(TimedOut):
        adapter.run(CASES[name].operation)
    assert stored(database) == ["first"]


@pytest.mark.parametrize("operation", [Get("things", "first"), Sql("select id from things")])
def test_a_read_that_was_answered_late_is_answered(
    adapter: PostgresAdapter, between: FaultProxy, operation: Operation
) -> None:
    with late(between, b"things"):
        assert (adapter.run(operation).first or {})["id"] == "first"


def test_a_commit_that_was_confirmed_late_is_confirmed(
    adapter: PostgresAdapter, between: FaultProxy, database: PostgresDatabase
) -> None:
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("x")]), NO_CONTEXT)
    with late(between, b"commit"):
        transaction.commit()
    assert transaction.state == "committed"
    assert stored(database) == ["first", "x"]


def test_a_transaction_whose_connection_had_to_be_closed_is_not_applied(
    make: Make, database: PostgresDatabase, between: FaultProxy
) -> None:
    """A part of it has less time than the whole."""
    make(database).run(Insert("things", [thing("first")]))
    adapter = make(database.at(between.port), max_connections=1, timeout=PATIENCE)
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("x")]), NO_CONTEXT)
    with late(between, b"things"):
        hasty = NO_CONTEXT.until(monotonic() + LIMIT)
        assert (transaction.execute(Get("things", "first"), hasty).first or {})["id"] == "first"
    with pytest.raises(TimedOut):
        transaction.commit()
    assert transaction.state == "rolled_back"
    assert stored(database) == ["first"]


def test_a_commit_that_the_server_answers_with_a_rollback_is_not_told_as_one(
    make: Make, database: PostgresDatabase
) -> None:
    adapter = make(database)
    adapter.connect()
    session = adapter.backend.open_session(NO_CONTEXT)
    session.execute(Insert("things", [thing("x")]), NO_CONTEXT)
    with pytest.raises(InvalidQuery):
        session.execute(Sql("select nothing"), NO_CONTEXT)
    with pytest.raises(TransactionError, match="rolled the transaction back"):
        session.commit(NO_CONTEXT)
    assert stored(database) == []


@pytest.mark.parametrize("setting", ["idle_in_transaction_session_timeout", "transaction_timeout"])
@pytest.mark.parametrize("finish", ["read", "commit"])
def test_a_session_that_the_server_ends_is_a_lost_connection(
    make: Make, database: PostgresDatabase, setting: str, finish: str
) -> None:
    adapter = make(database)
    adapter.connect()
    session = adapter.backend.open_session(NO_CONTEXT)
    session.execute(Sql(f"set local {setting} = '1s'"), NO_CONTEXT)
    session.execute(Insert("things", [thing("x")]), NO_CONTEXT)
    eventually(lambda: not alive(database))
    if finish == "read":
        with pytest.raises(Unavailable):
            session.execute(Get("things", "x"), NO_CONTEXT)
        session.rollback()
    else:
        with pytest.raises(OutcomeUnknown):
            session.commit(NO_CONTEXT)
    assert stored(database) == []


def alive(database: PostgresDatabase) -> bool:
    """Whether the adapter has a session on the server."""
    with psycopg.connect(database.dsn) as connection:
        (found,) = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and application_name = 'isthmus' and xact_start is not null"
        ).fetchone() or (0,)
    return bool(found)


def test_a_transaction_that_was_forgotten_on_a_silent_line_stops_no_other_deadline(
    make: Make, database: PostgresDatabase, between: FaultProxy
) -> None:
    adapter = make(database.at(between.port), max_connections=2, timeout=LIMIT * 2)
    transaction = adapter.begin_transaction()
    adapter.run(Get("things", "any"))
    with between.suffering(Blackhole()), ThreadPoolExecutor(1) as thread:
        eventually(lambda: transaction.state == "expired")
        try:
            with pytest.raises(TimedOut):
                thread.submit(adapter.run, Get("things", "any")).result(timeout=PATIENCE)
        finally:
            between.heal()


def test_a_write_whose_answer_cannot_be_read_is_not_told_as_refused(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database)
    insert = "insert into notes (id) values ('x') returning timestamptz 'infinity' as moment"
    # Rolled back, because its columns might have had one name.
    with pytest.raises(UnreadableRecord, match="moment"):
        adapter.execute_query(insert)
    assert adapter.get("notes", "x") is None
    with pytest.raises(UnreadableRecord, match="moment"):
        adapter.execute_query("select timestamptz 'infinity' as moment")


@pytest.mark.parametrize("text", ["explain analyze {}", "select 1; {}", "with x as ({} returning id) select * from x"])
def test_a_write_that_looks_like_a_read_is_sent_once(
    make: Make, database: PostgresDatabase, between: FaultProxy, text: str
) -> None:
    adapter = make(database.at(between.port), retry_count=3, circuit_breaker_threshold=0)
    adapter.get("notes", "any")
    insert = "insert into notes (id) values (gen_random_uuid()::text)"
    several, undone = text.startswith("select"), text.startswith("with")
    # One that may return two columns of one name runs in a transaction, which ends with the connection.
    expected = Unavailable if undone else OutcomeUnknown
    with between.suffering(LoseReply(b"" if several else b"insert")), pytest.raises(expected) as failed:
        adapter.execute_query(text.format(insert))
    assert (failed.value.outcome is Outcome.NOT_APPLIED) is undone
    with psycopg.connect(database.dsn) as connection:
        assert connection.execute("select count(*) from notes").fetchone() == (0 if several or undone else 1,)
