"""Behind a transaction pooler, where clients share the server's connections and get one for a transaction's time."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import nullcontext
from datetime import UTC
from datetime import datetime
from functools import partial
from threading import Barrier
from typing import Any

import psycopg
import pytest
from psycopg.errors import DuplicatePreparedStatement
from psycopg.errors import QueryCanceled

from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import Conflict
from database.core.errors import ConnectFailed
from database.core.errors import ConstraintViolated
from database.core.errors import PermissionDenied
from database.core.errors import TimedOut
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Ping
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.resilience.repetition import repeated
from tests.contract.tables import create_tables
from tests.contract.tables import thing
from tests.integration.postgres import memos
from tests.integration.postgres.conftest import Make
from tests.integration.postgres.memos import ALICE
from tests.integration.postgres.memos import BOB
from tests.integration.postgres.memos import memo
from tests.integration.serializable.bookings import book
from tests.integration.serializable.bookings import serve_calendar
from tests.integration.serializable.conftest import serving
from tests.integration.transactions.ledger import make_api
from tests.integration.transactions.ledger import managing
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

THREADS = 4
ROUNDS = 6  # psycopg prepares by itself what it runs for the sixth time
PATIENCE = 20.0  # seconds; only a broken adapter needs them
MOMENT = datetime(2024, 2, 29, 23, 30, 0, 1, UTC)
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)

both = pytest.mark.parametrize("kind", [PostgresAdapter, SupabaseDirectAdapter])
"""For what holds with and without the caller's identity on every transaction."""


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> PostgresDatabase:
    """The contract's tables and memos, on a database whose own time zone is not UTC."""
    database = memos.memo_database(postgres_server)
    create_tables(database.sqlalchemy_url)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(f"alter database {database.database} set timezone = 'Asia/Tokyo'")
    return database


@pytest.fixture(autouse=True)
def no_things(database: PostgresDatabase) -> None:
    """Begin without rows."""
    with psycopg.connect(database.dsn) as connection:
        connection.execute("truncate things cascade")


@contextmanager
def every_connection(pooler: PgBouncer) -> Iterator[list[psycopg.Connection[Any]]]:
    """Other clients in transactions, as many as there are connections to the server, so that none is left."""
    with ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(pooler.database.dsn)) for _ in range(pooler.pool_size)]
        for client in clients:
            client.execute("begin")
        yield clients


def settings(pooler: PgBouncer) -> set[tuple[str, str, str]]:
    """Role, time limit and claims that other clients find on the server's connections."""
    query = """select current_user::text, current_setting('statement_timeout'),
                      coalesce(current_setting('request.jwt.claims', true), '')"""
    with every_connection(pooler) as clients:
        return {row for client in clients for row in client.execute(query)}


@both
def test_an_adapter_must_be_told_of_the_pooler(make: Make, pooler: PgBouncer, kind: type[PostgresAdapter]) -> None:
    """What it says to a server when it connects, a pooler refuses."""
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter: options"):
        psycopg.connect(pooler.database.dsn, options="-c timezone=UTC")
    with pytest.raises(ConnectFailed):
        make(pooler.database, kind).get("things", "a")


def test_statements_prepared_by_one_client_are_in_the_way_of_another(pooler: PgBouncer) -> None:
    """The trap that the adapters must avoid."""
    with (
        psycopg.connect(pooler.database.dsn, autocommit=True) as one,
        psycopg.connect(pooler.database.dsn, autocommit=True) as other,
    ):
        one.execute("select 1", prepare=True)
        with pytest.raises(DuplicatePreparedStatement):
            other.execute("select 1", prepare=True)


def test_settings_of_one_client_reach_another(pooler: PgBouncer) -> None:
    """The trap that the adapters must avoid."""
    with psycopg.connect(pooler.database.dsn, autocommit=True) as careless:
        careless.execute("set statement_timeout = '7s'")
    assert ("postgres", "7s", "") in settings(pooler)


@both
def test_all_operations_over_shared_connections(
    make: Make, pooler: PgBouncer, database: PostgresDatabase, kind: type[PostgresAdapter]
) -> None:
    clients = [make(pooler.database, kind, pooler=True, timeout=PATIENCE, max_connections=1) for _ in range(THREADS)]
    ready = Barrier(THREADS)

    def work(number: int) -> None:
        ready.wait(timeout=PATIENCE)
        for turn in range(ROUNDS):
            write_and_read(clients[number], f"{number}-{turn}")

    with ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(work, number) for number in range(THREADS)]:
            done.result()
    assert [client.get_connection_info()["pool_size"] for client in clients] == [1] * THREADS
    with psycopg.connect(database.dsn) as direct:
        shared = direct.execute(
            "select pid from pg_stat_activity where application_name = 'isthmus' and datname = current_database()"
        ).fetchall()
    assert 1 <= len(shared) <= pooler.pool_size < THREADS


def write_and_read(adapter: PostgresAdapter, name: str) -> None:
    """Every operation once, on rows whose ids begin with ``name``."""
    a, b, c = (f"{name}-{letter}" for letter in "abc")
    own = Where("id", "like", f"{name}-%")
    adapter.run(Ping())
    adapter.run(Insert("things", [thing(a)]))
    adapter.run(Insert("things", [thing(b), thing(c)]))
    adapter.run(Insert("things", [thing(f"{name}-{number}") for number in range(30)]))
    adapter.run(Upsert("things", [thing(a, rank=1), thing(f"{name}-d")]))
    assert adapter.run(Update("things", {"rank": 5}, id=b, expected_version=1)).count == 1
    with pytest.raises(Conflict):
        adapter.run(Update("things", {"rank": 6}, id=b, expected_version=1))
    adapter.run(Batch((Update("things", {"rank": 7}, id=c), Delete("things", id=f"{name}-d"))))
    repeated(partial(roll_back_a_part, adapter, name))
    assert (adapter.run(Get("things", a)).first or {})["rank"] == 1
    selected = adapter.run(Select("things", ("id", "rank"), where=own, limit=5, count=True))
    assert selected.count == 34
    ranks = adapter.run(Sql("select id, rank from things where id like ? and rank > 0 order by id", [f"{name}-%"]))
    assert [(row["id"], row["rank"]) for row in ranks.rows] == [(a, 1), (b, 5), (c, 7)]
    assert adapter.run(Delete("things", where=own)).count == 34


def roll_back_a_part(adapter: PostgresAdapter, name: str) -> None:
    """A transaction that keeps one row and gives up another, with its savepoint."""
    with adapter.transaction():
        adapter.run(Insert("things", [thing(f"{name}-kept")]))
        with pytest.raises(ConstraintViolated), adapter.transaction():
            adapter.run(Insert("things", [thing(f"{name}-lost")]))
            adapter.run(Insert("things", [thing(f"{name}-kept")]))
        assert adapter.get("things", f"{name}-lost") is None
        assert adapter.get("things", f"{name}-kept") is not None


@both
def test_a_transaction_keeps_its_connection(make: Make, pooler: PgBouncer, kind: type[PostgresAdapter]) -> None:
    adapter = make(pooler.database, kind, pooler=True, timeout=PATIENCE)
    with pytest.raises(ZeroDivisionError), adapter.transaction():
        roll_back_a_part(adapter, "doomed")
        raise ZeroDivisionError
    with adapter.transaction():
        roll_back_a_part(adapter, "saved")
    assert [row["id"] for row in adapter.table("things").execute()] == ["saved-kept"]


def test_nothing_that_a_transaction_sets_is_seen_by_another_client(make: Make, pooler: PgBouncer) -> None:
    adapter = make(pooler.database, SupabaseDirectAdapter, memos.SCHEMA, pooler=True, timeout=PATIENCE)
    nothing = {("postgres", "0", "")}
    memos.begin_anew(adapter)
    assert settings(pooler) == nothing
    with acting_as(ALICE):
        assert memos.who(adapter) == ("authenticated", "alice")
        assert settings(pooler) == nothing
        with adapter.transaction():
            assert memos.who(adapter) == ("authenticated", "alice")
            with as_application():
                assert adapter.execute_query("show statement_timeout") != [{"statement_timeout": "0"}]
        assert settings(pooler) == nothing
        with pytest.raises(PermissionDenied):
            adapter.run(Insert("memos", [memo("x", BOB)]))
        assert settings(pooler) == nothing
        with pytest.raises(ZeroDivisionError), adapter.transaction(), adapter.transaction(), acting_as(BOB):
            assert memos.who(adapter) == ("authenticated", "bob")
            raise ZeroDivisionError
        assert settings(pooler) == nothing


def test_threads_with_different_identities(make: Make, pooler: PgBouncer) -> None:
    config = {"pooler": True, "timeout": PATIENCE, "max_connections": 3}
    adapter = make(pooler.database, SupabaseDirectAdapter, memos.SCHEMA, **config)
    memos.begin_anew(adapter)
    memos.change_identities(adapter, threads=THREADS, rounds=ROUNDS)


@both
def test_timestamps_stay_utc(make: Make, pooler: PgBouncer, kind: type[PostgresAdapter]) -> None:
    adapter = make(pooler.database, kind, pooler=True, timeout=PATIENCE)
    assert adapter.execute_query("show timezone") == [{"TimeZone": "Asia/Tokyo"}]
    adapter.run(Insert("things", [thing("a", seen=MOMENT), thing("z", seen=LAST_MOMENT)]))
    found = [
        *adapter.table("things").eq("seen", MOMENT).execute(),
        *adapter.execute_query("select seen from things where seen = %s", [MOMENT]),
        *adapter.run(Update("things", {"rank": 1}, where=Where("seen", "gte", MOMENT))).rows,
    ]
    assert [row["seen"] for row in found] == [MOMENT, MOMENT, MOMENT, LAST_MOMENT]
    assert {row["seen"].tzinfo for row in found} == {UTC}


@both
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a transaction"])
def test_a_statement_is_stopped_at_the_deadline(
    make: Make, pooler: PgBouncer, database: PostgresDatabase, kind: type[PostgresAdapter], inside: bool
) -> None:
    adapter = make(pooler.database, kind, pooler=True, timeout=0.5)
    with pytest.raises(TimedOut) as stopped, adapter.transaction() if inside else nullcontext():
        adapter.execute_query("select pg_sleep(60)")
    assert isinstance(stopped.value.__cause__, QueryCanceled)
    with psycopg.connect(database.dsn) as direct:
        running = direct.execute(
            "select query from pg_stat_activity where state = 'active' and datname = current_database()"
        ).fetchall()
    assert ("select pg_sleep(60)",) not in running
    with every_connection(pooler) as clients:
        assert [client.execute("select 1").fetchone() for client in clients] == [(1,)] * pooler.pool_size


def test_waiting_for_the_pooler_ends_at_the_deadline(make: Make, pooler: PgBouncer) -> None:
    adapter = make(pooler.database, pooler=True, timeout=0.5)
    with every_connection(pooler), ThreadPoolExecutor(1) as thread, pytest.raises(TimedOut):
        thread.submit(adapter.get, "things", "a").result(timeout=PATIENCE)
    patient = make(pooler.database, pooler=True, timeout=PATIENCE)
    assert patient.get("things", "a") is None


@both
def test_bookings_at_once_are_as_one_by_one(make: Make, pooler: PgBouncer, kind: type[PostgresAdapter]) -> None:
    manager = managing(make(pooler.database, kind, pooler=True, timeout=PATIENCE))
    app = make_api(manager, REQUEST_TIMEOUT=PATIENCE)
    serve_calendar(app, manager)
    with serving(app) as ask:
        assert book(ask, [*range(12), *range(6)]) == {201: 12, 422: 6}
