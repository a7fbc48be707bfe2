"""The conflicts of a pair as they are listed: those that wait for a decision, and the journal of the resolved ones."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from typing import Final
from typing import Literal

import orjson

from database.core.errors import NotFound
from database.core.operations import Select
from database.core.query.filters import Filter
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Row
from database.sync.conflicts.open_conflicts import OPEN
from database.sync.side import CONFLICTS
from database.sync.side import Pair
from database.sync.side import Side
from database.unit_of_work import apart

State = Literal["open", "resolved"]

_NEWEST: Final = (Order("id", descending=True),)
"""Ids of the journal are made in the order of time."""


@dataclass(frozen=True, slots=True)
class ListedConflict:
    """A conflict with both rows. Rows have their values as in JSON; None is no row.

    :ivar at: when it was found, or resolved.
    :ivar rule: the strategy or policy that has resolved it.
    :ivar reason: why an open one waits.
    :ivar base: the row that both sides agreed on; None also if it was not known.
    :ivar result: the row for both sides; None also for an open one.
    """

    id: str
    state: State
    at: datetime
    table: str
    record: str
    rule: str
    reason: str | None
    first_name: str | None
    second_name: str | None
    base: Mapping[str, Any] | None
    first: Mapping[str, Any] | None
    second: Mapping[str, Any] | None
    result: Mapping[str, Any] | None


def listed(
    pair: Pair, *, table: str | None = None, state: State | None = None, limit: int = 100
) -> list[ListedConflict]:
    """List conflicts: first the open ones, then the newest of the resolved ones.

    :param table: only those of this table.
    :raises BackendError: if a side does not respond.
    """
    where: Filter = Where("pair", "eq", pair.name)
    if table is not None:
        where &= Where("table_name", "eq", table)
    found: list[ListedConflict] = []
    if state != "resolved":
        found += _read(pair.sides[0], where & Where("state", "eq", OPEN), limit)
    if state != "open":
        resolved = [one for side in pair.sides for one in _read(side, where & Where("state", "is_null", True), limit)]
        found += sorted(resolved, key=lambda one: one.id, reverse=True)
    return found[:limit]


def one_conflict(pair: Pair, conflict_id: str) -> ListedConflict:
    """Return a conflict. :raises NotFound: if there is none with this id."""
    where = Where("pair", "eq", pair.name) & Where("id", "eq", conflict_id)
    for side in pair.sides:
        for one in _read(side, where, 1):
            return one
    raise NotFound(
        f"the sync {pair.name} has no conflict {conflict_id[:64]!r}; if it waited for a decision, it has been resolved,"
        " or its record has changed: `flask sync conflicts` lists those that there are"
    )


def _read(side: Side, where: Filter, limit: int) -> Iterator[ListedConflict]:
    with apart():
        rows = side.adapter.run(Select(CONFLICTS, where=where, order=_NEWEST, limit=limit)).rows
    return map(_listed, rows)


def _listed(row: Row) -> ListedConflict:
    return ListedConflict(
        row["id"],
        "open" if row["state"] == OPEN else "resolved",
        row["created_at"],
        row["table_name"],
        row["record_id"],
        row["rule"],
        row["reason"],
        row["first_name"],
        row["second_name"],
        *(None if row[name] is None else orjson.loads(row[name]) for name in _ROWS),
    )


_ROWS: Final = ("base", "first_row", "second_row", "result")
