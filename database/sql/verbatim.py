"""Writes of rows exactly as they are given: with their own keys, versions and times, as sync copies them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Final
from typing import TypeVar

from database.core.operations import Insert
from database.core.operations import Upsert
from database.core.result import Result
from database.core.tables.columnar_rows import Columns
from database.sql.connection import Rewriting
from database.sql.connection import SqlConnection
from database.sql.dialect import SqlDialect
from database.sql.many_rows import ManyRows
from database.sql.many_rows import Values
from database.sql.table import SqlTable

Write = TypeVar("Write", Insert, Upsert)

_TOGETHER_FROM: Final = 20
"""Rows from which one statement that takes all as one value is faster than one for each."""


def write_verbatim(
    connection: SqlConnection,
    dialect: SqlDialect,
    table: SqlTable,
    operation: Write,
    rewriting: Rewriting,
    write: Callable[[Write], Result],
) -> Result:
    """Carry out a verbatim write with ``write``, and have the database number later records behind the given keys."""
    if rewriting.computed:
        # A copy of a row has them. What they are here, the database says.
        rows = [{name: row[name] for name in row if name not in rewriting.computed} for row in operation.rows]
        operation = replace(operation, rows=rows)
    with connection.atomic() if table.numbered else nullcontext():
        result = write(operation)
        if table.numbered:
            _pass_numbers(connection, dialect, table, operation)
    result.as_sent = not rewriting.any and not rewriting.computed
    return result


def upsert_many(connection: SqlConnection, dialect: SqlDialect, table: SqlTable, columns: Columns) -> None:
    """Store rows as they are, replacing existing rows as a whole.

    :param columns: the completed rows, encoded.
    """
    many = ManyRows(columns)
    if dialect.rows_of is not None and len(many) >= _TOGETHER_FROM and _are_distinct(table, columns):
        connection.change_together(table.schema, table.statements.upsert_together(many.names).text, many)
    else:
        connection.change_many(table.statements.upsert(many.names, many.names, ()).text, many.rows())
    recount(connection, dialect, table, columns)


def recount(connection: SqlConnection, dialect: SqlDialect, table: SqlTable, columns: Columns) -> None:
    """Give the rows the version and the time that a trigger has taken from them."""
    if not table.schema.versioned or not dialect.counts_afterwards:
        return
    names = [name for name in ("version", "updated_at") if name in columns]
    values = zip(*(columns[name] for name in (*names, *table.schema.key, "version")), strict=True)
    statement = table.statements.recount()
    connection.change_many(statement.text, [statement.bind(row) for row in values])


def _are_distinct(table: SqlTable, columns: Columns) -> bool:
    """Whether no two rows have one key: one statement cannot write a row twice."""
    keys: Sequence[Values] = list(zip(*[columns[name] for name in table.schema.key], strict=True))
    return len(set(keys)) == len(keys)


def _pass_numbers(connection: SqlConnection, dialect: SqlDialect, table: SqlTable, operation: Insert | Upsert) -> None:
    name, statement = table.schema.key[0], dialect.pass_number
    given = [row[name] for row in operation.rows if name in row]
    if given and statement is not None:
        quoted = dialect.compiler.identifier_preparer.format_table(table.schema.source)
        connection.rows(statement, (max(given), quoted, name))
