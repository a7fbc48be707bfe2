"""A real PostgreSQL server for the tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from itertools import count
from pathlib import Path
from signal import SIGINT
from signal import SIGQUIT
from signal import Signals
from typing import Final
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_delay
from tenacity import wait_fixed

from database import internal_tables
from tests.servers.cluster import SUPERUSER
from tests.servers.cluster import Cluster
from tests.servers.network.ports import free_port
from tests.servers.processes import process
from tests.servers.processes.process import ServerFailed
from tests.servers.processes.server import Server

_START_TIMEOUT: Final = 30.0  # seconds; a start takes 0.1, recovery after a crash little more
_LOG_TAIL: Final = 4_000  # characters


_OWN_SCHEMA = """
create schema if not exists isthmus_private;
do $$ begin
    if exists (select from pg_roles where rolname = 'service_role') then
        grant usage on schema isthmus_private to service_role;
        alter default privileges in schema isthmus_private grant all on tables to service_role;
    end if;
end $$"""


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """Where a database is; ``dataclasses.asdict`` makes the dictionary that an adapter is configured with."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str

    @property
    def dsn(self) -> str:
        """The connection string for psycopg."""
        return make_conninfo(
            host=self.host, port=self.port, user=self.user, password=self.password, dbname=self.database
        )

    @property
    def url(self) -> str:
        """The same as a ``postgresql://`` URL."""
        return f"postgresql://{quote(self.user)}:{quote(self.password)}@{self.host}:{self.port}/{self.database}"

    @property
    def sqlalchemy_url(self) -> str:
        """The same for SQLAlchemy with psycopg."""
        return self.url.replace("postgresql://", "postgresql+psycopg://")

    def create(self, metadata: sa.MetaData) -> None:
        """Create the tables; those of Isthmus where they belong, for the service role if there is one."""
        own = [table for table in internal_tables.placed().sorted_tables if table.name in metadata.tables]
        if own:
            self.execute(_OWN_SCHEMA)
        engine = sa.create_engine(self.sqlalchemy_url, poolclass=sa.NullPool)
        internal_tables.placed().create_all(engine, own)
        metadata.create_all(engine, [one for one in metadata.sorted_tables if not internal_tables.is_own(one.name)])
        engine.dispose()

    def execute(self, statements: str) -> None:
        """Run SQL as the owner, in one transaction."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statements.encode())

    def at(self, port: int) -> PostgresDatabase:
        """The same database behind another port, such as a proxy's."""
        return replace(self, port=port)


class PostgresServer(Server):
    """PostgreSQL on a port of 127.0.0.1, with its own data directory that lives until :meth:`close`.

    Start it in a thread that outlives it: the server is shut down when that thread ends.

    :param durable: commit to disk before answering, as in production. Without it, which is faster, a crash may lose
        what was acknowledged, and the data may lie in memory.
    :param settings: more settings for ``postgresql.conf``; they win over those made here.
    :raises ServerUnavailable: PostgreSQL is not installed.
    :raises ServerFailed: the data directory could not be made.
    """

    def __init__(self, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        self._cluster = Cluster(durable=durable)
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._names = count(1)
        port = free_port()
        self._settings = {**_settings(port, durable=durable), **(settings or {})}
        self.maintenance = PostgresDatabase("127.0.0.1", port, SUPERUSER, self._cluster.password, "postgres")

    @property
    def port(self) -> int:
        """The TCP port, the same for the server's whole life."""
        return self.maintenance.port

    @property
    def dsn(self) -> str:
        """The connection string of the maintenance database."""
        return self.maintenance.dsn

    @property
    def pid(self) -> int | None:
        """The id of the server's first process, also when it is gone; None before the first start."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server process lives; it need not answer."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server, also after it was stopped or killed, and wait until it answers.

        :raises ServerFailed: it ended instead, or did not answer in half a minute.
        """
        if self.running:
            return
        self._process = self._cluster.account.spawn(self._cluster.serve(self._settings), self._cluster.log)
        wait_until_it_answers(self.maintenance, self._process, self._cluster.log)
        self._killed = False

    def stop(self, how: Signals = SIGINT) -> None:
        """Stop the server with a signal and wait until it is gone.

        :param how: SIGTERM waits for clients, SIGINT cuts them off, SIGQUIT does not even write a checkpoint.
        """
        if self._process is not None:
            process.stop(self._process, how)

    def kill(self) -> None:
        """End all of the server's processes with SIGKILL, at once, as a power cut would."""
        if self._process is not None:
            process.kill(self._process)
            self._killed = True

    def restart(self) -> None:
        """Stop the server and start it again, on the same port and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server and delete its data."""
        try:
            if self._killed:
                self.start()  # its recovery frees the shared memory that the killed one could not
            self.stop(SIGQUIT)
        finally:
            self._cluster.remove()

    def create_database(self, like: PostgresDatabase | None = None) -> PostgresDatabase:
        """A new, empty database, or a copy of one to which nobody is connected."""
        database = replace(self.maintenance, database=f"test_{next(self._names)}")
        # Not the default strategy, which writes every page to the log as well.
        template = "template1" if like is None else like.database
        self._execute("create database {} template {} strategy file_copy", database.database, template)
        return database

    def drop_database(self, database: PostgresDatabase) -> None:
        """Delete a database; whoever is connected to it is cut off."""
        self._execute("drop database {} with (force)", database.database)

    @contextmanager
    def database(self, like: PostgresDatabase | None = None) -> Iterator[PostgresDatabase]:
        """A new database for the time of a block, as :meth:`create_database` makes it."""
        database = self.create_database(like)
        try:
            yield database
        finally:
            self.drop_database(database)

    def log(self) -> str:
        """The end of what the server has written."""
        return _tail(self._cluster.log)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def wait_until_it_answers(database: PostgresDatabase, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a process that was just started lets clients into ``database``.

    :raises ServerFailed: it ended instead, or did not answer in half a minute; the message has the end of ``log``.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(psycopg.OperationalError),
        wait=wait_fixed(0.02),
        stop=stop_after_delay(_START_TIMEOUT),
        reraise=True,
    )
    try:
        attempts(_knock, database, server, log)
    except psycopg.OperationalError as error:
        raise ServerFailed(f"the server does not answer: {_tail(log)}") from error


def _knock(database: PostgresDatabase, server: subprocess.Popen[bytes], log: Path) -> None:
    if server.poll() is not None:
        raise ServerFailed(f"the server ended: {_tail(log)}")
    psycopg.connect(database.dsn, connect_timeout=2).close()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_TAIL:]


def _settings(port: int, *, durable: bool) -> dict[str, str]:
    to_disk = "on" if durable else "off"
    return {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": to_disk,
        "synchronous_commit": to_disk,
        "full_page_writes": to_disk,
        "wal_level": "logical",
        "max_prepared_transactions": "20",
        "max_connections": "100",
        "max_wal_size": "256MB",
        "shared_buffers": "64MB",
    }
