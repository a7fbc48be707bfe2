"""What the triggers in a SQLite file do to the rows that are written, as one connection knows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from database.backends.sqlite.errors import translated
from database.backends.sqlite.forking import FORKS
from database.sql.connection import Rewriting
from database.sql.table import Values

_QUERY = (
    "select coalesce(max(type = 'trigger' or sql like '%on conflict%'), 0), coalesce(max(type = 'view'), 0)"
    " from sqlite_schema where tbl_name = ? collate nocase and name not like 'isthmus\\_%\\_' || tbl_name escape '\\'"
)
"""Triggers of others, and constraints that drop rows, count as triggers; a view's are carried out instead."""

_COMPUTED = "select name from pragma_table_xinfo(?) where hidden > 1"
"""The columns that the database computes."""


class KnownTriggers:
    """What is known of each table, until the schema changes: another program may make a trigger at any time.

    :param execute: runs a statement on the connection.
    :param rows: runs a query with a deadline.
    """

    def __init__(
        self,
        db: apsw.Connection,
        execute: Callable[[str], apsw.Cursor],
        rows: Callable[[str, Values], list[tuple[Any, ...]]],
    ) -> None:
        self._db = db
        self._execute = execute
        self._rows = rows
        self._tables: dict[str, Rewriting] = {}
        self._schema_version: Any = None
        self._data_version: int | None = None
        self._is_current = False

    def of(self, table: str) -> Rewriting:
        """What the file does to the rows of a table."""
        # Nobody else changes the schema while this connection writes.
        if not (self._is_current and self._db.in_transaction):
            self._look_at_schema()
        found = self._tables.get(table)
        if found is None:
            ((triggers, rules),) = self._rows(_QUERY, (table,))
            computed = tuple([name for (name,) in self._rows(_COMPUTED, (table,))])
            found = self._tables[table] = Rewriting(bool(triggers), bool(rules), computed)
        return found

    def doubt(self) -> None:
        """Note that a statement of unknown text is about to run: it may change the schema."""
        self._is_current, self._data_version = False, None

    def control(self, text: str) -> None:
        """Run a transaction control statement."""
        is_current, self._is_current = self._is_current, False
        self._execute(text)
        if is_current and text == "commit":
            self._data_version = self._db.data_version()

    def _look_at_schema(self) -> None:
        # The number of the file's changes costs a twentieth of the query, but is right only while this one writes.
        writes = self._db.txn_state("main") == apsw.SQLITE_TXN_WRITE
        if not writes or self._db.data_version() != self._data_version:
            self._ask_for_version()
        self._is_current = True

    def _ask_for_version(self) -> None:
        FORKS.enter(self)
        try:
            ((version,),) = self._execute("pragma schema_version").fetchall()
        except apsw.Error as error:
            raise translated(error) from error
        finally:
            FORKS.leave(self)
        if version != self._schema_version:
            self._schema_version, self._tables = version, {}
