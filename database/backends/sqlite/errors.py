"""apsw's errors as those of the data layer: one table, the most specific class wins."""

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
"""Bytes of a value, a row or a statement on SQLite."""

_FAILED_CONSTRAINT = re.compile(r"(?P<kind>\w[\w ]*?) constraint failed(?:: (?P<name>.+))?$")

_KINDS = {kind.value: kind for kind in ConstraintKind}
_MISSING = re.compile(r"no such (?P<kind>table|column): (?:main\.)?(?P<name>.+)|has no column named (?P<column>.+)")

_TABLE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[DataError], str], ...] = (
    ((apsw.BusyError, apsw.LockedError), TimedOut, "the database stayed locked until the deadline"),
    (apsw.InterruptError, Stopped, "the statement ran until the deadline and was stopped"),
    ((apsw.CantOpenError, apsw.NotADBError), ConnectFailed, "the database file cannot be opened"),
    ((apsw.ReadOnlyError, apsw.PermissionsError, apsw.AuthError), PermissionDenied, "the database file is read-only"),
    (
        (apsw.ProtocolError, apsw.SchemaChangeError, apsw.AbortError, apsw.InternalError),
        Unavailable,
        "the database could not carry out the statement now",
    ),
    (apsw.TooBigError, InvalidQuery, f"a value, a row or the statement is larger than {MAX_LENGTH >> 20} MiB"),
    (apsw.FullError, Unavailable, "the disk or the database is full"),
    ((apsw.IOError, apsw.CorruptError, apsw.NoMemError), Unavailable, "the database file cannot be read or written"),
)


def translated(error: Exception) -> DataError:
    """The data layer's error for one of apsw's; the caller raises it ``from`` the original."""
    if isinstance(error, apsw.ConstraintError):
        return _constraint(error)
    if isinstance(error, apsw.BusyError) and getattr(error, "extendedresult", None) == apsw.SQLITE_BUSY_SNAPSHOT:
        return SerializationFailure("another transaction has written since this one began to read")
    for types, ours, message in _TABLE:
        if isinstance(error, types):
            return ours(message)
    if isinstance(error, apsw.SQLError) and (found := _MISSING.search(str(error))):
        return lacking(f"the {found['kind'] or 'column'} {found['name'] or found['column']}")
    # What is left is wrong SQL, or values that SQLite cannot bind; its message names the place, not the values.
    return InvalidQuery(f"SQLite refused the statement: {error}")


def _constraint(error: apsw.ConstraintError) -> ConstraintViolated:
    match = _FAILED_CONSTRAINT.search(str(error))
    words, name = (match["kind"].lower(), match["name"]) if match else ("a", None)
    where = f" on {name}" if name else ""
    return ConstraintViolated(f"the {words} constraint{where} does not hold", kind=_KINDS.get(words), constraint=name)
