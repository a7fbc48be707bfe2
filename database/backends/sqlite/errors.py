"""Translates apsw's errors to those of the data layer: one table, in which the first matching class counts."""

from __future__ import annotations

import re

import apsw

from database.core.errors import ConnectFailed
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.errors import SerializationFailure
from database.core.errors import Stopped
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.errors import lacking

MAX_LENGTH = 64 << 20
"""Maximum size in bytes of a value, a row or a statement on SQLite."""

_FAILED_CONSTRAINT = re.compile(r"(?P<kind>\w[\w ]*?) constraint failed(?:: (?P<name>.+))?$")

_KINDS = {kind.value: kind for kind in ConstraintKind}
_MISSING = re.compile(r"no such (?P<kind>table|column): (?:main\.)?(?P<name>.+)|has no column named (?P<column>.+)")

_TABLE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[DataError], str], ...] = (
    ((apsw.BusyError, apsw.LockedError), TimedOut, "the database was locked by another process until the deadline"),
    (apsw.InterruptError, Stopped, "the statement ran until the deadline and was stopped"),
    (
        (apsw.CantOpenError, apsw.NotADBError),
        ConnectFailed,
        "the database file cannot be opened; check its path, its permissions and that it is a SQLite file",
    ),
    ((apsw.ReadOnlyError, apsw.PermissionsError), PermissionDenied, "the database file is read-only"),
    (
        (apsw.ProtocolError, apsw.SchemaChangeError, apsw.AbortError, apsw.InternalError),
        Unavailable,
        "the database cannot execute the statement at the moment; retry it",
    ),
    (apsw.TooBigError, InvalidQuery, f"a value, a row or the statement is larger than {MAX_LENGTH >> 20} MiB"),
    (apsw.FullError, Unavailable, "the disk or the database is full; free some space"),
    ((apsw.IOError, apsw.CorruptError, apsw.NoMemError), Unavailable, "the database file cannot be read or written"),
)


def translated(error: Exception) -> DataError:
    """Translate an error of apsw; the caller raises the result ``from`` the original."""
    if isinstance(error, apsw.ConstraintError):
        return _constraint(error)
    if isinstance(error, apsw.BusyError) and getattr(error, "extendedresult", None) == apsw.SQLITE_BUSY_SNAPSHOT:
        return SerializationFailure(
            "another transaction has written since this one began to read; retry the transaction"
        )
    for types, ours, message in _TABLE:
        if isinstance(error, types):
            return ours(message)
    if isinstance(error, apsw.SQLError) and (found := _MISSING.search(str(error))):
        return lacking(f"the {found['kind'] or 'column'} {found['name'] or found['column']}")
    # The rest is invalid SQL, or values that SQLite cannot bind; its message contains the position, not the values.
    return InvalidQuery(f"SQLite refused the statement: {error}")


def _constraint(error: apsw.ConstraintError) -> ConstraintViolated:
    match = _FAILED_CONSTRAINT.search(str(error))
    words, name = (match["kind"].lower(), match["name"]) if match else ("table's", None)
    where = f" on {name}" if name else ""
    return ConstraintViolated(f"the {words} constraint{where} is violated", kind=_KINDS.get(words), constraint=name)
