"""What becomes of one column that both sides have changed: the rules of ``info["merge"]``."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Final

from database.core.errors import InvalidQuery
from database.core.kinds.arrays import Arrays
from database.core.kinds.decimals import Decimals
from database.core.kinds.durations import Durations
from database.core.kinds.values import FLOAT
from database.core.kinds.values import INTEGER
from database.core.kinds.values import Kind
from database.core.tables.schema import Column
from database.core.tables.schema import TableSchema

logger = logging.getLogger(__name__)

LATER: Final = object()
"""Instead of a value: that of the row which was changed last."""

_DEFAULT: Final = "last_modified"
_MANAGED: Final = {"created_at": "min", "updated_at": "max", "version": "max"}


@dataclass(frozen=True, slots=True)
class MergeRule:
    """How the values of a column are merged.

    :ivar combine: takes the agreed value and those of both sides; returns the merged one, or :data:`LATER`.
    :ivar needs_base: whether the agreed value must be known.
    :ivar counts: whether both sides may have changed the value to the same one independently.
    """

    combine: Callable[[Any, Any, Any], Any]
    needs_base: bool = False
    counts: bool = False


def rule_of(table: TableSchema, column: Column) -> MergeRule | None:
    """The rule of a column; None for that of the row which was changed last.

    :raises ValueError: for one that does not exist, or that its type does not have.
    """
    declared = table.source.columns[column.name].info.get("merge", _DEFAULT)
    if column.name in table.managed:
        declared = _MANAGED[column.name]
    if callable(declared):
        return MergeRule(_by_function(table, column, declared), needs_base=True)
    if declared not in (_DEFAULT, *_RULES):
        known = ", ".join([_DEFAULT, *_RULES])
        raise ValueError(
            f'info["merge"] of column {table.name}.{column.name} is {declared!r}; it can be one of {known}'
            ", or a function (base, first, second)"
        )
    if declared == _DEFAULT:
        return None
    rule, suits, needed = _RULES[declared]
    if not suits(column.kind):
        kind = column.kind.name
        raise ValueError(
            f'info["merge"] of column {table.name}.{column.name} is {declared!r}, for which the column'
            f" must have {needed}; its type is {kind}"
        )
    return rule


def _extreme(choose: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    def combine(_: Any, first: Any, second: Any) -> Any:
        if first is None or second is None:
            return second if first is None else first
        return choose(first, second)

    return combine


def _total(base: Any, first: Any, second: Any) -> Any:
    """Both changes added to the agreed value; null counts from nothing, and one that was set to null is not counted."""
    if first is None or second is None:
        return LATER
    if base is None:
        return first + second
    if isinstance(base, float):
        # The order of the terms makes no difference.
        return math.fsum((first, second, -base))
    return first + second - base


def _union(base: Any, first: Any, second: Any) -> Any:
    """What both have, and what one has added; sorted, because a set has no order that both sides could know."""
    if first is None or second is None:
        return LATER
    before = base or []
    return sorted({item for item in (*first, *second) if item not in before or (item in first and item in second)})


def _is_number(kind: Kind) -> bool:
    return kind in (INTEGER, FLOAT) or isinstance(kind, Decimals | Durations)


_RULES: Final[Mapping[str, tuple[MergeRule, Callable[[Kind], bool], str]]] = {
    "max": (MergeRule(_extreme(max)), lambda kind: kind.comparable, "values that can be compared"),
    "min": (MergeRule(_extreme(min)), lambda kind: kind.comparable, "values that can be compared"),
    "sum": (MergeRule(_total, needs_base=True, counts=True), _is_number, "numbers or intervals"),
    "union": (MergeRule(_union), lambda kind: isinstance(kind, Arrays), "arrays"),
}


def _by_function(table: TableSchema, column: Column, function: Callable[..., Any]) -> Callable[[Any, Any, Any], Any]:
    where = f'info["merge"] of column {table.name}.{column.name}'

    def combine(base: Any, first: Any, second: Any) -> Any:
        try:
            return function(base, first, second)
        except Exception as error:
            logger.exception("the function in %s failed", where)
            raise InvalidQuery(f"the function in {where} raised {type(error).__name__}; see the log") from error

    return combine
