"""Maps PostgreSQL's error codes (SQLSTATE) to errors, for all transports; the longest prefix wins."""

from __future__ import annotations

from database.core.errors import ConnectFailed
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.errors import SchemaMismatch
from database.core.errors import SerializationFailure
from database.core.errors import Stopped
from database.core.errors import Throttled
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.core.errors import Unavailable
from database.core.errors import lost_answer

_TABLE: dict[str, tuple[type[DataError], str]] = {
    "40001": (
        SerializationFailure,
        "another transaction changed rows that this one has read or written; run this transaction again",
    ),
    "40P01": (SerializationFailure, "the transaction was rolled back to resolve a deadlock; run it again"),
    "428C9": (InvalidQuery, "a column that the database always makes was given; leave it out"),
    "2200H": (InvalidQuery, "the sequence that numbers the records has reached its end"),
    "42501": (PermissionDenied, "the database's grants or row level security policies do not permit this operation"),
    "55P03": (TimedOut, "a lock could not be acquired before the lock timeout"),
    "57014": (Stopped, "the statement ran until the deadline and was stopped"),
    "53300": (Throttled, "the server has no free connection slots"),
    "53": (Unavailable, "the server is out of resources"),
    "58": (Unavailable, "the server had an input or output error"),
    "XX": (Unavailable, "the server had an internal error"),
    "25P02": (TransactionError, "an earlier statement of the transaction has failed; roll it back"),
    "25006": (Unavailable, "the server is read-only; it may be a standby"),
    "28": (ConnectFailed, "the server rejected the user or the password"),
    "3D": (ConnectFailed, "the database does not exist"),
    "42P01": (SchemaMismatch, "the database lacks a table; run its migrations (flask db upgrade)"),
    "42703": (SchemaMismatch, "the database lacks a column; run its migrations (flask db upgrade)"),
}

_KINDS = {
    "23502": ConstraintKind.NOT_NULL,
    "23503": ConstraintKind.FOREIGN_KEY,
    "23505": ConstraintKind.UNIQUE,
    "23514": ConstraintKind.CHECK,
}

_LOST = ("08", "57P", "25P03", "25P04")
"""Prefixes of codes that mean that the connection was lost, so that a statement under way may have been applied."""


def error_for(state: str, *, may_have_applied: bool) -> DataError | None:
    """The data layer's error for a code outside class 23; None if the statement itself is invalid.

    :param may_have_applied: whether a write was under way, so that a lost response leaves its outcome unknown.
    """
    if state.startswith(_LOST):
        return lost(may_have_applied=may_have_applied)
    for length in (5, 2):
        ours = _TABLE.get(state[:length])
        if ours is not None:
            return ours[0](ours[1])
    return None


def lost(*, may_have_applied: bool) -> DataError:
    """The error for a connection lost while a statement was under way."""
    return lost_answer("the connection to the server was lost", reads=not may_have_applied)


def violation(state: str, constraint: str | None, row: int | None) -> ConstraintViolated:
    """The error for a code of class 23.

    :param constraint: its name, or ``table.column``, if known.
    :param row: the zero-based index of the refused row, if known.
    """
    kind = _KINDS.get(state)
    where = f" on {constraint}" if constraint else ""
    words = kind.value if kind else "integrity"
    return ConstraintViolated(f"the {words} constraint{where} is violated", kind=kind, constraint=constraint, row=row)
