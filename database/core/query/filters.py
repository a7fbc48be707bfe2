"""The portable query: filters, order and keyset paging with one meaning on every backend.

* A comparison with a null column is neither true nor false (three-valued logic, as in SQL), so the row
  is not selected, not even under ``Not``. ``None`` cannot be an operand; use ``is_null``.
* Text compares by code point. ``like`` is case-sensitive, ``ilike`` folds the letters A to Z only; in both
  ``%`` is any text, ``_`` one character, and a backslash makes the next character literal.
* ``contains`` on text matches a substring; on JSON it means containment as PostgreSQL's ``@>`` defines it. An array
  contains another if it has all its items, in any order; ``contained_by`` is the reverse; arrays overlap if they have
  an item in common.
* Nulls sort last ascending and first descending, unless ``nulls`` says otherwise. The table's key is always last.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from functools import cache
from typing import Any
from typing import Literal

from database.core.immutable import immutable

Operator = Literal[
    "eq", "neq", "gt", "gte", "lt", "lte", "in", "is_null", "like", "ilike", "contains", "contained_by", "overlaps"
]
Nulls = Literal["first", "last"]

COMPARISONS: tuple[Operator, ...] = ("eq", "neq", "gt", "gte", "lt", "lte")
OPERATORS: tuple[Operator, ...] = (
    *COMPARISONS, "in", "is_null", "like", "ilike", "contains", "contained_by", "overlaps",
)  # fmt: skip


class Filter:
    """A condition on a row; combine with ``&``, ``|`` and ``~``."""

    __slots__ = ()

    def __and__(self, other: Filter) -> Filter:
        return And((self, other))

    def __or__(self, other: Filter) -> Filter:
        return Or((self, other))

    def __invert__(self) -> Filter:
        return Not(self)


@immutable
class Where(Filter):
    """One column compared with one value.

    :param value: a value of the column's type; for ``in`` a sequence of them; for ``is_null`` True or
        False; for ``like`` and ``ilike`` a pattern.
    """

    column: str
    operator: Operator
    value: Any


@immutable
class And(Filter):
    """True if all parts are true; with no parts, true."""

    parts: tuple[Filter, ...]


@immutable
class Or(Filter):
    """True if at least one part is true; with no parts, false."""

    parts: tuple[Filter, ...]


@immutable
class Not(Filter):
    """True if the part is false (not merely unknown)."""

    part: Filter


@immutable
class Order:
    """A sort key.

    :param nulls: where nulls sort; by default last ascending, first descending.
    """

    column: str
    descending: bool = False
    nulls: Nulls | None = None

    @property
    def nulls_first(self) -> bool:
        return self.descending if self.nulls is None else self.nulls == "first"


@cache
def by_key(key: tuple[str, ...]) -> tuple[Order, ...]:
    """The complete order of a query that says nothing of one.

    :param key: the columns of the table's key.
    """
    return tuple([Order(name) for name in key])


def is_exactly(column: str, value: bool | None) -> Filter:
    """Return the filter for SQL's ``IS NULL``, ``IS TRUE`` and ``IS FALSE``. They are never unknown: under ``Not``, the
    last two select nulls, too.
    """
    if value is None:
        return Where(column, "is_null", True)
    return And((Where(column, "is_null", False), Where(column, "eq", value)))


def conditions(where: Filter | None) -> Iterator[Where]:
    """Yield every comparison of a filter, depth first."""
    if isinstance(where, Where):
        yield where
    elif isinstance(where, And | Or):
        for part in where.parts:
            yield from conditions(part)
    elif isinstance(where, Not):
        yield from conditions(where.part)


def complete_order(order: Sequence[Order], key: tuple[str, ...] = ("id",)) -> tuple[Order, ...]:
    """Return the sort keys with the columns of the table's ``key`` as the last ones, and without others after these."""
    keys: list[Order] = []
    missing = dict.fromkeys(key)
    for one in order:
        keys.append(one)
        missing.pop(one.column, None)
        if not missing:
            return tuple(keys)
    return (*keys, *[Order(name) for name in missing])


def after(order: Sequence[Order], last: Sequence[Any], key: tuple[str, ...] = ("id",)) -> Filter:
    """Return the filter for the rows after ``last`` in ``order``: keyset paging.

    :param order: as given to :func:`complete_order`, whose result has one key for each value of ``last``.
    :param last: the sort key values of the last row of the previous page.
    :param key: the columns of the table's key.
    """
    alternatives: list[Filter] = []
    equal: list[Filter] = []
    for one, value in zip(complete_order(order, key), last, strict=True):
        alternatives.append(And((*equal, _beyond(one, value, nullable=one.column not in key))))
        equal.append(Where(one.column, "is_null", True) if value is None else Where(one.column, "eq", value))
    return Or(tuple(alternatives))


def _beyond(key: Order, value: Any, *, nullable: bool) -> Filter:
    if value is None:
        return Where(key.column, "is_null", False) if key.nulls_first else Or(())
    further = Where(key.column, "lt" if key.descending else "gt", value)
    # A filter that also asks for nulls has PostgreSQL read its index from the beginning, on every page.
    return Or((further, Where(key.column, "is_null", True))) if nullable and not key.nulls_first else further
