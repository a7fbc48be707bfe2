"""The strategies that resolve conflicts.

A conflict is a record that both sides have changed to different rows since they last agreed, or whose last agreed row
is not known.

* ``last_modified``: the row with the later ``updated_at``. If both are equal, or the table has no such column, the row
  whose text sorts last, so that every process decides alike. A deletion has no time and wins against any row.
* ``first_wins``, ``second_wins``: the row of that side, or its deletion.
* A function ``(table, record_id, first_row, second_row) -> row``: the row it returns, or None to delete the record.

If the version of the resulting row is not greater than that of a losing row, it is raised above it: a client that has
read the losing row must get a conflict when it tries to update the record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from typing import Final

from database.core.clock import utc_now
from database.core.errors import InvalidQuery
from database.core.kinds.values import TIMESTAMP
from database.core.result import Row
from database.core.tables.keys import address_of
from database.core.tables.keys import checked_key
from database.core.tables.keys import parts_of
from database.core.tables.rows import complete_row
from database.core.tables.schema import TableSchema
from database.sync.canonical_rows import CanonicalRows
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import Resolution
from database.sync.three_way_merge import Resolve
from database.sync.three_way_merge import SideState

logger = logging.getLogger(__name__)

Resolver = Callable[[str, str, Row | None, Row | None], Mapping[str, Any] | None]
"""The application's own rule: takes table, record id and both sides' rows; returns the row for both sides, or None."""

NAMES: Final = ("last_modified", "first_wins", "second_wins")


def resolve_with(strategy: str | Resolver, tables: Mapping[str, TableSchema]) -> Resolve:
    """Return the function that resolves conflicts with ``strategy``.

    :raises ValueError: if there is no such strategy.
    """
    if not callable(strategy) and strategy not in NAMES:
        raise ValueError(f"must be one of {', '.join(NAMES)}, or a function (table, record_id, first_row, second_row)")
    forms = {name: CanonicalRows(table) for name, table in tables.items()}

    def resolve(state: RecordState) -> Resolution:
        table, form = tables[state.key.table], forms[state.key.table]
        if callable(strategy):
            rule, row = "function", _call_resolver(strategy, table, state)
        else:
            rule, row = strategy, _chosen(strategy, table, state).row
        row = _with_new_version(table, form, state, row)
        return Resolution(rule, row, form.text(row))

    return resolve


def _chosen(strategy: str, table: TableSchema, state: RecordState) -> SideState:
    if strategy == "first_wins":
        return state.first
    return state.second if strategy == "second_wins" else _later(table, state)


def _later(table: TableSchema, state: RecordState) -> SideState:
    """The side with the later row, or with the deletion."""
    column = table.columns.get("updated_at")
    timed = column is not None and column.kind is TIMESTAMP and not column.nullable

    def age(held: SideState) -> tuple[bool, Any, str]:
        if held.row is None:
            return True, None, ""
        return False, held.row["updated_at"] if timed else 0, held.text or ""

    return max(state.first, state.second, key=age)


def _call_resolver(resolver: Resolver, table: TableSchema, state: RecordState) -> Row | None:
    """Call the application's function. :raises InvalidQuery: if it does not return a valid row of the table."""
    key = state.key
    try:
        made = resolver(key.table, key.id, deepcopy(state.first.row), deepcopy(state.second.row))
    except Exception as error:
        logger.exception("the conflict_resolution function failed for a record of table %s", key.table)
        raise InvalidQuery(f"the conflict_resolution function raised {type(error).__name__}; see the log") from error
    if made is None:
        return None
    parts = zip(table.key, parts_of(table, checked_key(table, key.id)), strict=True)
    row = complete_row(table, {**dict(parts), **made}, utc_now())
    if address_of(table, row) != key.id:
        raise InvalidQuery("the conflict_resolution function must not change the key of the row")
    return row


def _with_new_version(table: TableSchema, form: CanonicalRows, state: RecordState, row: Row | None) -> Row | None:
    if row is None or not table.versioned:
        return row
    text = form.text(row)
    replaced = [held.row["version"] for side in SIDES if (held := state.of(side)).row and held.text != text]
    highest = max(replaced, default=0)
    return row if row["version"] > highest else row | {"version": highest + 1}
