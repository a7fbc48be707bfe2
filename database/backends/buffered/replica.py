"""The rows that one party of a transaction has read, with the transaction's changes applied."""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import NamedTuple

from database.backends.buffered.request import PENDING
from database.backends.buffered.request import RESET
from database.backends.buffered.request import Seen
from database.backends.buffered.request import Step
from database.backends.buffered.request import Stored
from database.backends.memory.constraints import Reference
from database.backends.memory.kept_rows import shown
from database.backends.memory.tables import Tables
from database.core.clock import utc_now
from database.core.errors import Unsupported
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Record
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import conditions
from database.core.query.steps import Steps
from database.core.result import Result
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import key_of
from database.core.tables.keys import parts_of
from database.core.tables.rows import SERVER_DEFAULT
from database.core.tables.rows import as_rows
from database.core.tables.rows import check_rows
from database.core.tables.rows import complete_rows
from database.core.tables.rows import new_values
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import parted

Place = tuple[str, Key]
"""A table and a key."""


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
    :param makes_defaults: whether the backend makes defaults that only a SQL database can make, at the commit.
    :ivar reserved: the numbers for the records without a key of the next operation.
    """

    def __init__(self, schema: Schema, steps: list[Step], party: int, *, makes_defaults: bool = False) -> None:
        super().__init__(schema)
        self._makes_defaults = makes_defaults
        self._steps = steps
        self._party = party
        self._loaded: dict[Place, Loaded | None] = {}
        self._touched: set[Place] = set()
        self._taken = 0
        self._spoiled = False
        self._pending: set[str] = set()
        self._made: set[Place] = set()
        self.reserved: Sequence[int] = ()

    def execute(self, operation: Operation, deadline: float = math.inf) -> Result:
        result = super().execute(operation, deadline)
        # A SQL database behind it may have triggers and computed columns.
        result.as_sent = result.as_sent and not self._makes_defaults
        if self._pending and getattr(operation, "table", "") in self._pending:
            self._hide_pending(operation, result)
        if self._spoiled and result.rows:
            result.rows, result.unreadable = parted(self._schema.table(getattr(operation, "table", "")), result.rows)
        return result

    def load(self, table: TableSchema, rows: Iterable[Loaded]) -> None:
        """Add rows read from the backend, except records that are known already."""
        for loaded in rows:
            place = table.name, key_of(table, loaded.row)
            if not self.knows(*place):
                self._loaded[place] = loaded
                self._put(table, loaded.row)
                self._spoiled = self._spoiled or loaded.spoiled

    def load_absence(self, table: str, key: Key) -> None:
        """Record that the backend has no such record."""
        self._loaded.setdefault((table, key), None)

    def knows(self, table: str, key: Key) -> bool:
        """Whether the replica knows if the record exists."""
        return (table, key) in self._loaded or (table, key) in self._touched

    def changed(self, table: str) -> set[Key]:
        """The keys of the table's records that the transaction has changed."""
        return {key for name, key in self._touched if name == table}

    def seen(self, places: Iterable[Place]) -> tuple[Seen, ...]:
        """The records at ``places`` that were loaded, as they were when loaded."""
        known = [(place, self._loaded[place]) for place in places if place in self._loaded]
        return tuple([Seen(*place, None if found is None else found.stored, self._party) for place, found in known])

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
        # A row with an unreadable key cannot be addressed in the commit.
        return [row for row in found if _is_readable(schema, row)] if self._spoiled else found

    def _store(self, schema: TableSchema, row: Row, index: int | None) -> None:
        key = key_of(schema, row)
        kind: Literal["insert", "update"] = "update" if super()._exists(schema.name, key) else "insert"
        if self._makes_defaults:
            row = {**dict.fromkeys([name for name in schema.server_made if name not in row], PENDING), **row}
        if _is_pending(row):
            # What else of the constraints holds, the backend checks.
            self._pending.add(schema.name)
            self._check_references(schema, row, index)
            self._put(schema, row)
        else:
            super()._store(schema, row, index)
        # A copy, because the caller receives the row too and may mutate it before the commit.
        own = shown(schema, self._rows[schema.name][key], tuple(row))
        made = kind == "insert" and (schema.name, key) in self._made
        self._add(Step(kind, schema.name, key, own, self._party, made=made))

    def _completed(self, schema: TableSchema, rows: Sequence[Record]) -> list[Row]:
        if not self._makes_defaults or not schema.server_made:
            return super()._completed(schema, rows)
        check_rows(schema, rows)
        # One by one, because each may leave other columns out.
        now = utc_now()
        return [made for row in rows for made in as_rows(complete_rows(schema, [row], now, server=False, later=True))]

    def _new_values(self, schema: TableSchema, operation: Update) -> Row:
        if not self._makes_defaults:
            return super()._new_values(schema, operation)
        values = new_values(schema, operation.values, utc_now())
        return {name: RESET if value is SERVER_DEFAULT else value for name, value in values.items()}

    def _hide_pending(self, operation: Operation, result: Result) -> None:
        """Leave the values that are yet to be made out of the rows of a write.

        :raises Unsupported: if a query asks for them.
        """
        if not isinstance(operation, Insert | Upsert | Update):
            made = set(self._schema.table(getattr(operation, "table", "")).server_made)
            where = {condition.column for condition in conditions(getattr(operation, "where", None))}
            asked = where.union(key.column for key in getattr(operation, "order", ()))
            if asked & made or any(map(_is_pending, result.rows)):
                raise Unsupported(
                    "reading",
                    detail=f"the database makes {', '.join(sorted(made))} of a new record at the commit; "
                    "read the record after it, or select other columns",
                )
        for row in result.rows:
            for name in [name for name, value in row.items() if value is PENDING or value is RESET]:
                del row[name]

    def _erase(self, schema: TableSchema, key: Key) -> None:
        super()._erase(schema, key)
        self._add(Step("delete", schema.name, key, None, self._party))

    def _add(self, step: Step) -> None:
        self._steps.append(step)
        self._touched.add((step.table, step.id))
        self._taken = len(self._steps)

    def _next_numbers(self, schema: TableSchema, count: int) -> Iterable[int]:
        # Only the backend knows which numbers are free.
        numbers, self.reserved = self.reserved, ()
        self._made |= {(schema.name, number) for number in numbers}
        return numbers

    def _exists(self, table: str, key: Key) -> bool:
        """Whether a foreign key may refer to the record; the backend checks records that were not loaded at commit."""
        return super()._exists(table, key) or not self.knows(table, key)

    def _has(self, reference: Reference, wanted: tuple[Any, ...]) -> bool:
        # Which records have values that are not their key, only the backend knows.
        return reference.others != self._schema.table(reference.other).key or super()._has(reference, wanted)


def _is_pending(row: Row) -> bool:
    return any(value is PENDING or value is RESET for value in row.values())


def _is_readable(schema: TableSchema, row: Row) -> bool:
    return all(isinstance(part, str | int) for part in parts_of(schema, key_of(schema, row)))
