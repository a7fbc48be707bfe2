"""Real faults between the adapter and a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest

from database.backends.postgres import PostgresAdapter
from database.core.clock import monotonic
from database.core.context import NO_CONTEXT
from database.core.errors import BackendError
from database.core.errors import ConnectFailed
from database.core.errors import CredentialsRefused
from database.core.errors import OutcomeUnknown
from database.core.errors import PoolExhausted
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.operations import Get
from database.core.operations import Insert
from tests.contract.tables import create_tables
from tests.contract.tables import thing
from tests.integration.postgres.conftest import Make
from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import LoseReply
from tests.servers.network.faults import Refuse
from tests.servers.network.faults import Reset
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

PATIENCE = 20.0  # seconds; only a broken adapter needs them


@pytest.fixture
def adapter(make: Make, database: PostgresDatabase, between: FaultProxy) -> PostgresAdapter:
    """An adapter behind the proxy, whose one connection has prepared its insert."""
    adapter = make(database.at(between.port), max_connections=1, timeout=0.5, circuit_breaker_threshold=0)
    adapter.run(Insert("things", [thing("first")]))
    return adapter


def stored(database: PostgresDatabase) -> list[str]:
    """The ids in the table, read past the proxy."""
    with psycopg.connect(database.dsn) as connection:
        return [row[0] for row in connection.execute("select id from things order by id")]


def soon(work: Callable[[], object]) -> None:
    """Repeat ``work`` until the backend is back."""
    deadline = monotonic() + PATIENCE
    while monotonic() < deadline:
        with suppress(BackendError):
            work()
            return
    work()


def test_an_insert_whose_reply_is_lost_is_unknown_and_was_applied(
    adapter: PostgresAdapter, between: FaultProxy, database: PostgresDatabase
) -> None:
    with between.suffering(LoseReply()), pytest.raises(OutcomeUnknown):
        adapter.run(Insert("things", [thing("lost")]))
    assert stored(database) == ["first", "lost"]
    soon(lambda: adapter.run(Insert("things", [thing("next")])))


def test_a_read_whose_reply_is_lost_is_unavailable(adapter: PostgresAdapter, between: FaultProxy) -> None:
    with between.suffering(LoseReply()), pytest.raises(Unavailable):
        adapter.get("things", "first")
    soon(lambda: adapter.get("things", "first"))


def test_a_commit_whose_reply_is_lost_is_unknown_and_was_applied(
    adapter: PostgresAdapter, between: FaultProxy, database: PostgresDatabase
) -> None:
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("lost")]), NO_CONTEXT)
    with between.suffering(LoseReply(b"commit")), pytest.raises(OutcomeUnknown):
        transaction.commit()
    assert transaction.state == "unknown"
    assert stored(database) == ["first", "lost"]


def test_a_batch_whose_commit_is_lost_is_unknown(
    adapter: PostgresAdapter, between: FaultProxy, database: PostgresDatabase
) -> None:
    with between.suffering(LoseReply(b"commit")), pytest.raises(OutcomeUnknown):
        adapter.run(Insert("things", [thing("x"), thing("y")]))
    assert stored(database) == ["first", "x", "y"]


def test_a_batch_that_is_lost_before_its_commit_was_certainly_not_applied(
    adapter: PostgresAdapter, between: FaultProxy, database: PostgresDatabase
) -> None:
    with between.suffering(LoseReply(b"begin")), pytest.raises(Unavailable):
        adapter.run(Insert("things", [thing("x"), thing("y")]))
    assert stored(database) == ["first"]


def test_a_transaction_whose_connection_breaks_is_rolled_back(
    adapter: PostgresAdapter, between: FaultProxy, database: PostgresDatabase
) -> None:
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("lost")]), NO_CONTEXT)
    between.kill_connections()
    with pytest.raises(Unavailable):
        transaction.execute(Get("things", "lost"), NO_CONTEXT)
    with pytest.raises(Unavailable, match="rolled back"):
        transaction.commit()
    assert stored(database) == ["first"]
    soon(lambda: adapter.run(Insert("things", [thing("next")])))


@pytest.mark.parametrize(
    ("operation", "error"), [(Get("things", "first"), TimedOut), (Insert("things", [thing("x")]), OutcomeUnknown)]
)
def test_a_silent_connection_is_cut_at_the_deadline(
    adapter: PostgresAdapter, between: FaultProxy, operation: Get | Insert, error: type[BackendError]
) -> None:
    adapter.run(Get("things", "first"))
    with between.suffering(Blackhole()), ThreadPoolExecutor(1) as thread, pytest.raises(error):
        thread.submit(adapter.run, operation).result(timeout=PATIENCE)
    soon(lambda: adapter.get("things", "first"))


def test_a_silent_commit_is_unknown(adapter: PostgresAdapter, between: FaultProxy) -> None:
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("x")]), NO_CONTEXT)
    with between.suffering(Blackhole()), pytest.raises(OutcomeUnknown):
        transaction.commit()
    assert transaction.state == "unknown"
    soon(lambda: adapter.get("things", "first"))


def test_a_refused_connection_fails_without_waiting_for_the_pool(
    make: Make, database: PostgresDatabase, between: FaultProxy
) -> None:
    adapter = make(database.at(between.port), pool_timeout=PATIENCE * 2, timeout=PATIENCE * 2)
    with between.suffering(Refuse()), ThreadPoolExecutor(1) as thread:
        with pytest.raises(ConnectFailed):
            thread.submit(adapter.get, "things", "a").result(timeout=PATIENCE)
        assert adapter.connect() is False
        assert adapter.test_connection()[0] is False
        with pytest.raises(ConnectFailed):
            adapter.begin_transaction()
    soon(lambda: adapter.get("things", "a"))
    assert adapter.connect() is True


def test_a_wrong_password_is_told_as_such(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database, password="tell-nobody", timeout=PATIENCE * 2, pool_timeout=PATIENCE * 2, retry_count=0)
    with ThreadPoolExecutor(1) as thread, pytest.raises(CredentialsRefused) as failed:
        thread.submit(adapter.get, "things", "a").result(timeout=PATIENCE)
    assert "tell-nobody" not in str(failed.value)


def test_a_port_that_only_accepts_is_a_failed_connection(
    make: Make, database: PostgresDatabase, between: FaultProxy
) -> None:
    adapter = make(database.at(between.port), timeout=PATIENCE * 2, pool_timeout=PATIENCE * 2, retry_count=0)
    with between.suffering(Reset()), ThreadPoolExecutor(1) as thread, pytest.raises(ConnectFailed):
        thread.submit(adapter.get, "things", "a").result(timeout=PATIENCE)
    soon(lambda: adapter.get("things", "a"))


def test_connections_that_died_while_idle_are_not_noticed(
    make: Make, database: PostgresDatabase, between: FaultProxy
) -> None:
    adapter = make(database.at(between.port), min_connections=3, max_connections=3)
    for turn in range(4):
        adapter.run(Insert("things", [thing(f"{turn}")]))
        between.kill_connections()
    with adapter.transaction():
        adapter.run(Insert("things", [thing("x")]))
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where pid <> pg_backend_pid()"
            " and datname = current_database() and application_name = 'isthmus'"
        )
    adapter.run(Insert("things", [thing("y")]))
    assert stored(database) == ["0", "1", "2", "3", "x", "y"]


def test_an_exhausted_pool_says_so(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database, max_connections=1, pool_timeout=0.4)
    with adapter.transaction(), pytest.raises(PoolExhausted):
        adapter.run_alone(Get("things", "a"))
    assert adapter.get("things", "a") is None


def test_a_call_waits_for_a_free_connection(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database, max_connections=1, pool_timeout=PATIENCE)
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("a")]), NO_CONTEXT)
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(adapter.get, "things", "a")
        _wait_until(lambda: adapter.get_connection_info()["requests_waiting"] == 1)
        assert not reading.done()
        transaction.commit()
        assert (reading.result(timeout=PATIENCE) or {})["id"] == "a"


@pytest.mark.parametrize("pooler", [False, True])
def test_a_statement_is_stopped_at_the_deadline(make: Make, database: PostgresDatabase, pooler: bool) -> None:
    adapter = make(database, timeout=0.3, pooler=pooler, max_connections=1)
    for _ in range(2):
        with pytest.raises(TimedOut):
            adapter.execute_query("select pg_sleep(60)")
        # The statement's connection may be closed, and connecting may take longer than a call may.
        soon(lambda: adapter.get("things", "a"))
        with pytest.raises(TimedOut), adapter.transaction():
            adapter.execute_query("select pg_sleep(60)")
        soon(lambda: adapter.get("things", "a"))


def test_the_adapter_outlives_its_server(make: Make, durable_postgres: PostgresServer) -> None:
    database = durable_postgres.create_database()
    create_tables(database.sqlalchemy_url)
    adapter = make(database, circuit_breaker_threshold=0)
    adapter.run(Insert("things", [thing("before")]))
    durable_postgres.restart()
    assert adapter.get("things", "before") is not None
    durable_postgres.kill()
    with pytest.raises(Unavailable):
        adapter.get("things", "before")
    durable_postgres.start()
    soon(lambda: adapter.run(Insert("things", [thing("after")])))
    assert [row["id"] for row in adapter.table("things").execute()] == ["after", "before"]


def _wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        pause.wait(0.01)


def test_a_call_under_way_outlives_its_pool(adapter: PostgresAdapter) -> None:
    """Its connection goes back to the pool that was closed, and not to the one that takes its place."""
    assert adapter.connect()
    taken = adapter.backend._pool.acquire(NO_CONTEXT)
    adapter.disconnect()
    assert adapter.execute_query("select 2 as two") == [{"two": 2}]
    taken.give_back(taken)
    assert taken.closed
    assert adapter.get_connection_info()["pool_size"] == 1
