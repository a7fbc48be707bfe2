"""The rows that one party of a transaction has read, with the transaction's changes applied."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal
from typing import NamedTuple

from database.backends.buffered.request import Seen
from database.backends.buffered.request import Step
from database.backends.buffered.request import Stored
from database.backends.memory.tables import Tables
from database.backends.memory.tables import shown
from database.core.operations import Delete
from database.core.operations import Operation
from database.core.operations import Update
from database.core.query.steps import Steps
from database.core.result import Result
from database.core.result import Row
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import parted

Key = tuple[str, str]
"""A table and an id."""


class Loaded(NamedTuple):
    """A row of the backend.

    :ivar row: the row, with a :class:`~database.core.tables.unreadable.ForeignValue` for each unreadable value.
    :ivar stored: the same row in the backend's own form.
    :ivar spoiled: whether it has an unreadable value.
    """

    row: Row
    stored: Stored
    spoiled: bool


class Replica(Tables):
    """Executes operations as on whole tables, provided that the rows they need were loaded before.

    Each record is loaded once, so reads are repeatable whatever other transactions commit meanwhile.

    :param steps: the transaction's changes, in order; changes made here are appended.
    :param party: number of the party that owns this replica; recorded in its steps.
    """

    def __init__(self, schema: Schema, steps: list[Step], party: int) -> None:
        super().__init__(schema)
        self._steps = steps
        self._party = party
        self._loaded: dict[Key, Loaded | None] = {}
        self._touched: set[Key] = set()
        self._taken = 0
        self._spoiled = False

    def execute(self, operation: Operation, deadline: float = math.inf) -> Result:
        result = super().execute(operation, deadline)
        if self._spoiled and result.rows:
            result.rows, result.unreadable = parted(self._schema.table(getattr(operation, "table", "")), result.rows)
        return result

    def load(self, table: TableSchema, rows: Iterable[Loaded]) -> None:
        """Add rows read from the backend, except records that are known already."""
        for loaded in rows:
            key = table.name, loaded.row["id"]
            if not self.knows(*key):
                self._loaded[key] = loaded
                self._put(table, loaded.row)
                self._spoiled = self._spoiled or loaded.spoiled

    def load_absence(self, table: str, record_id: str) -> None:
        """Record that the backend has no such record."""
        self._loaded.setdefault((table, record_id), None)

    def knows(self, table: str, record_id: str) -> bool:
        """Whether the replica knows if the record exists."""
        return (table, record_id) in self._loaded or (table, record_id) in self._touched

    def changed(self, table: str) -> set[str]:
        """The ids of the table's records that the transaction has changed."""
        return {record_id for name, record_id in self._touched if name == table}

    def seen(self, keys: Iterable[Key]) -> tuple[Seen, ...]:
        """The records of ``keys`` that were loaded, as they were when loaded."""
        known = [(key, self._loaded[key]) for key in keys if key in self._loaded]
        return tuple([Seen(*key, None if found is None else found.stored, self._party) for key, found in known])

    def catch_up(self) -> None:
        """Apply the steps that other parties have appended."""
        for step in self._steps[self._taken :]:
            if step.row is None:
                self._rows[step.table].pop(step.id, None)
            else:
                self._put(self._schema.table(step.table), step.row)
            self._touched.add((step.table, step.id))
        self._taken = len(self._steps)

    def undo_removed_steps(self) -> None:
        """Rebuild the rows from what was loaded and the remaining steps, after some steps were removed."""
        self._rows = {table.name: {} for table in self._schema}
        self._touched.clear()
        self._taken = 0
        for (table, _), loaded in self._loaded.items():
            if loaded is not None:
                self._put(self._schema.table(table), loaded.row)
        self.catch_up()

    def _targeted(self, schema: TableSchema, operation: Update | Delete, steps: Steps) -> list[Row]:
        found = super()._targeted(schema, operation, steps)
        # A row with an unreadable id cannot be addressed in the commit.
        return [row for row in found if isinstance(row["id"], str)] if self._spoiled else found

    def _store(self, schema: TableSchema, row: Row, index: int | None) -> None:
        kind: Literal["insert", "update"] = "update" if super()._exists(schema.name, row["id"]) else "insert"
        super()._store(schema, row, index)
        # A copy, because the caller receives the row too and may mutate it before the commit.
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
        """Whether a foreign key may refer to the record; the backend checks records that were not loaded at commit."""
        return super()._exists(table, record_id) or not self.knows(table, record_id)
