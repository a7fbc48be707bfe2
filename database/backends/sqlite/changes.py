"""The log of changes that triggers keep in a SQLite file, as a feed."""

from __future__ import annotations

import re
from typing import Final

from database.changes.feed import Change
from database.changes.feed import Changes
from database.changes.feed import ReadChanges
from database.changes.feed import no_log
from database.core.errors import InvalidQuery
from database.core.errors import SchemaMismatch
from database.core.result import Result
from database.sql.operations import SqlConnection

LOG: Final = "isthmus_changes"
"""The table. An entry's ``mark`` is random."""

_END: Final = f"select seq, mark from {LOG} order by seq desc limit 1"  # noqa: S608  # a constant
_FROM: Final = f"select seq, mark, table_name, record_id, kind from {LOG} where seq >= ? order by seq limit ?"  # noqa: S608
_CURSOR: Final = re.compile(r"(\d{1,18}):([0-9a-f]{16})", re.ASCII)
"""The last entry that was told: its number and its mark."""


def read(connection: SqlConnection, operation: ReadChanges) -> Result:
    """A page of the log: one writer at a time makes the order of its numbers that of the commits.

    :raises InvalidQuery: for a cursor that is none.
    :raises SchemaMismatch: if there is no log.
    """
    try:
        return Result(value=_page(connection, operation))
    except SchemaMismatch as error:
        raise no_log() from error.__cause__


def _page(connection: SqlConnection, operation: ReadChanges) -> Changes:
    if operation.cursor is None:
        return Changes((), _end(connection))
    entry = entry_of(operation.cursor)
    if entry is None:
        raise InvalidQuery("this is no cursor of a feed of SQLite")
    # One statement, so that no purge comes in between; the first row is the one that the cursor tells of.
    rows = connection.rows(_FROM, (entry[0], operation.limit + 2))
    if not rows or rows[0][:2] != entry:
        return Changes((), _end(connection), gap=True)
    told = rows[: operation.limit + 1]
    return Changes(tuple(Change(*row[2:]) for row in told[1:]), _cursor(*told[-1][:2]), more=len(rows) > len(told))


def _end(connection: SqlConnection) -> str:
    rows = connection.rows(_END, ())
    if not rows:
        raise no_log()
    return _cursor(*rows[0])


def _cursor(seq: int, mark: bytes) -> str:
    return f"{seq}:{mark.hex()}"


def entry_of(cursor: str) -> tuple[int, bytes] | None:
    """The number and the mark of the entry that a cursor tells of; None for what is no cursor of SQLite."""
    match = _CURSOR.fullmatch(cursor)
    return None if match is None else (int(match[1]), bytes.fromhex(match[2]))
