"""Many rows at once: by COPY into their table, as one value of a statement, or by one statement for each, without
waiting for each response; and many keys, as one value, too.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any
from typing import Final

import orjson
import psycopg
from psycopg import sql
from psycopg.adapt import PyFormat
from psycopg.adapt import Transformer
from psycopg.types.array import ListDumper

from database.core.kinds.values import JSON
from database.core.kinds.values import TIMESTAMP
from database.core.tables.columnar_rows import Columns
from database.core.tables.schema import TableSchema
from database.internal_tables import place_of
from database.sql.many_rows import ManyRows
from database.sql.many_rows import Values
from database.sql.record_maker import RecordMaker
from database.sql.record_maker import record_maker

_AT_ONCE: Final = 2000
"""Rows whose text is made at a time."""

_IN_ONE_VALUE: Final = 500
"""Rows of one value, which may take a gigabyte."""

_NULL: Final = "\\N"
_ESCAPED: Final = (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
_BETWEEN: Final = "\0"
"""No text of PostgreSQL has this character."""


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


def copy_rows(cursor: psycopg.Cursor[Any], table: TableSchema, many: ManyRows) -> None:
    """Insert rows."""
    into = sql.Identifier(*place_of(table.source))
    with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(into, _names(many))) as copy:
        texts = _copy_texts([*many.columns.values()]) if many.text is None else many.text
        for place, text in enumerate(texts):
            if text is None:
                for row in many.rows()[place * _AT_ONCE :]:
                    copy.write_row(row)
                return
            copy.write(text)


def row_texts(connection: psycopg.Connection[Any], table: TableSchema, many: ManyRows) -> Iterator[str]:
    """The rows as JSON arrays of objects, a part at a time, for a statement that takes them as one value."""
    written = Transformer(connection)

    def other(value: Any) -> str:
        return bytes(written.get_dumper(value, PyFormat.TEXT).dump(value) or b"").decode()

    documents = frozenset(name for name in many.names if table.columns[name].kind is JSON)
    records = _records_of(many.names, documents)
    rows = zip(*many.columns.values(), strict=True)
    while part := [*islice(rows, _IN_ONE_VALUE)]:
        yield orjson.dumps(records(part), other).decode()


@lru_cache(maxsize=256)
def _records_of(names: tuple[str, ...], documents: frozenset[str]) -> RecordMaker:
    """Makes rows of these columns into records, in which each document is the text that it is already."""
    return record_maker(names, dict.fromkeys(documents, orjson.Fragment))


def copy_texts(columns: Columns) -> list[str] | None:
    """The text of rows for COPY, in parts.

    :returns: None if a column has values of an unusual type.
    """
    texts: list[str] = []
    for text in _copy_texts([*columns.values()]):
        if text is None:
            return None
        texts.append(text)
    return texts


class TextListDumper(ListDumper):
    """Writes a list of texts at once, in a tenth of the time that psycopg takes for one after the other."""

    def dump(self, obj: list[Any]) -> Any:
        if {*map(type, obj)} != {str} or self.delimiter != b",":
            return super().dump(obj)
        joined = _BETWEEN.join(obj)
        # Of one that has the character itself, psycopg says what is wrong.
        if joined.count(_BETWEEN) != len(obj) - 1:
            return super().dump(obj)
        escaped = joined.replace("\\", "\\\\").replace('"', '\\"').replace(_BETWEEN, '","')
        encoding = "utf-8" if self.connection is None else self.connection.info.encoding
        return f'{{"{escaped}"}}'.encode(encoding)


def _names(many: ManyRows) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, many.names))


def _copy_texts(columns: Sequence[Values]) -> Iterator[str | None]:
    """The text of rows for COPY, in parts; None in the place of one with values of an unusual type, at the end.

    It is made column by column, which costs a fraction of converting each value by itself.
    """
    for start in range(0, len(columns[0]), _AT_ONCE):
        made = [_column(values[start : start + _AT_ONCE]) for values in columns]
        lines = None if None in made else map("\t".join, zip(*made, strict=True))
        yield None if lines is None else "\n".join([*lines, ""])
        if lines is None:
            return


def _column(values: Sequence[Any]) -> Sequence[str] | None:
    types = {*map(type, values)}
    if types <= {type(None)}:
        return [_NULL] * len(values)
    if len(types) == 1 and 1 < len(values) == values.count(values[0]):
        # As of many columns of the bases of sync.
        one = _column(values[:1])
        return None if one is None else [*one] * len(values)
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


def _texts(values: Sequence[str]) -> Sequence[str] | None:
    joined = _BETWEEN.join(values)
    if joined.count(_BETWEEN) != len(values) - 1:
        return None
    if not any(raw in joined for raw, _ in _ESCAPED):
        return values
    for raw, escaped in _ESCAPED:
        joined = joined.replace(raw, escaped)
    return joined.split(_BETWEEN)


def _moments(values: Sequence[datetime]) -> list[str]:
    if not TIMESTAMP.accepts_all(values):
        return [*map(str, values)]
    quoted: bytes = orjson.dumps(values)
    return quoted.decode()[2:-2].split('","')


_FORMS: Final[Mapping[type, Callable[[Sequence[Any]], Sequence[str] | None]]] = {
    str: _texts,
    int: lambda values: [*map(str, values)],
    bool: lambda values: ["t" if value else "f" for value in values],
    datetime: _moments,
}
