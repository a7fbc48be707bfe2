"""Maps psycopg's errors to the data layer's errors."""

from __future__ import annotations

import re

import psycopg

from database.backends.postgres.sqlstates import error_for
from database.backends.postgres.sqlstates import lost
from database.backends.postgres.sqlstates import violation
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import Unavailable
from database.core.errors import lacking
from database.sql.texts.refusals import several_statements

_REFUSE_SERIALIZABLE = {"GetSerializableTransactionSnapshot", "call_enum_check_hook"}
"""The functions of PostgreSQL that refuse serializable transactions on a standby; their SQLSTATE is ambiguous."""

_ENDS = {"FATAL", "PANIC"}
"""Severities with which the server closes the connection, whatever the SQLSTATE."""

_EXTENDED = "exec_parse_message"
"""The function of PostgreSQL that refuses several statements in one text; distinguishes this from a syntax error."""

_MISSING = {"42P01": "table", "42703": "column"}
_NAMED = re.compile(r"(?:relation|table|column) \"?(.+?)\"? (?:of relation .*)?does not exist")
_COPY_LINE = re.compile(r"^COPY \S+, line (\d+)", re.M)


class OnStandby(Unavailable):
    """The server is a standby, which supports at most ``repeatable read``."""


def translated(error: Exception, *, may_have_applied: bool) -> DataError:
    """The data layer's error for one of psycopg's; the caller raises it ``from`` the original.

    :param may_have_applied: whether a write was under way, so that a lost response leaves its outcome unknown.
    """
    state = getattr(error, "sqlstate", None)
    if isinstance(error, psycopg.Error) and error.diag.severity_nonlocalized in _ENDS:
        return lost(may_have_applied=may_have_applied)
    if isinstance(error, psycopg.errors.FeatureNotSupported) and error.diag.source_function in _REFUSE_SERIALIZABLE:
        return OnStandby("the server is a standby, which does not support serializable transactions")
    if isinstance(error, psycopg.IntegrityError):
        return _constraint(error)
    if state is None and isinstance(error, psycopg.OperationalError):
        return lost(may_have_applied=may_have_applied)
    if state in _MISSING and (found := _NAMED.search(str(error))):
        return lacking(f"the {_MISSING[state]} {found[1]}")
    ours = error_for(state or "", may_have_applied=may_have_applied)
    if ours is not None:
        return ours
    if isinstance(error, psycopg.errors.SyntaxError) and error.diag.source_function == _EXTENDED:
        return several_statements()
    if isinstance(error, psycopg.errors.IndeterminateDatatype):
        return InvalidQuery(f"{error.diag.message_primary}; name its type in the statement, as in cast(:name as text)")
    # The rest is invalid SQL or values; the primary message does not contain values of other rows.
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return InvalidQuery(f"PostgreSQL refused the statement: {primary or error}")


def _constraint(error: psycopg.IntegrityError) -> ConstraintViolated:
    constraint = error.diag.constraint_name or ".".join(filter(None, (error.diag.table_name, error.diag.column_name)))
    line = _COPY_LINE.search(error.diag.context or "")
    return violation(error.sqlstate or "", constraint or None, int(line[1]) - 1 if line else None)
