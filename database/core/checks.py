"""A query checked against its table before any backend sees it.

What comes out names only declared columns, and every value has its column's stored form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from database.core.errors import InvalidQuery
from database.core.operations import Select
from database.core.query import COMPARISONS
from database.core.query import OPERATORS
from database.core.query import And
from database.core.query import Filter
from database.core.query import Not
from database.core.query import Or
from database.core.query import Order
from database.core.query import Where
from database.core.query import complete_order
from database.core.records import checked_value
from database.core.schema import Column
from database.core.schema import TableSchema
from database.core.values import INTEGER_MAX
from database.core.values import JSON
from database.core.values import TEXT
from database.core.values import check_text

MAX_IN = 1024
MAX_PATTERN = 1000
MAX_FILTER_DEPTH = 32
GROUP_COUNT = "count"
"""The key under which a group has the number of its rows."""


def checked_id(value: Any) -> str:
    """A record id fit for a look-up. :raises InvalidQuery: if it is not text that could be stored."""
    if type(value) is str and value.isascii() and "\0" not in value:
        return value
    try:
        return TEXT.check(value)
    except ValueError as error:
        raise InvalidQuery(f"an id {error}") from None


def checked_filter(schema: TableSchema, where: Filter | None, depth: int = MAX_FILTER_DEPTH) -> Filter | None:
    """The filter with every value in its stored form. :raises InvalidQuery: names what is wrong."""
    if where is None:
        return None
    if isinstance(where, Where):
        return _checked_condition(schema, where)
    if depth == 0:
        raise InvalidQuery(f"filters must not be nested deeper than {MAX_FILTER_DEPTH}")
    if isinstance(where, Not):
        return Not(_checked_part_of(schema, where.part, depth))
    if isinstance(where, And | Or):
        return type(where)(tuple([_checked_part_of(schema, part, depth) for part in where.parts]))
    raise InvalidQuery("a filter is made of Where, And, Or and Not")


def _checked_part_of(schema: TableSchema, part: Filter | None, depth: int) -> Filter:
    """A part of a filter; None is none, or a condition that was left out would widen what is changed."""
    checked = checked_filter(schema, part, depth - 1)
    if checked is None:
        raise InvalidQuery("a part of a filter must not be None")
    return checked


def checked_order(schema: TableSchema, order: Sequence[Order]) -> tuple[Order, ...]:
    """The complete sort keys, id last. :raises InvalidQuery: for unknown or unordered columns."""
    for key in order:
        if not schema.column(key.column).kind.comparable:
            raise InvalidQuery(f"column {key.column!r} has no order")
    return complete_order(order)


def checked_columns(schema: TableSchema, columns: Sequence[str] | None) -> tuple[str, ...]:
    """The columns to return; all for None. :raises InvalidQuery: for unknown, repeated or no columns."""
    if columns is None:
        return tuple(schema.columns)
    _refuse_repeated(columns)
    return tuple(schema.column(name).name for name in columns)


def refuse_locked_groups(operation: Select) -> None:
    """:raises InvalidQuery: for a lock on groups, which are no rows."""
    if operation.group and operation.lock:
        raise InvalidQuery("groups are no rows that could be locked; leave out the lock or the group")


def checked_group(schema: TableSchema, group: Sequence[str]) -> tuple[str, ...]:
    """The columns to group by.

    :raises InvalidQuery: for unknown, repeated, unordered or no columns, and for one that is named like the count.
    """
    names = checked_columns(schema, group)
    if GROUP_COUNT in names:
        raise InvalidQuery(f"a column {GROUP_COUNT!r} would be hidden by the number of rows in the group")
    for name in names:
        if not schema.columns[name].kind.comparable:
            raise InvalidQuery(f"column {name!r} cannot be grouped by")
    return names


def checked_group_columns(group: tuple[str, ...], columns: Sequence[str] | None) -> tuple[str, ...]:
    """The columns to return of each group; all for None. :raises InvalidQuery: for those that are not grouped by."""
    if columns is None:
        return group
    _refuse_repeated(columns)
    return tuple(_grouped(group, name) for name in columns)


def checked_group_order(group: tuple[str, ...], order: Sequence[Order]) -> tuple[Order, ...]:
    """The complete sort keys of groups. :raises InvalidQuery: for columns that are not grouped by."""
    ordered = {_grouped(group, key.column) for key in order}
    return (*order, *[Order(name) for name in group if name not in ordered])


def checked_range(name: str, value: int | None) -> int | None:
    """A limit or an offset. :raises InvalidQuery: unless it is None or 0 and more."""
    if value is not None and (type(value) is not int or not 0 <= value <= INTEGER_MAX):
        raise InvalidQuery(f"{name} must be an integer from 0")
    return value


def _refuse_repeated(columns: Sequence[str]) -> None:
    if not columns or len(set(columns)) != len(columns):
        raise InvalidQuery("columns must be named once each")


def _grouped(group: tuple[str, ...], name: str) -> str:
    if name not in group:
        raise InvalidQuery(f"the rows of a group have {', '.join(group)} in common, not {str(name)[:64]!r}")
    return name


def _checked_condition(schema: TableSchema, condition: Where) -> Where:
    column = schema.column(condition.column)
    operator, value = condition.operator, condition.value
    if operator not in OPERATORS:
        raise InvalidQuery(f"there is no operator {str(operator)[:32]!r}")
    if operator == "is_null":
        if type(value) is not bool:
            raise InvalidQuery("is_null takes true or false")
        return condition
    if value is None:
        raise InvalidQuery(f"column {column.name!r} cannot be compared with null; use is_null")
    return Where(column.name, operator, _checked_operand(column, operator, value))


def _checked_operand(column: Column, operator: str, value: Any) -> Any:
    if operator == "contains":
        return _checked_part(column, value)
    if operator in {"like", "ilike"}:
        return _checked_pattern(column, value)
    if not column.kind.comparable:
        raise InvalidQuery(f"column {column.name!r} takes contains and is_null only")
    if operator in COMPARISONS:
        return _comparand(column, value)
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > MAX_IN:
        raise InvalidQuery(f"in takes a list of at most {MAX_IN} values")
    return tuple(_comparand(column, one) for one in value)


def _comparand(column: Column, value: Any) -> Any:
    """A value to compare with: of the column's kind, but free of its limits on length."""
    if value is None:
        raise InvalidQuery(f"column {column.name!r} cannot be compared with null; use is_null")
    try:
        return column.kind.check(value)
    except ValueError as error:
        raise InvalidQuery(f"column {column.name!r} {error}") from None


def _checked_part(column: Column, value: Any) -> Any:
    if column.kind is TEXT or column.kind is JSON:
        return checked_value(column, value) if column.kind is JSON else _comparand(column, value)
    raise InvalidQuery(f"column {column.name!r} is neither text nor JSON and contains nothing")


def _checked_pattern(column: Column, pattern: Any) -> str:
    if column.kind is not TEXT:
        raise InvalidQuery(f"column {column.name!r} is not text")
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise InvalidQuery(f"a pattern is text of at most {MAX_PATTERN} characters")
    try:
        check_text(pattern)
    except ValueError as error:
        raise InvalidQuery(f"a pattern {error}") from None
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise InvalidQuery("a pattern must not end in an escape character")
    return pattern
