"""The data of the tests of the unit of work: accounts, entries, and an independent connection to read them."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import ClassVar

import apsw
import psycopg
import sqlalchemy as sa
from flask import Flask

from api.http import problem
from config.settings import load_settings
from database import flask_scope
from database.adapter.base import DatabaseAdapter
from database.adapter.interface import Database
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.columns import text
from database.connection_manager import ConnectionManager
from database.core.context import SERVICE
from database.core.errors import Conflict
from database.core.errors import OutcomeUnknown
from database.core.result import Row
from database.core.tables.schema import Schema
from database.internal_tables import idempotency_keys
from tests.servers.postgres import PostgresDatabase

_PATH = "-c search_path=public,isthmus_private"
TIMEOUT = 20  # seconds; only a broken database needs them

metadata = sa.MetaData()

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("balance", sa.BigInteger, nullable=False, default=0),
)

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column(
        "account_id",
        text(255),
        # Looked at only when the transaction commits, which is how a commit is made to fail.
        sa.ForeignKey("accounts.id", deferrable=True, initially="DEFERRED"),
        nullable=False,
    ),
    sa.Column("note", text(), nullable=False),
)

idempotency_keys.to_metadata(metadata)

SCHEMA = Schema.of(metadata)

ACCOUNT = "acme"
NOBODY = "nobody"
"""An account that does not exist: an entry for it is accepted, and its commit is not."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How adapters reach a server.

    :ivar port: where it listens on this machine.
    :ivar redirected: the configuration of an adapter that connects to another port instead.
    :ivar commit: bytes that are in the request of a commit and in no other.
    """

    port: int
    redirected: Callable[[int], dict[str, Any]]
    commit: bytes


class Ledger(ABC):
    """A database with the tables and one account, and a look at it that has nothing to do with the adapters.

    :cvar buffered: whether a transaction is collected by its adapter and sent when it commits, so that it keeps nobody
        waiting; else the server holds it open, with locks.
    :ivar wire: how the server is reached; None for a file.
    """

    buffered: ClassVar[bool]
    wire: Wire | None = None

    @abstractmethod
    def adapter(self, **config: Any) -> DatabaseAdapter:
        """Another adapter for the database, with the given additions to its configuration."""

    @abstractmethod
    def rows(self, table: str) -> list[Row]:
        """All committed rows of a table."""

    @abstractmethod
    def write(self, note: str) -> bool:
        """Do as :func:`write`, from outside; False if an open transaction keeps others from it."""

    @abstractmethod
    def has_open_transaction(self) -> bool:
        """Whether a transaction that has changed the account is still open."""

    def notes(self) -> list[str]:
        """The notes of all committed entries, sorted."""
        return sorted(row["note"] for row in self.rows("entries"))

    def balance(self) -> int:
        """The committed balance of the account."""
        (balance,) = (row["balance"] for row in self.rows("accounts") if row["id"] == ACCOUNT)
        return int(balance)


class SqlLedger(Ledger):
    """A ledger whose server holds transactions open.

    :param make: makes an adapter.
    :param outside: runs a statement on a connection of its own that waits for no lock.
    """

    buffered = False

    def __init__(
        self,
        make: Callable[..., DatabaseAdapter],
        outside: Callable[[str], list[tuple[Any, ...]]],
        *,
        wire: Wire | None = None,
    ) -> None:
        self._make = make
        self.outside = outside
        self.wire = wire

    def adapter(self, **config: Any) -> DatabaseAdapter:
        return self._make(**config)

    def rows(self, table: str) -> list[Row]:
        names = [column.name for column in metadata.tables[table].columns]
        return [dict(zip(names, row, strict=True)) for row in self.outside(f"select {', '.join(names)} from {table}")]

    def write(self, note: str) -> bool:
        entered = f"insert into entries (id, account_id, note) values ('{note}', '{ACCOUNT}', '{note}') returning id"
        added = f"update accounts set balance = balance + 1 where id = '{ACCOUNT}' returning id"
        return self._admits(added) and self._admits(entered)

    def has_open_transaction(self) -> bool:
        return not self._admits("update accounts set balance = balance returning id")

    def _admits(self, statement: str) -> bool:
        try:
            self.outside(statement)
        except (apsw.BusyError, psycopg.errors.LockNotAvailable):
            return False
        return True


def sqlite_ledger(path: Path) -> SqlLedger:
    """A ledger in an SQLite file, which is made if there is none."""
    if not path.exists():
        create_tables(f"sqlite:///{path}")

    def adapter(**config: Any) -> DatabaseAdapter:
        return SQLiteAdapter({"path": str(path), "synchronous": "normal", "timeout": TIMEOUT, **config}, SCHEMA)

    def outside(statement: str) -> list[tuple[Any, ...]]:
        # Not with the standard library: a second copy of SQLite would drop the locks of the adapter's.
        with closing(apsw.Connection(str(path))) as connection:
            return connection.execute(statement).fetchall()

    return SqlLedger(adapter, outside)


def postgresql_ledger(database: PostgresDatabase) -> SqlLedger:
    """A new ledger in an empty PostgreSQL database."""
    create_in(database)

    def adapter(**config: Any) -> DatabaseAdapter:
        return PostgresAdapter({**asdict(database), "timeout": TIMEOUT, **config}, SCHEMA)

    wire = Wire(database.port, lambda port: {"port": port}, b"commit")
    return SqlLedger(adapter, outside_postgresql(database), wire=wire)


def empty_postgresql(database: PostgresDatabase) -> None:
    """Delete everything but the account, whose balance is 0 again."""
    with psycopg.connect(database.dsn, options=_PATH) as connection:
        connection.execute(f"truncate {', '.join(metadata.tables)}".encode())
        connection.execute("insert into accounts (id, balance) values (%s, 0)", [ACCOUNT])


def outside_postgresql(database: PostgresDatabase) -> Callable[[str], list[tuple[Any, ...]]]:
    """Runs a statement on a separate connection, without waiting for locks."""

    def outside(statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database.dsn, options=f"{_PATH} -c lock_timeout=1ms") as connection:
            return connection.execute(statement.encode()).fetchall()

    return outside


def create_tables(url: str) -> None:
    """Create the tables and the account in the SQLite file at SQLAlchemy's ``url``."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    metadata.create_all(engine)
    engine.dispose()
    _open_account(url)


def create_in(database: PostgresDatabase) -> None:
    """Create the tables and the account in an empty PostgreSQL database."""
    database.create(metadata)
    _open_account(database.sqlalchemy_url)


def _open_account(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(accounts.insert().values(id=ACCOUNT, balance=0))
    engine.dispose()


def write(database: Database, note: str, account: str = ACCOUNT) -> None:
    """Insert an entry and update the account, so that a lock on it reveals an open transaction."""
    database.table("entries").insert({"account_id": account, "note": note}).execute()
    deposit(database, 1)


def deposit(database: Database, amount: int) -> None:
    """Read the account's balance and write the sum."""
    database.table("accounts").update({"balance": balance(database) + amount}).eq("id", ACCOUNT).execute()


def balance(database: Database) -> int:
    """The account's balance as ``database`` sees it."""
    row: Any = database.get("accounts", ACCOUNT)
    return int(row["balance"])


def make_app(manager: ConnectionManager, **config: object) -> Flask:
    """An app with nothing but the unit of work, and a status for the errors that a client may answer by repeating."""
    app = Flask(__name__)
    app.config.update(config)
    flask_scope.init_app(app, manager, caller=SERVICE)
    app.register_error_handler(OutcomeUnknown, lambda _: ("unknown", 503))
    app.register_error_handler(Conflict, lambda _: ("conflict", 409))
    return app


def make_api(manager: ConnectionManager, **config: object) -> Flask:
    """An app with the unit of work that answers its errors as the application does."""
    app = Flask(__name__)
    app.config.update(config)
    flask_scope.init_app(app, manager, caller=SERVICE)
    problem.init_app(app)
    return app


def managing(adapter: DatabaseAdapter) -> ConnectionManager:
    """A manager of nothing but ``adapter``."""
    return ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})
