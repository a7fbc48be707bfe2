"""Comparisons with values that their column cannot hold, as comparisons with values that it can.

The databases themselves refuse them, or round the value, each in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from database.core.kinds.ranges import Ranged
from database.core.query.filters import Where

_LESS = frozenset({"lt", "lte"})


def fitted(kind: Ranged, column: str, operator: str, comparand: Any) -> Where:
    """A comparison that is true, false or unknown for the same rows, with a value that the column can hold.

    :param comparand: as :meth:`~database.core.kinds.ranges.Ranged.comparand` gives it; for ``in`` a list of these.
    """
    if operator == "in":
        return _membership(kind, column, comparand)
    if (held := kind.held(comparand)) is not None:
        return Where(column, operator, held)  # type: ignore[arg-type]  # an operator that was checked
    if operator == "eq":
        return _no_value(kind, column)
    if operator == "neq" or (below := kind.floor(comparand)) is None:
        return _no_value(kind, column) if operator in _LESS else _any_value(kind, column)
    return Where(column, "lte" if operator in _LESS else "gt", below)


def _membership(kind: Ranged, column: str, comparands: Sequence[Any]) -> Where:
    found = tuple(held for one in comparands if (held := kind.held(one)) is not None)
    # An empty list is false for a null, too, for which a comparison is unknown.
    return _no_value(kind, column) if comparands and not found else Where(column, "in", found)


def _no_value(kind: Ranged, column: str) -> Where:
    return Where(column, "lt", kind.lowest)


def _any_value(kind: Ranged, column: str) -> Where:
    return Where(column, "gte", kind.lowest)
