"""What the tests of the unit of work work on: accounts, entries, and a look at them from outside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import psycopg
import sqlalchemy as sa
from flask import Flask

from config.tables import text
from database import flask_transactions
from database.adapters.base import DatabaseAdapter
from database.adapters.face import Database
from database.adapters.postgres import PostgresAdapter
from database.adapters.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from database.core.errors import Conflict
from database.core.errors import OutcomeUnknown
from database.core.schema import Schema
from tests.servers.postgres import PostgresDatabase

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

SCHEMA = Schema.of(metadata)

ACCOUNT = "acme"
NOBODY = "nobody"
"""An account that does not exist: an entry for it is accepted, and its commit is not."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A database with the two tables and one account.

    :ivar adapter: another adapter for it, with the given additions to its configuration.
    :ivar outside: runs a statement on a connection that has nothing to do with the adapters and waits for no lock.
    """

    adapter: Callable[..., DatabaseAdapter]
    outside: Callable[[str], list[tuple[Any, ...]]]

    def notes(self) -> list[str]:
        """The notes of all committed entries, sorted."""
        return sorted(note for (note,) in self.outside("select note from entries"))

    def balance(self) -> int:
        """The committed balance of the account."""
        ((balance,),) = self.outside("select balance from accounts")
        return int(balance)

    def is_locked(self) -> bool:
        """Whether a transaction that has changed the account is still open."""
        try:
            self.outside("update accounts set balance = balance returning id")
        except (apsw.BusyError, psycopg.errors.LockNotAvailable):
            return True
        return False


def sqlite_ledger(path: Path) -> Ledger:
    """A new ledger in an SQLite file."""
    _create_tables(f"sqlite:///{path}")

    def adapter(**config: Any) -> DatabaseAdapter:
        return SQLiteAdapter({"path": str(path), "synchronous": "normal", "timeout": TIMEOUT, **config}, SCHEMA)

    def outside(statement: str) -> list[tuple[Any, ...]]:
        # Not with the standard library: a second copy of SQLite would drop the locks of the adapter's.
        with closing(apsw.Connection(str(path))) as connection:
            return connection.execute(statement).fetchall()

    return Ledger(adapter, outside)


def postgresql_ledger(database: PostgresDatabase) -> Ledger:
    """A new ledger in an empty PostgreSQL database."""
    _create_tables(database.url.replace("postgresql://", "postgresql+psycopg://"))

    def adapter(**config: Any) -> DatabaseAdapter:
        return PostgresAdapter({**asdict(database), "timeout": TIMEOUT, **config}, SCHEMA)

    def outside(statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database.dsn, options="-c lock_timeout=1ms") as connection:
            return connection.execute(statement).fetchall()

    return Ledger(adapter, outside)


def _create_tables(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(accounts.insert().values(id=ACCOUNT, balance=0))
    engine.dispose()


def write(database: Database, note: str, account: str = ACCOUNT) -> None:
    """Make an entry and change the account, so that a lock on it tells of an open transaction."""
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
    flask_transactions.init_app(app, manager)
    app.register_error_handler(OutcomeUnknown, lambda _: ("unknown", 503))
    app.register_error_handler(Conflict, lambda _: ("conflict", 409))
    return app
