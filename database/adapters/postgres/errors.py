"""psycopg's errors as those of the data layer: one table by SQLSTATE, the longest prefix wins."""

from __future__ import annotations

import re

import psycopg

from database.core.errors import Conflict
from database.core.errors import ConnectFailed
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import OutcomeUnknown
from database.core.errors import PermissionDenied
from database.core.errors import SchemaMismatch
from database.core.errors import Throttled
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.core.errors import Unavailable

_COPY_LINE = re.compile(r"^COPY \S+, line (\d+)", re.M)

_TABLE: dict[str, tuple[type[DataError], str]] = {
    "40001": (Conflict, "another transaction changed the same rows; run this one again"),
    "40P01": (Conflict, "two transactions waited for each other; run this one again"),
    "42501": (PermissionDenied, "the database's access rules refuse this"),
    "55P03": (TimedOut, "a lock was not free in time"),
    "57014": (TimedOut, "the statement ran until the deadline and was stopped"),
    "53300": (Throttled, "the server has no free connection slots"),
    "53": (Unavailable, "the server is out of resources"),
    "58": (Unavailable, "the server has an input or output error"),
    "XX": (Unavailable, "the server has an internal error"),
    "25P02": (TransactionError, "the transaction has failed; roll it back"),
    "25006": (Unavailable, "the server takes no writes now"),
    "28": (ConnectFailed, "the server refused the user or the password"),
    "3D": (ConnectFailed, "there is no such database"),
    "42P01": (SchemaMismatch, "the database lacks a table; its migrations are not up to date"),
    "42703": (SchemaMismatch, "the database lacks a column; its migrations are not up to date"),
}

_KINDS = {
    "23502": ConstraintKind.NOT_NULL,
    "23503": ConstraintKind.FOREIGN_KEY,
    "23505": ConstraintKind.UNIQUE,
    "23514": ConstraintKind.CHECK,
}

_LOST = ("08", "57P")
"""The connection or the server went away; what was under way may have happened."""


def translated(error: Exception, *, may_have_applied: bool) -> DataError:
    """The data layer's error for one of psycopg's; the caller raises it ``from`` the original.

    :param may_have_applied: whether a write was on its way, so that losing its answer leaves it unknown.
    """
    state = getattr(error, "sqlstate", None)
    if isinstance(error, psycopg.IntegrityError):
        return _constraint(error)
    if state is None and isinstance(error, psycopg.OperationalError):
        return lost(may_have_applied=may_have_applied)
    if state is not None and state.startswith(_LOST):
        return lost(may_have_applied=may_have_applied)
    for length in (5, 2):
        ours = _TABLE.get((state or "")[:length])
        if ours is not None:
            return ours[0](ours[1])
    # What is left is wrong SQL, or values that do not fit; the primary message names no values of other rows.
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return InvalidQuery(f"PostgreSQL refused the statement: {primary or error}")


def lost(*, may_have_applied: bool) -> DataError:
    """The connection broke while a statement was under way."""
    if may_have_applied:
        return OutcomeUnknown("the connection was lost before the write was confirmed")
    return Unavailable("the connection to the server was lost")


def _constraint(error: psycopg.IntegrityError) -> ConstraintViolated:
    kind = _KINDS.get(error.sqlstate or "")
    constraint = error.diag.constraint_name or ".".join(filter(None, (error.diag.table_name, error.diag.column_name)))
    where = f" on {constraint}" if constraint else ""
    line = _COPY_LINE.search(error.diag.context or "")
    row = int(line[1]) - 1 if line else None
    words = kind.value if kind else "integrity"
    return ConstraintViolated(
        f"the {words} constraint{where} does not hold", kind=kind, constraint=constraint or None, row=row
    )
