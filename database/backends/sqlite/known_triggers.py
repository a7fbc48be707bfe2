"""What the triggers in a SQLite file do to the rows that are written, as one connection knows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from database.sql.connection import Rewriting
from database.sql.many_rows import Values

_QUERY = (
    "select coalesce(max(type = 'trigger' or sql like '%on conflict%'), 0), coalesce(max(type = 'view'), 0)"
    " from sqlite_schema where tbl_name = ? collate nocase and name not like 'isthmus\\_%\\_' || tbl_name escape '\\'"
)
"""Triggers of others, and constraints that drop rows, count as triggers; a view's are carried out instead."""

_COMPUTED = "select name from pragma_table_xinfo(?) where hidden > 1"
"""The columns that the database computes."""

_CHANGES = frozenset({apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE})


class SchemaNotKnown(Exception):
    """The schema may have changed since it was looked at, and nothing was written: repeat the write in a transaction,
    where the schema is looked at first.
    """


class KnownTriggers:
    """What is known of each table, until the schema changes: another program may make a trigger at any time.

    A write relies on what is known, because a look at the schema would cost a twentieth of it. SQLite compiles a
    statement again if the schema has changed, and the authorizer then refuses the first write that relied on it.
    Once a write has passed, the schema stays as it is until the transaction ends.

    :param db: the connection.
    :param rows: runs a query on the connection, with its deadline.
    :ivar relies: whether the next write relies on what is known. False when an operation begins.
    :ivar is_current: whether it is certain in this transaction. False when one begins, and outside of them.
    """

    def __init__(self, db: apsw.Connection, rows: Callable[[str, Values], list[tuple[Any, ...]]]) -> None:
        self.relies = False
        self._db = db
        self._rows = rows
        self._tables: dict[str, Rewriting] = {}
        self._schema_version: Any = None
        self.is_current = False
        self._is_doubtful = False

    def of(self, table: str) -> Rewriting:
        """What the file does to the rows of a table. :raises SchemaNotKnown: outside of a transaction."""
        found = self._tables.get(table)
        if found is None or self._is_doubtful:
            return self._looked_up(table)
        self.relies = not self.is_current
        return found

    def confirm(self) -> None:
        """Note that a write that relied on what is known was executed."""
        self.relies, self.is_current = False, True

    def doubt(self) -> None:
        """Note that the schema has changed, or that a statement of unknown text is about to run and may change it."""
        self.relies, self.is_current, self._is_doubtful = False, False, True

    def look(self) -> None:
        """Look at the schema before several statements, which cannot be repeated in their transaction."""
        if not (self.is_current or self.relies):
            ((version,),) = self._rows("pragma schema_version", ())
            if version != self._schema_version:
                self._schema_version, self._tables = version, {}
            self.is_current, self._is_doubtful = True, False

    def authorize(self, action: int) -> int:
        """Whether a statement that does this may be compiled now: the answer of an authorizer."""
        return apsw.SQLITE_DENY if self.relies and action in _CHANGES else apsw.SQLITE_OK

    def _looked_up(self, table: str) -> Rewriting:
        if not self._db.in_transaction:
            raise SchemaNotKnown
        self.relies = False
        self.look()
        found = self._tables.get(table)
        if found is None:
            ((triggers, rules),) = self._rows(_QUERY, (table,))
            computed = tuple([name for (name,) in self._rows(_COMPUTED, (table,))])
            found = self._tables[table] = Rewriting(bool(triggers), bool(rules), computed)
        return found
