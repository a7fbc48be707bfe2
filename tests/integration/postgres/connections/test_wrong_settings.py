"""A server that does not let the application in: the message names what to change, at once, and no secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest

from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.connection_manager import ConnectionManager
from database.core.errors import ConnectFailed
from database.core.errors import CredentialsRefused
from database.core.errors import DataError
from database.core.errors import Throttled
from database.core.errors import Unavailable
from database.core.operations import Ping
from tests.integration.http.support import wait_until
from tests.servers.available import available
from tests.servers.network.ports import free_port
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

SECRET = "tell-nobody-this"


RULES = """\
host all crowded 127.0.0.1/32 trust
host all app,late,nobody-here 127.0.0.1/32 scram-sha-256
host all banned 127.0.0.1/32 reject
"""


@pytest.fixture(scope="module")
def strict_server() -> Iterator[PostgresServer]:
    """A server of these tests' own, which asks some users for passwords."""
    with available(PostgresServer) as server:
        with _owner(server) as connection:
            connection.execute("create role app login password 'right'")
            connection.execute("create role crowded login password 'right' connection limit 0")
            place = connection.execute("show hba_file").fetchone()
            assert place is not None
            file = Path(place[0])
            file.write_text(RULES + file.read_text())
            connection.execute("select pg_reload_conf()")
            # The rules are in force for connections that come after the server has read them.
            wait_until(lambda: _refuses(server, "banned"), "the server does not read its rules")
        yield server


def _owner(server: PostgresServer) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(server.dsn, autocommit=True)


def _refuses(server: PostgresServer, user: str) -> bool:
    try:
        psycopg.connect(host="127.0.0.1", port=server.port, user=user, dbname="postgres").close()
    except psycopg.OperationalError as error:
        return "pg_hba.conf rejects" in str(error)
    return False


@pytest.fixture
def there(strict_server: PostgresServer) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": strict_server.port, "user": "app", "password": "right", "database": "postgres"}


WRONG: list[tuple[dict[str, object], type[DataError], list[str]]] = [
    ({"password": SECRET}, CredentialsRefused, ["SUPABASE_DB_USER", "SUPABASE_DB_PASSWORD"]),
    ({"password": None}, CredentialsRefused, ["SUPABASE_DB_PASSWORD"]),
    ({"user": "nobody-here", "password": SECRET}, CredentialsRefused, ["SUPABASE_DB_USER"]),
    ({"database": "nowhere"}, ConnectFailed, ["no database 'nowhere'", "SUPABASE_DB_NAME"]),
    (
        {"host": "no-such-host.invalid"},
        ConnectFailed,
        ["no-such-host.invalid", "cannot be resolved", "SUPABASE_DB_HOST"],
    ),
    ({"port": 0}, ConnectFailed, ["no server is listening at 127.0.0.1:", "SUPABASE_DB_PORT"]),
    ({"sslmode": "require"}, ConnectFailed, ["does not support TLS", "SUPABASE_DB_SSLMODE"]),
    ({"user": "banned"}, CredentialsRefused, ["pg_hba.conf", "SUPABASE_DB_SSLMODE"]),
    ({"user": "crowded"}, Throttled, ["no free connection slots"]),
]


@pytest.mark.parametrize(("change", "kind", "words"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_the_message_names_what_to_change(
    there: dict[str, object], change: dict[str, object], kind: type[DataError], words: list[str]
) -> None:
    if "port" in change:
        change = {"port": free_port()}
    adapter = SupabaseDirectAdapter({**there, **change, "retry_count": 0})
    try:
        with pytest.raises(kind) as caught:
            adapter.run_alone(Ping())
        shown = f"{caught.value} {adapter.get_connection_info()['connection_problem']}"
        assert all(word in shown for word in words), shown
        assert SECRET not in f"{shown} {caught.value!r} {caught.value.__cause__!r} {adapter.get_connection_info()}"
    finally:
        adapter.disconnect()


def test_a_refused_password_is_not_tried_again(there: dict[str, object]) -> None:
    adapter = PostgresAdapter({**there, "password": SECRET, "retry_count": 3})
    try:
        with pytest.raises(CredentialsRefused, match="LOCAL_DB_PASSWORD"):
            adapter.run_alone(Ping())
        counts = adapter.get_connection_info()["operations"]["ping"]
        assert counts["backend_error"] == 1
        assert adapter.pipeline.circuit_breaker.state == "closed"
    finally:
        adapter.disconnect()


def test_the_log_says_why_no_database_is_active(there: dict[str, object], caplog: pytest.LogCaptureFixture) -> None:
    adapter = PostgresAdapter({**there, "password": SECRET})
    manager = ConnectionManager(adapters={"local": adapter})
    with pytest.raises(Unavailable, match="see the log for the reasons") as caught:
        manager.run_alone(Ping())
    manager.disconnect()
    assert "LOCAL_DB_PASSWORD" in caplog.text
    assert "127.0.0.1" not in str(caught.value)
    assert SECRET not in caplog.text


def test_what_was_put_right_on_the_server_is_noticed(strict_server: PostgresServer, there: dict[str, object]) -> None:
    adapter = PostgresAdapter({**there, "user": "late", "retry_count": 0})
    with pytest.raises(CredentialsRefused):
        adapter.run_alone(Ping())
    with _owner(strict_server) as connection:
        connection.execute("create role late login password 'right'")
    wait_until(adapter.connect, "the server is not found well again")
    assert adapter.get_connection_info()["connection_problem"] is None
    adapter.disconnect()


def test_a_database_that_is_there_has_no_problem(postgres_database: PostgresDatabase) -> None:
    adapter = PostgresAdapter(asdict(postgres_database))
    adapter.run_alone(Ping())
    assert adapter.get_connection_info()["connection_problem"] is None
    adapter.disconnect()
