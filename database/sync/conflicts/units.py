"""Records that conflict as a whole: one function resolves all of them together.

A unit has the records of its tables that have equal values in its columns, such as all bookings of one slot. If both
sides have changed records of a unit since they last agreed, be it the same record or others, the function gets all of
these, and returns the rows of all. The rows are written in one transaction on each side, unless the database refuses
one of them.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from typing import Final

from database.core.errors import InvalidQuery
from database.core.errors import RequestError
from database.core.errors import UnreadableRecord
from database.core.result import Row
from database.core.tables.schema import TableSchema
from database.sync.canonical_rows import CanonicalRows
from database.sync.conflicts.results import above_replaced
from database.sync.conflicts.results import row_of
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import Resolution
from database.sync.three_way_merge import changed_sides
from database.sync.three_way_merge import next_action
from database.sync.three_way_merge import resolved

logger = logging.getLogger(__name__)

_RULE: Final = "unit"
_MOST_ROUNDS: Final = 10
"""How often records are read that share a unit with those read before, which may belong to several."""

Place = tuple[int, tuple[Any, ...]]
"""A unit: the number of its declaration, and the values of its columns."""

ReadStates = Callable[[Sequence[RecordKey]], Sequence[RecordState]]
FindKeys = Callable[[str, tuple[str, ...], Sequence[tuple[Any, ...]]], Iterable[RecordKey]]
"""The records of a table that have one of these combinations of values on either side."""

Errors = dict[RecordKey, RequestError | UnreadableRecord]


@dataclass(frozen=True, slots=True)
class UnitChange:
    """A record of a unit that one side or both have changed.

    :ivar base: the row that both sides agreed on; None if there was none, or if it is not known.
    :ivar first: the first side's row; None if it has none.
    :ivar second: the second side's row; None if it has none.
    """

    table: str
    id: str
    base: Row | None
    first: Row | None
    second: Row | None


ResolveUnit = Callable[[Sequence[UnitChange]], Mapping[tuple[str, str], Mapping[str, Any] | None]]
"""Takes the changes of a unit; returns by table and id the row of each record for both sides, or None for no row."""


@dataclass(frozen=True, slots=True)
class ConflictUnit:
    """Records that are resolved together.

    :ivar tables: for each table the columns whose values the records of a unit have in common; for all tables as many.
    """

    tables: Mapping[str, Sequence[str]]
    resolve: ResolveUnit


class Units:
    """The units of the synced tables.

    :ivar tables: those with units.
    :raises ValueError: if one names an unknown table or column, or one without an order.
    """

    def __init__(self, units: Sequence[ConflictUnit], tables: Mapping[str, TableSchema]) -> None:
        self._units = units
        self._tables = tables
        self._forms: dict[str, CanonicalRows] = {}
        self._places_of: defaultdict[str, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
        for number, unit in enumerate(units):
            for table, columns in _checked(unit, tables):
                self._places_of[table].append((number, columns))
                self._forms[table] = CanonicalRows(tables[table])
        self.tables = frozenset(self._places_of)

    def actions(
        self, states: Iterable[RecordState], read: ReadStates, find: FindKeys, failed: Errors
    ) -> dict[RecordKey, MergeAction | None]:
        """The actions for the records whose units are in conflict, also for those of their units beyond these.

        :param failed: gets the records whose unit has no result; their action is None.
        """
        changed = [state for state in states if state.key.table in self._places_of and changed_sides(state)]
        found: dict[RecordKey, MergeAction | None] = {}
        for number, members in self._members(changed, read, find) if changed else ():
            if {side for state in members for side in changed_sides(state)} != set(SIDES):
                continue
            try:
                found |= self._resolved(self._units[number], members)
            except (RequestError, UnreadableRecord) as error:
                failed |= {state.key: error for state in members}
                found |= {state.key: None for state in members}
        return found

    def _members(
        self, changed: Sequence[RecordState], read: ReadStates, find: FindKeys
    ) -> Iterator[tuple[int, list[RecordState]]]:
        """The changed records of each unit, and the number of its declaration."""
        members = {state.key: state for state in changed}
        known: set[Place] = set()
        for _ in range(_MOST_ROUNDS):
            places = {place for state in members.values() for place in self._places(state)} - known
            if not places:
                break
            known |= places
            keys = set(self._found(places, find)) - members.keys()
            members |= {state.key: state for state in read(sorted(keys)) if changed_sides(state)}
        return self._together(members.values())

    def _found(self, places: Iterable[Place], find: FindKeys) -> Iterator[RecordKey]:
        values: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for number, one in places:
            values[number].append(one)
        for table, declared in self._places_of.items():
            for number, columns in declared:
                if number in values:
                    yield from find(table, columns, values[number])

    def _together(self, states: Iterable[RecordState]) -> Iterator[tuple[int, list[RecordState]]]:
        """The records in parts that share no unit with each other."""
        parts: list[tuple[set[Place], list[RecordState]]] = []
        for state in states:
            places, members = set(self._places(state)), [state]
            for part in [part for part in parts if not part[0].isdisjoint(places)]:
                parts.remove(part)
                places, members = places | part[0], part[1] + members
            parts.append((places, members))
        for places, members in parts:
            if places:
                yield min(number for number, _ in places), sorted(members, key=lambda state: state.key)

    def _places(self, state: RecordState) -> Iterator[Place]:
        """The units that a record belongs to, or did when both sides agreed."""
        for row in (state.first.row, state.second.row, self._base(state)):
            for number, columns in self._places_of[state.key.table]:
                values = () if row is None else tuple([row[name] for name in columns])
                if values and None not in values:
                    yield number, values

    def _base(self, state: RecordState) -> Row | None:
        base = state.newest_base()
        return None if base is None else self._forms[state.key.table].row(base.text)

    def _resolved(self, unit: ConflictUnit, states: Sequence[RecordState]) -> dict[RecordKey, MergeAction | None]:
        """Call the application's function. :raises RequestError: if it does not return valid rows."""
        if fault := next((fault for state in states if (fault := state.first.fault or state.second.fault)), None):
            raise fault
        changes = [
            deepcopy(UnitChange(*state.key, self._base(state), state.first.row, state.second.row)) for state in states
        ]
        try:
            made = dict(unit.resolve(changes))
        except Exception as error:
            logger.exception("the function of a conflict_unit failed for records of %s", ", ".join(unit.tables))
            raise InvalidQuery(f"the function of a conflict_unit raised {type(error).__name__}; see the log") from error
        if made.keys() != {tuple(state.key) for state in states}:
            raise InvalidQuery(
                "the function of a conflict_unit must return a row, or None, for each record it is given"
            )
        return {state.key: self._action(state, made[state.key]) for state in states}

    def _action(self, state: RecordState, made: Mapping[str, Any] | None) -> MergeAction | None:
        table, form = self._tables[state.key.table], self._forms[state.key.table]
        row = row_of(table, state.key.id, made, "the function of a conflict_unit")
        row = above_replaced(table, form, state, row)
        resolution = Resolution(_RULE, row, form.text(row))
        sides = changed_sides(state)
        if len(sides) == 1 and state.of(sides[0]).text == resolution.text:
            # Nothing is lost, so nothing is written to the journal.
            return next_action(state, lambda _: resolution)
        return resolved(state, resolution)


def _checked(unit: ConflictUnit, tables: Mapping[str, TableSchema]) -> Iterator[tuple[str, tuple[str, ...]]]:
    numbers = set()
    for table, columns in unit.tables.items():
        if table not in tables:
            raise ValueError(f"names a table that is not synced: {table}")
        if isinstance(columns, str) or not columns:
            raise ValueError(f"must have a list of columns for table {table}")
        for name in columns:
            if name not in tables[table].columns or not tables[table].columns[name].kind.comparable:
                raise ValueError(f"names {table}.{name}, which is no column whose values can be compared")
        numbers.add(len(columns))
        yield table, tuple(columns)
    if len(numbers) != 1 or not callable(unit.resolve):
        raise ValueError("must have a function, and tables with as many columns each")
