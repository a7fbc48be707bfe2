"""The part of the backend's tables that a transaction has seen, with the transaction's own changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal
from typing import NamedTuple

from database.adapters.buffered.request import Seen
from database.adapters.buffered.request import Step
from database.adapters.memory.tables import Tables
from database.adapters.memory.tables import shown
from database.core.result import Row
from database.core.schema import Schema
from database.core.schema import TableSchema

Key = tuple[str, str]
"""A table and an id."""


class Point(NamedTuple):
    """A state of a replica to go back to."""

    tables: Tables
    loaded: int
    steps: int


class Replica(Tables):
    """Operations work on it as on whole tables, provided that the rows they are about were loaded before.

    A record is loaded once: what the transaction has seen it sees again, whatever others do meanwhile.

    :ivar steps: the transaction's changes, in order.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.steps: list[Step] = []
        self._loaded: dict[Key, Row | None] = {}

    def load(self, table: TableSchema, rows: Iterable[Row]) -> None:
        """Take over rows of the backend."""
        for row in rows:
            key = table.name, row["id"]
            if key not in self._loaded and not self.knows(*key):
                self._loaded[key] = row
                self._put(table, row)

    def load_absence(self, table: str, record_id: str) -> None:
        """Take note that the backend has no such record."""
        self._loaded.setdefault((table, record_id), None)

    def knows(self, table: str, record_id: str) -> bool:
        """Whether it is known if the record exists."""
        return (table, record_id) in self._loaded or super()._exists(table, record_id)

    def changed(self, table: str) -> set[str]:
        """The ids of the table's records that the transaction has changed."""
        return {step.id for step in self.steps if step.table == table}

    def seen(self, keys: Iterable[Key]) -> tuple[Seen, ...]:
        """The records of ``keys`` that were loaded, as they were then."""
        return tuple(Seen(*key, self._loaded[key]) for key in keys if key in self._loaded)

    def point(self) -> Point:
        """The present state."""
        return Point(self.copy(), len(self._loaded), len(self.steps))

    def go_back(self, point: Point) -> None:
        """Undo the changes made since ``point``; what was loaded since is kept."""
        self._rows = point.tables.copy()._rows
        del self.steps[point.steps :]
        for (table, _), row in list(self._loaded.items())[point.loaded :]:
            if row is not None:
                self._put(self._schema.table(table), row)

    def _store(self, schema: TableSchema, row: Row, index: int | None) -> None:
        kind: Literal["insert", "update"] = "update" if super()._exists(schema.name, row["id"]) else "insert"
        super()._store(schema, row, index)
        # A copy: the caller gets the row as well, and may change it before the commit.
        own = shown(schema, self._rows[schema.name][row["id"]], tuple(row))
        self.steps.append(Step(kind, schema.name, row["id"], own))

    def _erase(self, schema: TableSchema, record_id: str) -> None:
        super()._erase(schema, record_id)
        self.steps.append(Step("delete", schema.name, record_id, None))

    def _exists(self, table: str, record_id: str) -> bool:
        """Whether a record may be referred to: of one that was not loaded, the backend decides at commit."""
        return super()._exists(table, record_id) or not self.knows(table, record_id)
