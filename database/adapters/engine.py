"""A database as SQLAlchemy sees it, for migrations and reflection; never on the path of a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from database.adapters.base import DatabaseAdapter
from database.adapters.postgres import PostgresAdapter
from database.adapters.postgres.connecting import Place
from database.adapters.postgres.connecting import connect_failure
from database.adapters.postgres.errors import translated as translated_from_psycopg
from database.adapters.sqlite import SQLiteAdapter
from database.adapters.sqlite.alchemy import URL_NAME
from database.adapters.sqlite.errors import translated as translated_from_apsw
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
    return isinstance(bare(adapter), SQLiteAdapter | PostgresAdapter)


def is_there(adapter: DatabaseAdapter) -> bool:
    """Whether there is anything to look at: False for an SQLite file that does not exist, and is not to be made."""
    adapter = bare(adapter)
    return not isinstance(adapter, SQLiteAdapter) or Path(adapter.describe()["path"]).exists()


@contextmanager
def connected(adapter: DatabaseAdapter, *, writes: bool) -> Iterator[sa.Connection]:
    """One transaction on a connection of its own, as the configured user and not as the caller; committed at the end.

    The adapter is asked for a sign of life first, so that its guard, its deadline and its set-up come before.

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
        if isinstance(adapter, PostgresAdapter):
            ours = connect_failure(error.orig or error, Place.of(adapter.config, adapter.backend.settings_prefix))
        ours.backend = adapter.name
        raise ours from error.orig


def _engine(adapter: DatabaseAdapter) -> sa.Engine:
    if isinstance(adapter, SQLiteAdapter):
        return sa.create_engine(_sqlite_url(adapter), poolclass=NullPool)
    if isinstance(adapter, PostgresAdapter):
        # Prepared statements do not survive a transaction pooler.
        arguments = {"connect_timeout": _CONNECT_SECONDS, "prepare_threshold": None}
        return sa.create_engine(_postgres_url(adapter), poolclass=NullPool, connect_args=arguments)
    raise Unsupported("migrations and reflection", backend=adapter.name)


def _sqlite_url(adapter: SQLiteAdapter) -> sa.URL:
    seconds = adapter.settings.timeout or _LOCK_SECONDS
    return sa.URL.create(URL_NAME, database=adapter.describe()["path"], query={"timeout": str(seconds)})


def _postgres_url(adapter: PostgresAdapter) -> sa.URL:
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
    if isinstance(original, psycopg.Error):
        ours = translated_from_psycopg(original, may_have_applied=writes)
    else:
        assert isinstance(original, Exception)
        ours = translated_from_apsw(original)
    ours.backend = adapter.name
    return ours
