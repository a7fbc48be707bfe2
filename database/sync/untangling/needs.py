"""What the writes of records need of each other, by the declared unique values and references of their tables.

A record can take a unique value once another one has freed it, refer to one that has been made, and go once no other
one refers to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from typing import Final
from typing import NamedTuple

from database.backends.memory.constraints import Reference
from database.backends.memory.constraints import Unique
from database.backends.memory.constraints import constraints_of
from database.backends.memory.constraints import references
from database.core.result import Row
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.sync.three_way_merge import MergeAction

FREED: Final = "freed"
MADE: Final = "made"
LEFT: Final = "left"

Values = tuple[str, tuple[str, ...], Any]
"""A table, some of its columns, and their values."""

Event = tuple[str, Values]
"""What a write does, or waits for: a unique value is freed, a record that is referred to is made, or it is left."""


class Needs(NamedTuple):
    """What one write waits for, and what it does for others."""

    requires: frozenset[Event]
    provides: frozenset[Event]


class Relations:
    """The constraints between the records of the synced tables of one side.

    :param suspecting: whether the values of every column count as unique: a database may have constraints that are not
        declared.
    """

    def __init__(self, schema: Schema, tables: Iterable[str], *, suspecting: bool = False) -> None:
        known = {name: schema.table(name) for name in tables}
        self.unique: dict[str, tuple[Unique, ...]] = {
            name: (*constraints_of(one).unique, *(_columns(one) if suspecting else ())) for name, one in known.items()
        }
        self.references: dict[str, list[Reference]] = {name: references(one) for name, one in known.items()}
        self._referred: dict[str, set[tuple[str, ...]]] = {name: set() for name in known}
        for one in self.references.values():
            for reference in one:
                if reference.other in self._referred:
                    self._referred[reference.other].add(reference.others)

    def needs(self, action: MergeAction) -> Needs:
        """What a write waits for and does."""
        if not action.writes:
            return Needs(frozenset(), frozenset())
        table, before, after = action.key.table, action.expected.row, action.row
        held, taken = (set(self.held(table, row)) for row in (before, after))
        old, new = (set(self.identities(table, row)) for row in (before, after))
        away, towards = ({values for _, values in self.links(table, row)} for row in (before, after))
        return Needs(
            frozenset(_events((FREED, taken - held), (MADE, towards - away), (LEFT, old - new))),
            frozenset(_events((FREED, held - taken), (MADE, new - old), (LEFT, away - towards))),
        )

    def held(self, table: str, row: Row | None) -> dict[Values, Unique]:
        """The unique values that a row has."""
        if row is None:
            return {}
        found = {}
        for unique in self.unique[table]:
            if all(row[name] is not None for name in unique.columns) and applies(unique, row):
                found[values_of(table, unique.columns, row)] = unique
        return found

    def links(self, table: str, row: Row | None) -> Iterator[tuple[Reference, Values]]:
        """What a row refers to, but for itself."""
        own = set(self.identities(table, row))
        for reference in self.references[table] if row is not None else ():
            if row is None or (wanted := reference.to(row)) is None:
                continue
            values = (reference.other, reference.others, _frozen(wanted))
            if values not in own:
                yield reference, values

    def identities(self, table: str, row: Row | None) -> Iterator[Values]:
        """The values of a row by which others may refer to it."""
        for columns in self._referred[table] if row is not None else ():
            if row is not None:
                yield values_of(table, columns, row)


def _columns(table: TableSchema) -> Iterator[Unique]:
    return (Unique((name,)) for name, one in table.columns.items() if name not in table.key and one.kind.comparable)


def applies(unique: Unique, row: Row) -> bool:
    """Whether a row is among those that must not have equal values."""
    return unique.where is None or unique.where(row) is True


def _events(*given: tuple[str, set[Values]]) -> Iterator[Event]:
    return ((what, values) for what, all_values in given for values in all_values)


def values_of(table: str, columns: tuple[str, ...], row: Row) -> Values:
    """The values of some columns of a row, to look them up."""
    return table, columns, _frozen(tuple([row[name] for name in columns]))


def _frozen(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, arrays in a form that can be looked up."""
    return tuple([repr(value) if isinstance(value, list | dict) else value for value in values])
