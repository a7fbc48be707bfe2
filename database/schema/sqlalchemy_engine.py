"""SQLAlchemy connections for migrations and reflection; never used by a request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from database.adapter.base import DatabaseAdapter
from database.backends import postgres
from database.backends import sqlite
from database.backends.postgres.connecting import Place
from database.backends.postgres.connecting import connect_failure
from database.core.context import as_application
from database.core.errors import ConnectFailed
from database.core.errors import DataError
from database.core.errors import Unsupported
from database.core.operations import Ping

_CONNECT_SECONDS = 5
_LOCK_SECONDS = 30.0
_READS = re.compile(r"\s*(?:pragma|show|explain|select(?!\s+isthmus_(?!private)))\b", re.I)


def bare(adapter: DatabaseAdapter) -> DatabaseAdapter:
    """The adapter that connects to the database, without wrappers such as ``FaultyAdapter``."""
    while isinstance(inner := getattr(adapter, "inner", None), DatabaseAdapter):
        adapter = inner
    return adapter


def has_engine(adapter: DatabaseAdapter) -> bool:
    """Whether SQLAlchemy can connect to the backend."""
    return bare(adapter).backend.has_engine


def is_there(adapter: DatabaseAdapter) -> bool:
    """Whether the database exists; False for a missing SQLite file, which an inspection must not create."""
    adapter = bare(adapter)
    return not _is_sqlite(adapter) or Path(adapter.describe()["path"]).exists()


class Rehearsal:
    """The statements of a trial run that change something, in the order in which they ran.

    :ivar statements: SQL without a semicolon at the end; the values of placeholders stand in a comment before it.
    """

    def __init__(self) -> None:
        self.statements: list[str] = []

    def note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        """Note a statement that SQLAlchemy is about to run, unless it only reads."""
        if _READS.match(statement):
            return
        values = f"-- with the values {parameters!r}\n" if parameters else ""
        self.statements.append(values + statement.strip().rstrip(";"))


rehearsal: ContextVar[Rehearsal | None] = ContextVar("rehearsal", default=None)


@contextmanager
def rehearsed() -> Iterator[Rehearsal]:
    """A trial run: :func:`connected` writes nothing in the block, and the value lists what it would have written."""
    trial = Rehearsal()
    token = rehearsal.set(trial)
    try:
        yield trial
    finally:
        rehearsal.reset(token)


@contextmanager
def connected(adapter: DatabaseAdapter, *, writes: bool) -> Iterator[sa.Connection]:
    """Open a transaction on a separate connection, as the configured user and not as the caller; commit it at the end.

    In a :func:`rehearsed` block, a transaction that writes notes its statements and is rolled back at its end.

    It pings the adapter first, so that the adapter's set-up, circuit breaker and deadline apply.

    :param writes: whether the transaction may write, so that a lost response leaves the outcome unknown.
    :raises Unsupported: for a backend without SQL tables.
    :raises DataError: as the adapter's own calls.
    """
    adapter = bare(adapter)
    engine = _engine(adapter)
    with as_application():
        adapter.run_alone(Ping())
    try:
        with _connect(engine, adapter) as connection, connection.begin() as transaction:
            trial = rehearsal.get()
            if trial is not None and writes:
                sa.event.listen(connection, "before_cursor_execute", trial.note)
            yield connection
            if trial is not None and writes:
                transaction.rollback()
    except sa.exc.DBAPIError as error:
        raise translated(adapter, error, writes=writes) from error.orig
    finally:
        engine.dispose()


def _connect(engine: sa.Engine, adapter: DatabaseAdapter) -> sa.Connection:
    try:
        return engine.connect()
    except sa.exc.DBAPIError as error:
        ours: DataError = ConnectFailed("the SQLite database cannot be opened")
        if not _is_sqlite(adapter):
            assert isinstance(adapter, postgres.PostgresAdapter)
            ours = connect_failure(error.orig or error, Place.of(adapter.config, adapter.backend.settings_prefix))
        ours.backend = adapter.name
        raise ours from error.orig


def _engine(adapter: DatabaseAdapter) -> sa.Engine:
    if not adapter.backend.has_engine:
        raise Unsupported("migrations and reflection", backend=adapter.name)
    if _is_sqlite(adapter):
        return sa.create_engine(_sqlite_url(adapter), poolclass=NullPool)
    # No prepared statements, which do not work behind a transaction pooler.
    arguments = {"connect_timeout": _CONNECT_SECONDS, "prepare_threshold": None}
    return sa.create_engine(_postgres_url(adapter), poolclass=NullPool, connect_args=arguments)


def _is_sqlite(adapter: DatabaseAdapter) -> bool:
    """Whether the backend is SQLite; not by isinstance, which would load the driver."""
    return adapter.backend.has_engine and adapter.sql_dialect == "sqlite"


def _sqlite_url(adapter: DatabaseAdapter) -> sa.URL:
    seconds = adapter.settings.timeout or _LOCK_SECONDS
    path = adapter.describe()["path"]
    return sa.URL.create(sqlite.alchemy.URL_NAME, database=path, query={"timeout": str(seconds)})


def _postgres_url(adapter: DatabaseAdapter) -> sa.URL:
    config = adapter.config
    return sa.URL.create(
        "postgresql+psycopg",
        username=config.get("user"),
        password=config.get("password"),
        host=config.get("host"),
        port=int(config.get("port", 5432)),
        database=config.get("database", "postgres"),
        query={"sslmode": config.get("sslmode", "prefer"), "application_name": "isthmus"},
    )


def translated(adapter: DatabaseAdapter, error: sa.exc.DBAPIError, *, writes: bool) -> DataError:
    """The data layer's error for one of SQLAlchemy's; ``writes`` as for :func:`connected`."""
    original = error.orig
    assert isinstance(original, Exception)
    if _is_sqlite(adapter):
        ours = sqlite.errors.translated(original)
    else:
        ours = postgres.errors.translated(original, may_have_applied=writes)
    ours.backend = adapter.name
    return ours
