"""What goes with a deleted record: records that refer to it, and that the database deletes or changes by itself.

They are reconciled first, because they may have been moved to other records. One that is new, or has been moved to the
deleted record, is deleted with a row in the journal. One that was moved away from it on the other side, and cannot be
synced, keeps the record from being deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

from database.backends.memory.constraints import Reference
from database.backends.memory.constraints import referrers
from database.core.errors import ConstraintViolated
from database.core.errors import RequestError
from database.core.result import Row
from database.core.tables.keys import address_of
from database.core.tables.schema import Schema
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import NextAction
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import Resolution
from database.sync.three_way_merge import SideName
from database.sync.three_way_merge import resolved

CASCADE: Final = "cascade"
"""The rule in the journal."""

FindRows = Callable[[str, tuple[str, ...], Sequence[tuple[Any, ...]]], Iterable[Row]]
"""The rows of a table with one of these combinations of values of some columns."""


@dataclass(slots=True)
class Dependent:
    """A record that goes with others.

    :ivar goes: whether it is deleted with them, and not only changed.
    :ivar parents: the records that it refers to.
    """

    goes: bool = False
    parents: set[RecordKey] = field(default_factory=set)


def dependents(
    schema: Schema, tables: Iterable[str], gone: Mapping[RecordKey, Row], written: Container[RecordKey], find: FindRows
) -> dict[RecordKey, Dependent]:
    """What goes with deleted records, the farthest first.

    :param tables: the synced tables.
    :param written: records that are deleted or written with the deleted ones, and so do not go with them.
    """
    acting = {
        name: [one for one in referrers(schema, name) if one.action in {"CASCADE", "SET NULL"}] for name in tables
    }
    found: dict[RecordKey, Dependent] = {}
    waiting: list[tuple[RecordKey, Row]] = list(gone.items())
    while waiting:
        level, waiting = waiting, []
        for reference, parents in _references(acting, level):
            for row in find(reference.table.name, reference.columns, list(parents)):
                key = RecordKey(reference.table.name, address_of(reference.table, row))
                if key in written:
                    continue
                goes = reference.action == "CASCADE"
                if goes and not (key in found and found[key].goes):
                    waiting.append((key, row))
                one = found.setdefault(key, Dependent())
                one.goes = one.goes or goes
                one.parents.add(parents[tuple([row[name] for name in reference.columns])])
    return dict(reversed(found.items()))


def _references(
    acting: Mapping[str, Sequence[Reference]], records: Sequence[tuple[RecordKey, Row]]
) -> Iterator[tuple[Reference, dict[tuple[Any, ...], RecordKey]]]:
    """The references to these records, and by what values each is referred to."""
    for table in dict.fromkeys(key.table for key, _ in records):
        rows = [(key, row) for key, row in records if key.table == table]
        for reference in acting[table]:
            if reference.table.name in acting:
                yield reference, {tuple([row[name] for name in reference.others]): key for key, row in rows}


def with_dependents(
    side: SideName,
    actions: Sequence[MergeAction],
    found: dict[RecordKey, Dependent],
    states: Iterable[RecordState],
    next_action: NextAction,
) -> tuple[list[MergeAction], dict[RecordKey, ConstraintViolated]]:
    """The actions of one side with those on the records that go with deleted ones; and the deletions not to be made.

    :param found: what still goes with deleted ones.
    :param states: of these records.
    """
    deletions: dict[RecordKey, MergeAction] = {}
    kept: dict[RecordKey, ConstraintViolated] = {}
    for state in states:
        if (deletion := _deletion(side, state, next_action)) is not None:
            deletions[state.key] = deletion
            continue
        reason = f"record {state.key.id!r} of table {state.key.table!r} refers to it and cannot be synced"
        kept |= dict.fromkeys([state.key, *_above(state.key, found)], ConstraintViolated(reason))
    possible = {action.key: action for action in actions if action.key not in kept}
    for key in reversed(found):
        # The nearest first: what does not go leaves what refers to it.
        if (
            found[key].goes
            and key in deletions
            and key not in kept
            and not possible.keys().isdisjoint(found[key].parents)
        ):
            possible[key] = deletions[key]
    return list(possible.values()), {action.key: kept[action.key] for action in actions if action.key in kept}


def _deletion(side: SideName, state: RecordState, next_action: NextAction) -> MergeAction | None:
    """The action that deletes a record which refers to a deleted one; None if it is to refer to another one."""
    if state.first.fault or state.second.fault:
        return None
    try:
        action = next_action(state)
    except RequestError:
        # It is a failure of its own, which says why.
        return None
    if action is not None and action.side == side:
        return action if action.deletes else None
    # The row is equal on both sides, or is the one that the other side would get.
    return resolved(state, Resolution(CASCADE, None, None), side)


def _above(key: RecordKey, found: Mapping[RecordKey, Dependent]) -> Iterator[RecordKey]:
    """The records that a record goes with, near and far."""
    seen, waiting = {key}, [key]
    while waiting:
        one = waiting.pop()
        parents = found[one].parents - seen if one in found else set()
        seen |= parents
        waiting += parents
        yield from parents
