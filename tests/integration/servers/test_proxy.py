from __future__ import annotations

import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait
from contextlib import closing
from contextlib import suppress

import psycopg
import pytest

from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import CutAfter
from tests.servers.network.faults import Fault
from tests.servers.network.faults import Healthy
from tests.servers.network.faults import Latency
from tests.servers.network.faults import LoseReply
from tests.servers.network.faults import Refuse
from tests.servers.network.faults import Reset
from tests.servers.network.ports import free_port
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase

Connection = psycopg.Connection[tuple[object, ...]]
LATE = 0.2  # seconds


@pytest.fixture
def between(proxy: Callable[[int], FaultProxy], postgres_database: PostgresDatabase) -> FaultProxy:
    """A proxy before a database that has an empty table ``t``."""
    with psycopg.connect(postgres_database.dsn) as direct:
        direct.execute("create table t (id int primary key)")
    return proxy(postgres_database.port)


@pytest.fixture
def dsn(between: FaultProxy, postgres_database: PostgresDatabase) -> str:
    """The database's connection string through the proxy."""
    return postgres_database.at(between.port).dsn


@pytest.fixture
def client(dsn: str) -> Iterator[Connection]:
    """A connection through the proxy, established before any fault."""
    # Its own block would commit, which a connection refuses that was cut within a statement.
    with closing(psycopg.connect(dsn, autocommit=True)) as connection:
        yield connection


def test_without_a_fault_everything_passes(between: FaultProxy, client: Connection) -> None:
    text = "x" * 1_000_000
    assert client.execute("select %s::text", [text]).fetchone() == (text,)
    assert between.accepted == 1


@pytest.mark.parametrize("fault", [Refuse, Reset])
def test_existing_connections_break_and_new_ones_fail(
    between: FaultProxy, client: Connection, dsn: str, fault: type[Fault]
) -> None:
    with between.suffering(fault()):
        with pytest.raises(psycopg.OperationalError):
            client.execute("select 1")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn)
    _assert_works(dsn)


def test_refused_connections_never_reach_the_proxy(between: FaultProxy) -> None:
    with between.suffering(Refuse()), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", between.port), timeout=10)
    assert between.accepted == 0


def test_reset_connections_were_accepted(between: FaultProxy) -> None:
    with between.suffering(Reset()), pytest.raises(ConnectionResetError):
        _first_byte(between.port)
    assert between.accepted == 1


def test_a_blackhole_holds_what_arrives_until_it_is_lifted(
    between: FaultProxy, client: Connection, postgres_database: PostgresDatabase
) -> None:
    with ThreadPoolExecutor() as threads:
        with between.suffering(Blackhole()):
            inserting = threads.submit(client.execute, "insert into t values (1)")
            assert not wait([inserting], timeout=LATE).done
            assert _rows(postgres_database) == []
        assert inserting.result(timeout=10).rowcount == 1
    assert _rows(postgres_database) == [1]


def test_a_blackhole_lets_no_connection_through(between: FaultProxy, dsn: str) -> None:
    with between.suffering(Blackhole()), pytest.raises(psycopg.errors.ConnectionTimeout):
        psycopg.connect(dsn, connect_timeout=2)
    _assert_works(dsn)


@pytest.mark.parametrize("cut", [lambda proxy: proxy.kill_connections(), lambda proxy: proxy.set(Reset())])
def test_what_a_blackhole_held_on_a_killed_connection_is_lost(
    between: FaultProxy, client: Connection, postgres_database: PostgresDatabase, cut: Callable[[FaultProxy], None]
) -> None:
    between.set(Blackhole())
    with ThreadPoolExecutor() as threads:
        inserting = threads.submit(client.execute, "insert into t values (1)")
        assert not wait([inserting], timeout=LATE).done
        cut(between)
        with pytest.raises(psycopg.OperationalError):
            inserting.result(timeout=10)
    between.heal()
    assert _rows(postgres_database) == []


def test_latency_delays_replies(between: FaultProxy, client: Connection) -> None:
    started = time.monotonic()
    with between.suffering(Latency(LATE)):
        assert client.execute("select 1").fetchone() == (1,)
    assert time.monotonic() - started >= LATE


def test_a_reply_is_cut_after_as_many_bytes(between: FaultProxy) -> None:
    ssl_request = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # answered with the one byte N
    with between.suffering(CutAfter(1)), socket.create_connection(("127.0.0.1", between.port), 10) as client:
        client.sendall(ssl_request)
        assert client.recv(10) == b"N"
        client.sendall(ssl_request)
        with pytest.raises(ConnectionResetError):
            client.recv(10)


def test_a_cut_reply_breaks_the_connection_and_not_the_next_one(
    between: FaultProxy, client: Connection, dsn: str
) -> None:
    with between.suffering(CutAfter(100)), pytest.raises(psycopg.OperationalError):
        client.execute("select repeat('x', 1000000)")
    _assert_works(dsn)


def test_a_lost_reply_leaves_the_write_applied(
    between: FaultProxy, client: Connection, postgres_database: PostgresDatabase
) -> None:
    with between.suffering(LoseReply()), pytest.raises(psycopg.OperationalError):
        client.execute("insert into t values (1)")
    assert _rows(postgres_database) == [1]


def test_the_reply_to_one_kind_of_request_can_be_lost(
    between: FaultProxy, client: Connection, postgres_database: PostgresDatabase
) -> None:
    with between.suffering(LoseReply(b"COMMIT")), pytest.raises(psycopg.OperationalError), client.transaction():
        assert client.execute("insert into t values (1)").rowcount == 1
    assert _rows(postgres_database) == [1]


def test_killed_connections_are_gone_and_new_ones_work(between: FaultProxy, client: Connection, dsn: str) -> None:
    between.kill_connections()
    with pytest.raises(psycopg.OperationalError):
        client.execute("select 1")
    _assert_works(dsn)


def test_without_a_server_clients_are_reset(proxy: Callable[[int], FaultProxy]) -> None:
    with pytest.raises(ConnectionResetError):
        _first_byte(proxy(free_port()).port)


def test_a_closed_proxy_takes_its_connections_along(between: FaultProxy, client: Connection, dsn: str) -> None:
    between.close()
    with pytest.raises(psycopg.OperationalError):
        client.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(dsn)


def test_a_client_that_leaves_in_the_middle_does_no_harm(between: FaultProxy, dsn: str) -> None:
    between.set(Latency(LATE))
    with socket.create_connection(("127.0.0.1", between.port), 10) as client:
        client.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
    between.set(Healthy())
    _assert_works(dsn)


def test_a_client_that_comes_when_it_stops_listening_is_reset(proxy: Callable[[int], FaultProxy]) -> None:
    stopping = proxy(free_port())
    with ThreadPoolExecutor(8) as clients:
        came = [clients.submit(_is_reset, stopping.port) for _ in range(2_000)]
        while not all(client.done() for client in came):
            with stopping.suffering(Refuse()):
                pass
    assert all(client.result() for client in came)


def _is_reset(port: int) -> bool:
    """Whether a client that connects does not get in; one that is forgotten half way raises a timeout."""
    with suppress(ConnectionResetError, ConnectionRefusedError):
        return _first_byte(port) != b""
    return True


def _first_byte(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        return client.recv(1)


def _assert_works(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def _rows(database: PostgresDatabase) -> list[object]:
    with psycopg.connect(database.dsn) as connection:
        return [row[0] for row in connection.execute("select id from t order by id")]
