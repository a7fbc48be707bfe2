"""Decisions of a person about open conflicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Final

from database.core.errors import InvalidQuery
from database.core.result import Row
from database.core.tables.schema import TableSchema
from database.sync.canonical_rows import CanonicalRows
from database.sync.conflicts.open_conflicts import conflict_id
from database.sync.conflicts.results import above_replaced
from database.sync.conflicts.results import row_of
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import NextAction
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import Resolution
from database.sync.three_way_merge import SideName
from database.sync.three_way_merge import resolved

Decision = SideName | Mapping[str, Any] | None
"""The side whose row, or deletion, is for both sides; or the row; or None to delete the record."""

_RULE: Final = "manual"


def checked_decision(table: TableSchema, state: RecordState, decision: Decision) -> Resolution:
    """The resolution that a decision means.

    A given row may leave out the columns in which both sides are equal, and those that the data layer fills in.

    :raises InvalidQuery: if the given row is not one of the record.
    """
    form = CanonicalRows(table)
    row = _row(table, state, decision)
    row = above_replaced(table, form, state, row)
    return Resolution(_RULE, row, form.text(row))


def deciding(pair: str, found: str, resolution: Resolution, otherwise: NextAction) -> NextAction:
    """The actions that carry out a decision.

    :param found: the id of the conflict that it is about.
    :param otherwise: decides about all other states of the record.
    """
    return lambda state: resolved(state, resolution) if conflict_id(pair, state) == found else otherwise(state)


def _row(table: TableSchema, state: RecordState, decision: Decision) -> Row | None:
    if decision is None:
        return None
    if isinstance(decision, str):
        if decision not in SIDES:
            raise InvalidQuery(f"a decision must be {' or '.join(SIDES)}, a row, or None to delete the record")
        return state.of(decision).row
    return row_of(table, state.key.id, {**_known(table, state, decision), **decision}, "the decision")


def _known(table: TableSchema, state: RecordState, decision: Mapping[str, Any]) -> Row:
    """The values that need not be given. :raises InvalidQuery: names the columns that must be."""
    rows = [row for row in (state.first.row, state.second.row) if row is not None]
    known: Row = {}
    unknown: list[str] = []
    for name in table.columns:
        values = [row[name] for row in rows]
        if values[0] == values[-1] or name == "created_at" or table.source.columns[name].computed is not None:
            known[name] = values[0]
        elif name not in decision and name not in table.managed:
            unknown.append(name)
    if unknown:
        raise InvalidQuery(f"the row must have a value for {', '.join(unknown)}: the sides differ there")
    # Made anew.
    return {name: value for name, value in known.items() if name not in {"updated_at", "version"} & table.managed}
