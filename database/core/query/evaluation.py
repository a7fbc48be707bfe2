"""The portable query in plain Python: the reference that every other backend is tested against."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from functools import partial
from typing import Any
from typing import NamedTuple

from database.core.query.containment import prepared
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.patterns import Pattern
from database.core.query.steps import Steps
from database.core.result import Row

Truth = bool | None
"""True, False, or None for unknown, as in SQL's three-valued logic."""


_CHARACTERS_PER_STEP = 400


class Document(NamedTuple):
    """A JSON value in a row to evaluate. It marks JSON, where ``contains`` means something else than for text."""

    value: Any


Test = Callable[[Any], bool]
"""Tells whether a non-null value satisfies a condition."""

Evaluator = Callable[[Row], Truth]


def selector(where: Filter | None, steps: Steps) -> Callable[[Row], bool]:
    """A predicate for the rows that a checked filter selects; reusable. JSON values are passed as :class:`Document`."""
    if where is None:
        return lambda _: True
    evaluate = evaluator(where, steps)
    return lambda row: evaluate(row) is True


def evaluator(where: Filter, steps: Steps) -> Evaluator:
    """A function that evaluates a checked filter for a row. :raises Stopped: when called after the deadline."""
    match where:
        case Where(column, "is_null", wanted):
            return lambda row: (row[column] is None) is wanted
        case Where(_, "in", ()):
            return lambda _: False
        case Where(column, operator, operand):
            return _known(column, _TESTS[operator](operand, steps))
        case Not(part):
            return _negation(evaluator(part, steps))
        case And(parts):
            return _conjunction([evaluator(part, steps) for part in parts])
        case Or(parts):
            return _negation(_conjunction([_negation(evaluator(part, steps)) for part in parts]))
    raise TypeError(where)


def sort(rows: Iterable[Row], order: Sequence[Order], steps: Steps) -> list[Row]:
    """The rows in a total order, by stable sorts from the last key to the first. :raises Stopped: at the deadline."""
    result = list(rows)
    for key in reversed(order):
        steps.take(len(result))
        result.sort(key=_sort_key(key), reverse=key.descending)
    return result


def _member(operand: Any, _: Steps) -> Test:
    return frozenset(operand).__contains__


def _like(operand: Any, steps: Steps, *, fold: bool = False) -> Test:
    pattern = Pattern(operand, fold=fold)
    # Another program may have written a value that is not text.
    return lambda value: isinstance(value, str) and pattern.matches(value, steps)


def _contains(operand: Any, steps: Steps) -> Test:
    # The operand does not show whether the column is JSON; the values do.
    part = prepared(operand)

    def test(value: Any) -> bool:
        if isinstance(value, Document):
            return part.within(value.value, steps)
        if type(value) is list:
            return part.within(value, steps)
        if not isinstance(value, str):
            return False
        steps.take(1 + len(value) // _CHARACTERS_PER_STEP)
        return operand in value

    return test


def _contained(operand: Any, steps: Steps) -> Test:
    items = frozenset(operand)

    def test(value: Any) -> bool:
        steps.take(1)
        return type(value) is list and items.issuperset(value)

    return test


_TESTS: dict[str, Callable[[Any, Steps], Test]] = {
    "eq": lambda operand, _: lambda value: bool(value == operand),
    "neq": lambda operand, _: lambda value: bool(value != operand),
    "gt": lambda operand, _: lambda value: bool(value > operand),
    "gte": lambda operand, _: lambda value: bool(value >= operand),
    "lt": lambda operand, _: lambda value: bool(value < operand),
    "lte": lambda operand, _: lambda value: bool(value <= operand),
    "in": _member,
    "like": _like,
    "ilike": partial(_like, fold=True),
    "contains": _contains,
    "contained_by": _contained,
}


def _known(column: str, test: Test) -> Evaluator:
    return lambda row: None if row[column] is None else test(row[column])


def _conjunction(parts: Sequence[Evaluator]) -> Evaluator:
    def evaluate(row: Row) -> Truth:
        result: Truth = True
        for part in parts:
            value = part(row)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    return evaluate


def _negation(part: Evaluator) -> Evaluator:
    def evaluate(row: Row) -> Truth:
        value = part(row)
        return None if value is None else not value

    return evaluate


def _sort_key(key: Order) -> Callable[[Row], tuple[bool, Any]]:
    # A descending sort also reverses the flag that places nulls, so it is inverted here.
    nulls_low = key.nulls_first is not key.descending

    def rank(row: Row) -> tuple[bool, Any]:
        value = row[key.column]
        return (not nulls_low, 0) if value is None else (nulls_low, value)

    return rank
