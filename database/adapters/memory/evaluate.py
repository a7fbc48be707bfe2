"""The portable query in plain Python: the definition that every other backend is held against."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from typing import NamedTuple

from database.core.query import And
from database.core.query import Filter
from database.core.query import Not
from database.core.query import Or
from database.core.query import Order
from database.core.query import Where
from database.core.result import Row
from database.core.values import json_contains

Truth = bool | None
"""True, False, or None for unknown: the third value of SQL's logic."""


class Document(NamedTuple):
    """A JSON value in a row that is to be evaluated; text in JSON contains other things than text does."""

    value: Any


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@lru_cache(maxsize=256)
def pattern(like: str) -> re.Pattern[str]:
    """A ``like`` pattern as a regular expression."""
    parts: list[str] = []
    characters = iter(like)
    for character in characters:
        if character == "\\":
            parts.append(re.escape(next(characters)))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


def _matches(text: str, like: str) -> bool:
    return pattern(like).fullmatch(text) is not None


def _fold(text: str) -> str:
    return text.translate(_ASCII_LOWER)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, operand: value == operand,
    "neq": lambda value, operand: value != operand,
    "gt": lambda value, operand: value > operand,
    "gte": lambda value, operand: value >= operand,
    "lt": lambda value, operand: value < operand,
    "lte": lambda value, operand: value <= operand,
    "in": lambda value, operand: value in operand,
    "like": _matches,
    "ilike": lambda value, operand: _matches(_fold(value), _fold(operand)),
    "contains": lambda value, operand: (
        json_contains(value.value, operand) if isinstance(value, Document) else operand in value
    ),
}


def matches(where: Filter | None, row: Row) -> bool:
    """Whether a checked filter selects ``row``, in which JSON is given as :class:`Document`."""
    return where is None or truth(where, row) is True


def truth(where: Filter, row: Row) -> Truth:
    """The value of a checked filter for ``row``."""
    match where:
        case Where(column, "is_null", wanted):
            return (row[column] is None) is wanted
        case Where(column, operator, operand):
            return _compared(row[column], operator, operand)
        case Not(part):
            value = truth(part, row)
            return None if value is None else not value
        case And(parts):
            return _all(truth(part, row) for part in parts)
        case Or(parts):
            return _negated(_all(_negated(truth(part, row)) for part in parts))
    raise TypeError(where)


def sort(rows: Iterable[Row], order: Sequence[Order]) -> list[Row]:
    """The rows in a complete order: stable sorts from the last key to the first."""
    result = list(rows)
    for key in reversed(order):
        result.sort(key=_sort_key(key), reverse=key.descending)
    return result


def _compared(value: Any, operator: str, operand: Any) -> Truth:
    if operator == "in" and not operand:
        return False
    if value is None:
        return None
    return _COMPARE[operator](value, operand)


def _all(values: Iterable[Truth]) -> Truth:
    result: Truth = True
    for value in values:
        if value is False:
            return False
        if value is None:
            result = None
    return result


def _negated(value: Truth) -> Truth:
    return None if value is None else not value


def _sort_key(key: Order) -> Callable[[Row], tuple[bool, Any]]:
    # A descending sort is reversed as a whole, so the flag that places nulls is turned round with it.
    nulls_low = key.nulls_first is not key.descending

    def rank(row: Row) -> tuple[bool, Any]:
        value = row[key.column]
        return (not nulls_low, 0) if value is None else (nulls_low, value)

    return rank
