"""A SQLAlchemy dialect on apsw, for migrations.

SQLAlchemy's own dialect uses the standard library's ``sqlite3``, a second copy of SQLite in the process. POSIX
releases all locks of a process on a file when one of its descriptors is closed, so the second copy would release the
locks of the adapter's open connections, and the file could be corrupted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from typing import Final

import apsw
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

# How check constraints are written.
import database.backends.sqlite.checks  # noqa: F401
from database.backends.sqlite.forking import FORKS

URL_NAME = "sqlite+apsw"
"""The scheme of the URL; its path is the database file, its ``timeout`` the seconds to wait for locks."""

_CAST: Final = re.compile(r"('(?:[^']|'')*')(?:::[\w \"]+(?:\(\d+\))?)?(?:\[\])?")
_FOUR: Final = "hex(randomblob(2))"
# A UUIDv4, which the first digits of its third and fourth part say.
_UUID: Final = (
    f"hex(randomblob(4)) || '-' || {_FOUR} || '-4' || substr({_FOUR}, 2) || '-8' || substr({_FOUR}, 2)"
    " || '-' || hex(randomblob(6))"
)
_FUNCTIONS: Final = {"now()": "CURRENT_TIMESTAMP", "gen_random_uuid()": f"(lower({_UUID}))"}


class _DDLCompiler(SQLiteDDLCompiler):
    """Writes the defaults that all backends have as SQLite has them, also if a declaration has PostgreSQL's words."""

    def get_column_default_string(self, column: Any) -> str | None:
        found: str | None = super().get_column_default_string(column)
        if found is None:
            return None
        constant = _CAST.fullmatch(found)
        return constant[1] if constant else _FUNCTIONS.get(found.lower(), found)


class ApswDialect(SQLiteDialect):
    """Takes the write lock at the beginning of each transaction, because migrations change the schema."""

    driver = "apsw"
    ddl_compiler = _DDLCompiler
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return _Module

    def connect(self, *arguments: Any, **_: Any) -> Any:
        path, seconds = arguments
        return _Connection(path, seconds)

    def create_connect_args(self, url: Any) -> tuple[Sequence[Any], dict[str, Any]]:
        return (url.database, float(url.query.get("timeout", 30.0))), {}

    def _get_server_version_info(self, _connection: Any) -> tuple[int, ...]:
        return _Module.sqlite_version_info

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.begin()


class _Module:
    """The part of a DBAPI module that SQLAlchemy uses."""

    Error = apsw.Error
    paramstyle = "qmark"
    sqlite_version_info = tuple(map(int, apsw.sqlite_lib_version().split(".")))


class _Connection:
    """The part of a DBAPI connection that SQLAlchemy uses."""

    def __init__(self, path: str, seconds: float) -> None:
        with FORKS.inside(self):
            self._db = apsw.Connection(path)
        self._db.set_busy_timeout(int(seconds * 1000))

    def cursor(self) -> _Cursor:
        return _Cursor(self._db)

    def begin(self) -> None:
        with FORKS.inside(self):
            self._db.execute("begin immediate")

    def commit(self) -> None:
        self._end("commit")

    def rollback(self) -> None:
        self._end("rollback")

    def close(self) -> None:
        with FORKS.inside(self):
            self._db.close()

    def _end(self, how: str) -> None:
        if self._db.in_transaction:
            with FORKS.inside(self):
                self._db.execute(how)


class _Cursor:
    """The part of a DBAPI cursor that SQLAlchemy uses; fetches all rows at once, to release the locks."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._rows: list[tuple[Any, ...]] = []
        self.description: tuple[tuple[Any, ...], ...] | None = None
        self.rowcount = -1

    def execute(self, text: str, values: Sequence[Any] = ()) -> None:
        cursor = self._db.cursor()
        self.description = None
        cursor.exec_trace = self._describe
        with FORKS.inside(self):
            self._rows = cursor.execute(text, tuple(values)).fetchall()
        self.rowcount = self._db.changes()

    def executemany(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        with FORKS.inside(self):
            self._db.executemany(text, rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.fetchmany(len(self._rows))

    def close(self) -> None:
        self._rows = []

    def _describe(self, cursor: apsw.Cursor, _text: str, _values: Any) -> bool:
        # After the last row of a statement, SQLite no longer returns its columns.
        self.description = tuple((name, *[None] * 6) for name, _ in cursor.get_description()) or None
        return True


registry.register("sqlite.apsw", __name__, ApswDialect.__name__)
