"""A database or the application is killed under load: what was acknowledged is there, and nothing is there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import apsw
import psycopg
import pytest

from tests.servers.network.faults import Fault
from tests.servers.network.faults import LoseReply
from tests.servers.network.faults import Refuse
from tests.servers.network.faults import Reset
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.simulation.load import Answer
from tests.simulation.load import Load
from tests.simulation.served import REQUEST_TIMEOUT
from tests.simulation.served import ServedApp

MARGIN = 4.0  # seconds that a busy machine may add to a deadline


@pytest.fixture
def database(durable_postgres: PostgresServer) -> PostgresDatabase:
    return durable_postgres.create_database()


@pytest.fixture
def between(database: PostgresDatabase, proxy: Callable[[int], FaultProxy]) -> FaultProxy:
    return proxy(database.port)


@pytest.fixture
def app_on_postgresql(database: PostgresDatabase, between: FaultProxy, tmp_path: Path) -> Iterator[ServedApp]:
    settings = {
        "LOCAL_DB_HOST": database.host,
        "LOCAL_DB_PORT": str(between.port),
        "LOCAL_DB_NAME": database.database,
        "LOCAL_DB_USER": database.user,
        "LOCAL_DB_PASSWORD": database.password,
        "LOCAL_DB_CIRCUIT_BREAKER_TIMEOUT": "0.5",
    }
    with ServedApp(tmp_path, **settings) as app:
        yield app


def names_in(database: PostgresDatabase) -> Counter[str]:
    with psycopg.connect(database.dsn) as connection:
        return Counter(name for (name,) in connection.execute("select name from molecules"))


def crash_under(load: Load, server: PostgresServer, between: FaultProxy, outage: Fault) -> None:
    """Kill the server while all clients write; start it when all have felt it; end when all write again.

    Its last commits are made and their replies lost, which a crash alone brings about too seldom.

    :param outage: what those who connect meet while the server is down.
    """
    load.wait_for_all(lambda answer: answer.acknowledged, 5)
    with between.suffering(LoseReply(b"commit")):
        load.wait_for_one(lambda answer: answer.unknown)
        server.kill()
    with between.suffering(outage):
        load.wait_for_all(lambda answer: answer.status == 503, 2)
        server.start()
    load.wait_for_all(lambda answer: answer.acknowledged, 5)


def assert_honest(answers: Sequence[Answer]) -> None:
    """Every answer is a success, or a problem that says what is known; and none was late."""
    failed = [answer for answer in answers if not answer.acknowledged]
    assert {(answer.status, answer.media_type) for answer in failed} == {(503, "application/problem+json")}
    assert {answer.document["outcome"] for answer in failed} <= {"not_applied", "unknown"}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in failed)
    assert max(answer.seconds for answer in answers) < REQUEST_TIMEOUT + MARGIN


def test_with_keys_every_record_is_there_exactly_once_after_the_server_crashed(
    app_on_postgresql: ServedApp, durable_postgres: PostgresServer, between: FaultProxy, database: PostgresDatabase
) -> None:
    pid = app_on_postgresql.pid
    with Load(app_on_postgresql.url, app_on_postgresql.token(), repeating=True) as load:
        crash_under(load, durable_postgres, between, Refuse())
    assert app_on_postgresql.pid == pid
    assert_honest(load.answers)
    acknowledged = Counter(answer.name for answer in load.answers if answer.acknowledged)
    assert set(acknowledged.values()) == {1}
    assert {answer.name for answer in load.answers} == set(acknowledged)
    assert names_in(database) == acknowledged


def test_without_keys_every_answer_about_the_crash_is_true(
    app_on_postgresql: ServedApp, durable_postgres: PostgresServer, between: FaultProxy, database: PostgresDatabase
) -> None:
    with Load(app_on_postgresql.url, app_on_postgresql.token(), repeating=False) as load:
        crash_under(load, durable_postgres, between, Reset())
    assert_honest(load.answers)
    there = names_in(database)
    for answer in load.answers:
        if answer.acknowledged:
            assert there[answer.name] == 1
        elif answer.unknown:
            assert there[answer.name] <= 1
        else:
            assert there[answer.name] == 0
    assert set(there) <= {answer.name for answer in load.answers}


def test_what_was_acknowledged_on_sqlite_survives_the_application(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    with ServedApp(tmp_path, LOCAL_DB_PATH=str(path)) as app:
        with Load(app.url, app.token(), repeating=True) as load:
            for _ in range(2):
                load.wait_for_all(lambda answer: answer.acknowledged, 5)
                app.kill()
                load.wait_for_all(lambda answer: answer.status == 0)
                app.start()
            load.wait_for_all(lambda answer: answer.acknowledged, 5)
        assert {answer.status for answer in load.answers} == {0, 201}
    with closing(apsw.Connection(str(path))) as connection:
        there = Counter(name for (name,) in connection.execute("select name from molecules"))
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert there == Counter(answer.name for answer in load.answers if answer.acknowledged)
