"""The part of the backend's tables that somebody has seen in a transaction, with the transaction's changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from database.adapters.buffered.request import Seen
from database.adapters.buffered.request import Step
from database.adapters.memory.tables import Tables
from database.adapters.memory.tables import shown
from database.core.result import Row
from database.core.schema import Schema
from database.core.schema import TableSchema

Key = tuple[str, str]
"""A table and an id."""


class Replica(Tables):
    """Operations work on it as on whole tables, provided that the rows they are about were loaded before.

    A record is loaded once: what the transaction has seen it sees again, whatever others do meanwhile.

    :param steps: the transaction's changes, in order; those made here are added.
    :param party: the number of whom it is for, which their steps get.
    """

    def __init__(self, schema: Schema, steps: list[Step], party: int) -> None:
        super().__init__(schema)
        self._steps = steps
        self._party = party
        self._loaded: dict[Key, Row | None] = {}
        self._touched: set[Key] = set()
        self._taken = 0

    def load(self, table: TableSchema, rows: Iterable[Row]) -> None:
        """Take over rows of the backend."""
        for row in rows:
            key = table.name, row["id"]
            if not self.knows(*key):
                self._loaded[key] = row
                self._put(table, row)

    def load_absence(self, table: str, record_id: str) -> None:
        """Take note that the backend has no such record."""
        self._loaded.setdefault((table, record_id), None)

    def knows(self, table: str, record_id: str) -> bool:
        """Whether it is known if the record exists."""
        return (table, record_id) in self._loaded or (table, record_id) in self._touched

    def changed(self, table: str) -> set[str]:
        """The ids of the table's records that the transaction has changed."""
        return {record_id for name, record_id in self._touched if name == table}

    def seen(self, keys: Iterable[Key]) -> tuple[Seen, ...]:
        """The records of ``keys`` that were loaded, as they were then."""
        return tuple(Seen(*key, self._loaded[key], self._party) for key in keys if key in self._loaded)

    def catch_up(self) -> None:
        """Take over the steps that were made elsewhere."""
        for step in self._steps[self._taken :]:
            if step.row is None:
                self._rows[step.table].pop(step.id, None)
            else:
                self._put(self._schema.table(step.table), step.row)
            self._touched.add((step.table, step.id))
        self._taken = len(self._steps)

    def go_back(self) -> None:
        """Forget the steps that are gone; what was loaded is kept."""
        self._rows = {table.name: {} for table in self._schema}
        self._touched.clear()
        self._taken = 0
        for (table, _), row in self._loaded.items():
            if row is not None:
                self._put(self._schema.table(table), row)
        self.catch_up()

    def _store(self, schema: TableSchema, row: Row, index: int | None) -> None:
        kind: Literal["insert", "update"] = "update" if super()._exists(schema.name, row["id"]) else "insert"
        super()._store(schema, row, index)
        # A copy: the caller gets the row as well, and may change it before the commit.
        own = shown(schema, self._rows[schema.name][row["id"]], tuple(row))
        self._add(Step(kind, schema.name, row["id"], own, self._party))

    def _erase(self, schema: TableSchema, record_id: str) -> None:
        super()._erase(schema, record_id)
        self._add(Step("delete", schema.name, record_id, None, self._party))

    def _add(self, step: Step) -> None:
        self._steps.append(step)
        self._touched.add((step.table, step.id))
        self._taken = len(self._steps)

    def _exists(self, table: str, record_id: str) -> bool:
        """Whether a record may be referred to: of one that was not loaded, the backend decides at commit."""
        return super()._exists(table, record_id) or not self.knows(table, record_id)
