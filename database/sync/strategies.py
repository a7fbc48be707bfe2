"""Which version a conflict ends with.

A conflict is a record that both sides have changed, to different rows, since they last agreed; or of which it is not
known what they agreed on.

* ``last_modified``: the row with the later ``updated_at``. If that is the same, or the table has none, the one whose
  text is the greater, so that it does not matter who decides. A deletion has no time and wins against any row.
* ``first_wins``, ``second_wins``: what that side holds, a deletion, too.
* A function ``(table, record_id, first_row, second_row) -> row``: what it returns; None stands for no row.

A result that could be taken for the losing row, because its version is not above that row's, gets the next version:
who has read the loser must not be able to write over the winner unawares.
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
from database.core.result import Row
from database.core.tables.rows import complete_row
from database.core.tables.schema import TableSchema
from database.core.tables.values import TIMESTAMP
from database.sync.canonical_rows import CanonicalRows
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import Resolution
from database.sync.three_way_merge import Resolve
from database.sync.three_way_merge import SideState

logger = logging.getLogger(__name__)

Resolver = Callable[[str, str, Row | None, Row | None], Mapping[str, Any] | None]
"""An application's own rule: table, record id, the first and the second side's row to the row that both are to have."""

NAMES: Final = ("last_modified", "first_wins", "second_wins")


def resolve_with(strategy: str | Resolver, tables: Mapping[str, TableSchema]) -> Resolve:
    """The function that resolves conflicts as ``strategy`` says.

    :raises ValueError: if there is no such strategy.
    """
    if not callable(strategy) and strategy not in NAMES:
        raise ValueError(f"is one of {', '.join(NAMES)}, or a function (table, record_id, first_row, second_row)")
    forms = {name: CanonicalRows(table) for name, table in tables.items()}

    def resolve(state: RecordState) -> Resolution:
        table, form = tables[state.key.table], forms[state.key.table]
        if callable(strategy):
            rule, row = "function", _own(strategy, table, state)
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
    """The row that was changed later; a deletion, if there is one."""
    column = table.columns.get("updated_at")
    timed = column is not None and column.kind is TIMESTAMP and not column.nullable

    def age(held: SideState) -> tuple[bool, Any, str]:
        if held.row is None:
            return True, None, ""
        return False, held.row["updated_at"] if timed else 0, held.text or ""

    return max(state.first, state.second, key=age)


def _own(resolver: Resolver, table: TableSchema, state: RecordState) -> Row | None:
    """What the application's function makes of it. :raises InvalidQuery: if that is no row of the table."""
    key = state.key
    try:
        made = resolver(key.table, key.id, deepcopy(state.first.row), deepcopy(state.second.row))
    except Exception as error:
        logger.exception("the function that resolves conflicts failed for a record of %s", key.table)
        raise InvalidQuery(f"the function that resolves conflicts raised {type(error).__name__}") from error
    if made is None:
        return None
    row = complete_row(table, {"id": key.id, **made}, utc_now())
    if row["id"] != key.id:
        raise InvalidQuery("the function that resolves conflicts returned a row with another id")
    return row


def _with_new_version(table: TableSchema, form: CanonicalRows, state: RecordState, row: Row | None) -> Row | None:
    if row is None or not table.versioned:
        return row
    text = form.text(row)
    replaced = [held.row["version"] for side in SIDES if (held := state.of(side)).row and held.text != text]
    highest = max(replaced, default=0)
    return row if row["version"] > highest else row | {"version": highest + 1}
