"""The steps of one transaction that carries out writes in the order of their needs.

The writes of a ring go in five steps: unique values that others of the ring are to get are set free, by null or by a
value that no other record has, and references to records that are to go are set to null; the new rows are written,
without references to rows that do not exist yet; these references are added; what is to go is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from typing import Final
from typing import NamedTuple

from database.backends.memory.constraints import Reference
from database.backends.memory.constraints import Unique
from database.backends.memory.constraints import constraints_of
from database.core.result import Row
from database.core.tables.schema import Column
from database.core.tables.schema import Schema
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import RecordKey
from database.sync.untangling.needs import FREED
from database.sync.untangling.needs import LEFT
from database.sync.untangling.needs import MADE
from database.sync.untangling.needs import Event
from database.sync.untangling.needs import Needs
from database.sync.untangling.needs import Relations
from database.sync.untangling.needs import Values
from database.sync.untangling.needs import applies
from database.sync.untangling.needs import values_of
from database.sync.untangling.ordering import Component
from database.sync.untangling.ordering import in_order
from database.sync.untangling.spare_values import is_rare
from database.sync.untangling.spare_values import spare_values

_NONE: Final[frozenset[Event]] = frozenset()

IsTaken = Callable[[str, Unique, Row], bool]
"""Whether another row of a table has the unique values of a row."""


class TableWrite(NamedTuple):
    """Rows of one table that are written, or records that are deleted."""

    table: str
    rows: Sequence[Row] = ()
    gone: Sequence[RecordKey] = ()


def in_order_of_needs(relations: Relations, actions: Sequence[MergeAction]) -> list[Component[MergeAction]]:
    """The actions in the order of their needs."""
    return in_order(actions, [relations.needs(one) for one in actions], [_sort(one) for one in actions])


class OrderedWrites:
    """Makes the steps of the writes of one side.

    :param is_taken: asks the database.
    """

    def __init__(self, schema: Schema, relations: Relations, is_taken: IsTaken) -> None:
        self._schema = schema
        self._relations = relations
        self._is_taken = is_taken

    def of(self, parts: Iterable[Component[MergeAction]]) -> Iterator[TableWrite]:
        """The steps of parts that stand in order."""
        for is_ring, some in groupby(parts, key=lambda part: part.is_ring):
            actions = [action for part in some for action in part.items if action.writes]
            yield from self._ring(actions) if is_ring else _steps(actions)

    def _ring(self, actions: Sequence[MergeAction]) -> Iterator[TableWrite]:
        needs = [self._relations.needs(action) for action in actions]
        required = frozenset[Event]().union(*(need.requires for need in needs))
        made = frozenset[Event]().union(*(need.provides for need in needs))
        spared = self._set_free(actions, required)
        yield from _written([(key.table, row) for key, row in spared.items()])
        rows = [(one.key.table, one.row, self._without(one.key.table, one.row, made)) for one in actions if one.row]
        yield from _written(self._parents_first([(table, first) for table, _, first in rows]))
        yield from _written([(table, row) for table, row, first in rows if first != row])
        gone = {one.key: spared.get(one.key, one.expected.row) for one in actions if one.row is None}
        yield from self._deletions([(key, row) for key, row in gone.items() if row is not None])

    def _set_free(self, actions: Sequence[MergeAction], required: frozenset[Event]) -> dict[RecordKey, Row]:
        """Those of the present rows that have what others of the ring wait for, without it."""
        spare: set[Values] = {values for what, values in required if what == FREED}
        changed = {}
        for action in actions:
            table, present = action.key.table, action.expected.row
            if present is None:
                continue
            row = present
            for values, unique in self._relations.held(table, present).items():
                if (FREED, values) in required:
                    row = self._spared(table, unique, row, spare)
            for reference, values in self._relations.links(table, present):
                if (LEFT, values) in required:
                    row = self._let_go(table, reference, row)
            if row != present:
                changed[action.key] = row
        return changed

    def _without(self, table: str, row: Row, made: frozenset[Event]) -> Row:
        """A new row without its references to rows of the ring that are made, as far as they can be null."""
        for reference, values in self._relations.links(table, row):
            if (MADE, values) in made:
                row = self._let_go(table, reference, row)
        return row

    def _let_go(self, table: str, reference: Reference, row: Row) -> Row:
        """The row with a reference to nothing; the same one if that is not possible."""
        for column in self._changeable(table, reference.columns):
            if column.nullable and self._is_valid(table, changed := row | {column.name: None}):
                return changed
        return row

    def _spared(self, table: str, unique: Unique, row: Row, spare: set[Values]) -> Row:
        """The row without its unique values; the same one if there are no others."""
        references = {name for one in self._relations.references[table] for name in one.columns}
        for column in sorted(self._changeable(table, unique.columns), key=lambda one: not one.nullable):
            for value in spare_values(column, row[column.name]):
                changed = row | {column.name: value}
                if (value is not None and column.name in references) or not self._is_valid(table, changed):
                    continue
                if value is None or not applies(unique, changed):
                    return changed
                values = values_of(table, unique.columns, changed)
                if values not in spare and (is_rare(column, value) or not self._is_taken(table, unique, changed)):
                    spare.add(values)
                    return changed
        return row

    def _changeable(self, table: str, names: Iterable[str]) -> list[Column]:
        schema = self._schema.table(table)
        return [schema.columns[name] for name in names if name not in schema.key]

    def _is_valid(self, table: str, row: Row) -> bool:
        return all(rule(row) is not False for _, rule in constraints_of(self._schema.table(table)).checks)

    def _parents_first(self, rows: Sequence[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
        """The rows behind those that they refer to."""
        needs = []
        for table, row in rows:
            towards = frozenset((MADE, values) for _, values in self._relations.links(table, row))
            needs.append(Needs(towards, frozenset((MADE, own) for own in self._relations.identities(table, row))))
        for part in in_order(rows, needs, [table for table, _ in rows]):
            yield from part.items

    def _deletions(self, gone: Sequence[tuple[RecordKey, Row]]) -> Iterator[TableWrite]:
        """Delete records behind those that refer to them."""
        needs = []
        for key, row in gone:
            held = frozenset((LEFT, own) for own in self._relations.identities(key.table, row))
            needs.append(Needs(held, frozenset((LEFT, values) for _, values in self._relations.links(key.table, row))))
        parts = in_order([key for key, _ in gone], needs, [key.table for key, _ in gone])
        for table, keys in groupby((key for part in parts for key in part.items), key=lambda key: key.table):
            yield TableWrite(table, gone=list(keys))


def _sort(action: MergeAction) -> tuple[Any, ...]:
    return action.key.table, action.deletes


def _steps(actions: Iterable[MergeAction]) -> Iterator[TableWrite]:
    for (table, deletes), some in groupby(actions, key=_sort):
        if deletes:
            yield TableWrite(table, gone=[action.key for action in some])
        else:
            yield TableWrite(table, [action.row for action in some if action.row is not None])


def _written(rows: Iterable[tuple[str, Row]]) -> Iterator[TableWrite]:
    for table, some in groupby(rows, key=lambda one: one[0]):
        yield TableWrite(table, [row for _, row in some])
