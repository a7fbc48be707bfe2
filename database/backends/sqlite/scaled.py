"""Decimals in SQL text: SQLite stores them as integers, which SQL would compute with and compare as such.

A statement may return such a column as it is, because its values are then decoded. Every other use is refused. SQLite
itself tells the uses, while it compiles a statement: its authorizer is called for each column that is read or updated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Final

import apsw

from database.core.errors import InvalidQuery
from database.core.tables.schema import TableSchema
from database.sql.texts.answers import Origin

_IS_TRIGGER: Final = "select count(*) from sqlite_schema where type = 'trigger' and name = ? collate nocase"
_IMPLICIT: Final = re.compile(r"\b(?:natural|using)\b", re.I)
"""Joins that compare columns without naming them in a condition, of which SQLite does not tell."""

_LISTED: Final = re.compile(
    r"""(?:(?!\binto\b).)*\binto\s+(?:"[^"]*"|\[[^]]*\]|`[^`]*`|[\w.$])+\s*(?:as\s+[\w$]+\s*)?\((?!\s*(?:select|with|values)\b)""",
    re.I | re.S,
)
"""An INSERT that names its columns."""


class ScaledColumns:
    """Watches what the SQL text of one connection does with columns that are stored as scaled integers."""

    def __init__(self, db: apsw.Connection, columns: frozenset[Origin]) -> None:
        self._db = db
        self._columns = columns
        self._tables = {table for table, _ in columns}
        self._watching = False
        self._reads: list[tuple[Origin, str | None]] = []
        self._changed: list[Origin] = []
        self._inserted: list[str] = []
        self._selects: list[str | None] = []

    def begin(self) -> None:
        """Watch the compilation of the next statement."""
        self._watching = True
        self._reads, self._changed, self._inserted, self._selects = [], [], [], []

    def note(
        self, action: int, first: str | None, second: str | None, database: str | None, inside: str | None
    ) -> None:
        """Note what a statement does; called with the arguments of an authorizer."""
        if not self._watching:
            return
        if action == apsw.SQLITE_SELECT:
            self._selects.append(inside)
        elif database == "main" and first in self._tables:
            origin = (str(first), str(second))
            if action == apsw.SQLITE_READ and origin in self._columns:
                self._reads.append((origin, inside))
            elif action == apsw.SQLITE_UPDATE and origin in self._columns and inside is None:
                self._changed.append(origin)
            elif action == apsw.SQLITE_INSERT and inside is None:
                self._inserted.append(origin[0])

    def check(self, text: str, origins: Sequence[Origin | None]) -> None:
        """Check the statement that was compiled since :meth:`begin`.

        :param origins: of its result's columns. :raises InvalidQuery: names the column and what to do.
        """
        self._watching = False
        reads = [(origin, inside) for origin, inside in self._reads if not self._is_trigger(inside)]
        if self._changed:
            raise _refused(self._changed[0])
        for table in self._inserted:
            self._check_insert(text, table)
        if not reads:
            return
        returned = Counter(origin for origin in origins if origin in self._columns)
        selects = [inside for inside in self._selects if not self._is_trigger(inside)]
        inside_another = any(inside is not None for _, inside in reads) or len(selects) > 1
        if inside_another or returned != Counter(origin for origin, _ in reads) or _IMPLICIT.search(text):
            raise _refused(reads[0][0])

    def _check_insert(self, text: str, table: str) -> None:
        lower = text.lower()
        named = _LISTED.match(text) is not None
        for origin in sorted(self._columns):
            if origin[0] == table and (not named or '"' in origin[1] or origin[1].lower() in lower):
                raise _refused(origin)

    def _is_trigger(self, inside: str | None) -> bool:
        """Whether this is a trigger, whose statements are the database's own; otherwise it is a view or a query."""
        return inside is not None and bool(self._db.execute(_IS_TRIGGER, (inside,)).fetchall()[0][0])


def scaled_columns(schema: Iterable[TableSchema]) -> frozenset[Origin]:
    """The columns that SQLite stores as scaled integers."""
    return frozenset(
        (table.name, name) for table in schema for name, column in table.columns.items() if column.kind.scaled
    )


def _refused(origin: Origin) -> InvalidQuery:
    table, column = origin
    return InvalidQuery(
        f"SQL text can only return the Numeric column {table}.{column} as it is, from one SELECT or by RETURNING,"
        f" because SQLite stores it as a scaled integer; filter, sort, compute and write it with table({table!r})"
    )
