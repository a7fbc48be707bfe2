"""The change feed, from the log that triggers write in the SQLite file."""

from __future__ import annotations

import re
from typing import Final

from database.changes.feed import Changes
from database.changes.feed import ReadChanges
from database.changes.feed import as_change
from database.changes.feed import no_log
from database.core.errors import InvalidQuery
from database.core.errors import SchemaMismatch
from database.core.result import Result
from database.sql.connection import SqlConnection

LOG: Final = "isthmus_changes"
"""The table of the log. The random ``mark`` of an entry detects a replaced file or log."""

_END: Final = f"select seq, mark from {LOG} order by seq desc limit 1"  # noqa: S608  # a constant
_FROM: Final = f"select seq, mark, table_name, record_id, kind from {LOG} where seq >= ? order by seq limit ?"  # noqa: S608
_CURSOR: Final = re.compile(r"(\d{1,18}):([0-9a-f]{16})", re.ASCII)
"""The number and the mark of the last entry of a page."""


def read(connection: SqlConnection, operation: ReadChanges) -> Result:
    """Read one page of the log. SQLite has one writer at a time, so the numbers are in the order of the commits.

    :raises InvalidQuery: for an invalid cursor.
    :raises SchemaMismatch: if there is no log.
    """
    try:
        return Result(value=_read_page(connection, operation))
    except SchemaMismatch as error:
        raise no_log() from error.__cause__


def _read_page(connection: SqlConnection, operation: ReadChanges) -> Changes:
    if operation.cursor is None:
        return Changes((), _read_end(connection))
    entry = entry_of(operation.cursor)
    if entry is None:
        raise InvalidQuery("invalid change-feed cursor: it was not made by SQLite")
    # One statement, so that no purge can run in between; its first row must be the entry of the cursor.
    rows = connection.rows(_FROM, (entry[0], operation.limit + 2))
    if not rows or rows[0][:2] != entry:
        return Changes((), _read_end(connection), gap=True)
    page = rows[: operation.limit + 1]
    changes = tuple([as_change(row[2:]) for row in page[1:]])
    return Changes(changes, _cursor(*page[-1][:2]), more=len(rows) > len(page))


def _read_end(connection: SqlConnection) -> str:
    rows = connection.rows(_END, ())
    if not rows:
        raise no_log()
    return _cursor(*rows[0])


def _cursor(seq: int, mark: bytes) -> str:
    return f"{seq}:{mark.hex()}"


def entry_of(cursor: str) -> tuple[int, bytes] | None:
    """The number and the mark of the entry of a cursor; None for an invalid cursor."""
    match = _CURSOR.fullmatch(cursor)
    return None if match is None else (int(match[1]), bytes.fromhex(match[2]))
