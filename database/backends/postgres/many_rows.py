"""Many rows at once: by COPY into their table, or into a temporary one from which one statement writes them; and by one
statement for each, without waiting for each response.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import suppress
from typing import Any
from typing import Final

import psycopg
from psycopg import sql

from database.core.tables.schema import TableSchema
from database.internal_tables import place_of
from database.sql.statements import STAGED
from database.sql.table import Values

_MAKE: Final = sql.SQL("create temporary table {} on commit drop as select {} from {} with no data")


def execute_many(cursor: psycopg.Cursor[Any], text: str, rows: Iterable[Values]) -> None:
    """Run the statement once per row of values. :raises psycopg.Error: the first error; later rows are not run."""
    with ExitStack() as stack:
        stack.enter_context(cursor.connection.pipeline())
        try:
            cursor.executemany(text, rows)
        except psycopg.Error:
            # Exit the pipeline without the error; otherwise psycopg logs that the other statements were not executed.
            with suppress(psycopg.Error):
                stack.pop_all().close()
            raise


def copy_rows(cursor: psycopg.Cursor[Any], table: TableSchema, columns: Sequence[str], rows: Sequence[Values]) -> None:
    """Insert rows."""
    _copy(cursor, sql.Identifier(*place_of(table.source)), columns, rows)


def change_staged(
    cursor: psycopg.Cursor[Any], table: TableSchema, columns: Sequence[str], text: str, rows: Sequence[Values]
) -> None:
    """Run a statement that takes rows from the table ``STAGED``, which has columns of the types of ``table``."""
    staged = sql.Identifier(STAGED)
    cursor.execute(_MAKE.format(staged, _names(columns), sql.Identifier(*place_of(table.source))), prepare=False)
    _copy(cursor, staged, columns, rows)
    cursor.execute(text, prepare=False)
    cursor.execute(sql.SQL("drop table {}").format(staged), prepare=False)


def _copy(cursor: psycopg.Cursor[Any], into: sql.Identifier, columns: Sequence[str], rows: Sequence[Values]) -> None:
    with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(into, _names(columns))) as copy:
        write = copy.write_row
        for row in rows:
            write(row)


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
