"""A database as SQLAlchemy sees it, for migrations and reflection; never on the path of a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def bare(adapter: DatabaseAdapter) -> DatabaseAdapter:
    """The adapter that reaches the database: what a wrapper such as ``FaultyAdapter`` keeps as its ``inner``."""
    while isinstance(inner := getattr(adapter, "inner", None), DatabaseAdapter):
        adapter = inner
    return adapter


def has_engine(adapter: DatabaseAdapter) -> bool:
    """Whether the backend is one that SQLAlchemy reaches."""
    return bare(adapter).backend.has_engine


def is_there(adapter: DatabaseAdapter) -> bool:
    """Whether there is anything to look at: False for an SQLite file that does not exist, and is not to be made."""
    adapter = bare(adapter)
    return not _is_sqlite(adapter) or Path(adapter.describe()["path"]).exists()


@contextmanager
def connected(adapter: DatabaseAdapter, *, writes: bool) -> Iterator[sa.Connection]:
    """One transaction on a connection of its own, as the configured user and not as the caller; committed at the end.

    The adapter is asked for a sign of life first, so that its circuit breaker, its deadline and its set-up come before.

    :param writes: whether a lost answer would leave it unknown if something was applied.
    :raises Unsupported: for a backend without SQL tables.
    :raises DataError: as the adapter's own calls.
    """
    adapter = bare(adapter)
    engine = _engine(adapter)
    with as_application():
        adapter.run_alone(Ping())
    try:
        with _opened(engine, adapter) as connection, connection.begin():
            yield connection
    except sa.exc.DBAPIError as error:
        raise translated(adapter, error, writes=writes) from error.orig
    finally:
        engine.dispose()


def _opened(engine: sa.Engine, adapter: DatabaseAdapter) -> sa.Connection:
    try:
        return engine.connect()
    except sa.exc.DBAPIError as error:
        ours: DataError = ConnectFailed("the database takes no further connection")
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
    # Prepared statements do not survive a transaction pooler.
    arguments = {"connect_timeout": _CONNECT_SECONDS, "prepare_threshold": None}
    return sa.create_engine(_postgres_url(adapter), poolclass=NullPool, connect_args=arguments)


def _is_sqlite(adapter: DatabaseAdapter) -> bool:
    """Asked of the class's own word, as the other driver is not to be loaded for the question."""
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
