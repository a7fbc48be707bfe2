"""Many rows at once: by COPY into their table, or into a temporary one from which one statement writes them; and by one
statement for each, without waiting for each response.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final

import orjson
import psycopg
from psycopg import sql

from database.core.tables.schema import TableSchema
from database.internal_tables import place_of
from database.sql.statements import STAGED
from database.sql.table import Values

_AT_ONCE: Final = 2000
"""Rows whose text is made at a time."""

_NULL: Final = "\\N"
_ESCAPED: Final = (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
_BETWEEN: Final = "\0"
"""No text of PostgreSQL has this character."""

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
        for start in range(0, len(rows), _AT_ONCE):
            if (text := _copy_text(rows[start : start + _AT_ONCE])) is None:
                for row in rows[start:]:
                    copy.write_row(row)
                return
            copy.write(text)


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _copy_text(rows: Sequence[Values]) -> str | None:
    """The text of rows for COPY, made column by column, which costs a fraction of converting each value by itself.

    :returns: None if a column has values of an unusual type.
    """
    columns = []
    for values in zip(*rows, strict=True):
        if (made := _column(values)) is None:
            return None
        columns.append(made)
    return "".join([f"{line}\n" for line in map("\t".join, zip(*columns, strict=True))])


def _column(values: Sequence[Any]) -> Sequence[str] | None:
    types = {*map(type, values)}
    if types <= {type(None)}:
        return [_NULL] * len(values)
    nullable = type(None) in types
    types.discard(type(None))
    form = _FORMS.get(types.pop()) if len(types) == 1 else None
    if form is None:
        return None
    found = form([value for value in values if value is not None] if nullable else values)
    if found is None or not nullable:
        return found
    present: Iterator[str] = iter(found)
    return [_NULL if value is None else next(present) for value in values]


def _texts(values: Sequence[str]) -> list[str] | None:
    joined = _BETWEEN.join(values)
    for raw, escaped in _ESCAPED:
        joined = joined.replace(raw, escaped)
    found = joined.split(_BETWEEN)
    return found if len(found) == len(values) else None


def _moments(values: Sequence[datetime]) -> list[str]:
    if {value.tzinfo for value in values} != {UTC}:
        return [*map(str, values)]
    quoted: bytes = orjson.dumps(values)
    return quoted.decode()[2:-2].split('","')


_FORMS: Final[Mapping[type, Callable[[Sequence[Any]], list[str] | None]]] = {
    str: _texts,
    int: lambda values: [*map(str, values)],
    bool: lambda values: ["t" if value else "f" for value in values],
    datetime: _moments,
}
