"""Validates operations against their table: the only place that does so, for every backend.

A validated operation names only declared columns, and every value has its column's stored form. Validating it again
changes nothing. The rows of a write are validated by :mod:`database.core.tables.rows`, and the filter that selects the
rows to change by :mod:`database.core.query.targets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from database.core.errors import InvalidQuery
from database.core.kinds.arrays import Arrays
from database.core.kinds.chars import CHARS
from database.core.kinds.ranges import Ranged
from database.core.kinds.values import INTEGER
from database.core.kinds.values import INTEGER_MAX
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.kinds.values import Kind
from database.core.kinds.values import check_text
from database.core.operations import Get
from database.core.operations import Select
from database.core.query.filters import COMPARISONS
from database.core.query.filters import OPERATORS
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Operator
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.filters import by_key
from database.core.query.filters import complete_order
from database.core.query.fitting import fitted
from database.core.tables.keys import checked_key
from database.core.tables.rows import checked_value
from database.core.tables.schema import Column
from database.core.tables.schema import TableSchema

MAX_IN = 1024
MAX_PATTERN = 1000
MAX_FILTER_DEPTH = 32
MAX_PARTS = 640
"""The most conditions of a filter, including And, Or and Not."""

MAX_OPERANDS = 4096
"""The most values in all conditions of a query; each element of a list is one."""

MAX_OPERAND_LENGTH = 1 << 20
"""The most characters of all these values together."""

MAX_SEARCHED = 2000
"""The most characters of all patterns and searched texts of a query: each may be compared with every character of every
row."""

MAX_CONTAINED = 256
"""The most JSON values, including objects and arrays, in all ``contains`` of a query: PostgreSQL compares each with
every value of a document, and cannot be interrupted meanwhile."""

MAX_SORT_KEYS = 16
"""The most sort keys of a query, not counting the key that completes every order."""

MAX_SQL_LENGTH = 16_000
"""The most characters of a caller's SQL text: parsing takes seconds from about 50,000 on."""

_EQUALITY = frozenset({"eq", "neq"})
_OF_ARRAYS = frozenset({"contained_by", "overlaps"})
_TEXTUAL = frozenset({"like", "ilike", "contains"})
_UNCHANGED = frozenset({TEXT, INTEGER})
"""The kinds whose valid values are comparands as they are."""

GROUP_COUNT = "count"
"""The key of a group's number of rows."""


def checked_get(schema: TableSchema, get: Get) -> Get:
    """Validate a look-up; ``columns`` is None for all columns.

    :raises InvalidQuery: for an invalid key, and for unknown, repeated or no columns.
    """
    columns = None if get.columns is None else checked_columns(schema, get.columns)
    key = checked_key(schema, get.id)
    return get if columns is None and key is get.id else Get(get.table, key, columns, get.lock)


def checked_select(schema: TableSchema, select: Select) -> Select:
    """Validate a query.

    :returns: the query with a complete ``order``: for rows, the table's key is last and ``columns`` is None for all
        columns; for groups, every column of ``group`` is a key and ``columns`` names those to return with the count.
    :raises InvalidQuery: says what is wrong.
    """
    columns = select.columns
    if select.group:
        columns, order = _checked_groups(schema, select)
    else:
        if columns is not None:
            columns = checked_columns(schema, columns)
        order = _checked_order(schema, select.order) if select.order else by_key(schema.key)
    checked_range("limit", select.limit)
    checked_range("offset", select.offset)
    where = None if select.where is None else checked_filter(schema, select.where)
    limit, offset, group = select.limit, select.offset, tuple(select.group)
    return Select(select.table, columns, where, order, limit, offset, select.count, group, select.lock)


def checked_filter(schema: TableSchema, where: Filter | None) -> Filter | None:
    """Validate a filter and convert its values to their stored form. :raises InvalidQuery: says what is wrong."""
    return None if where is None else _FilterCheck(schema).checked(where, MAX_FILTER_DEPTH)


class _FilterCheck:
    """The validation of one filter, which adds up the cost of all its conditions."""

    __slots__ = ("_contained", "_length", "_operands", "_parts", "_schema", "_searched")

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._parts = self._operands = self._length = self._searched = self._contained = 0

    def checked(self, where: Filter | None, depth: int) -> Filter:
        """Validate a part of the filter. None is refused: a condition left out by mistake would match more rows."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidQuery(f"a filter must have at most {MAX_PARTS} conditions, including And, Or and Not")
        if isinstance(where, Where):
            return self._condition(where)
        if where is None:
            raise InvalidQuery("a part of a filter must not be None")
        if depth == 0:
            raise InvalidQuery(f"a filter must not be nested deeper than {MAX_FILTER_DEPTH} levels")
        if isinstance(where, Not):
            return Not(self.checked(where.part, depth - 1))
        if isinstance(where, And | Or):
            return type(where)(tuple([self.checked(part, depth - 1) for part in where.parts]))
        raise InvalidQuery(f"a filter must consist of Where, And, Or and Not, not {type(where).__name__}")

    def _of_array(self, column: Column, kind: Arrays, operator: Operator, value: Any) -> Filter:
        if operator not in _EQUALITY and operator != "contains" and operator not in _OF_ARRAYS:
            raise InvalidQuery(
                f"column {column.name!r} is an array; only eq, neq, contains, contained_by, overlaps and is_null can be"
                " used with it"
            )
        try:
            comparand = kind.comparand(value)
        except ValueError as error:
            raise InvalidQuery(f"column {column.name!r} {error}") from None
        for item in comparand:
            self._add(item) if operator in _EQUALITY else self._add_contained(item)
        if operator in _OF_ARRAYS:
            held = [one for one in map(kind.item.held, comparand) if one is not None]
            return Where(column.name, operator, held) if operator == "contained_by" else self._overlap(column, held)
        if (whole := kind.held(comparand)) is not None:
            return Where(column.name, operator, whole)
        # Of a null it is unknown what it equals or contains.
        either = (Where(column.name, "eq", []), Where(column.name, "neq", []))
        return Or(either) if operator == "neq" else And(either)

    @staticmethod
    def _overlap(column: Column, items: list[Any]) -> Filter:
        """A list with one of the items at least, as conditions that every backend has."""
        if not items:
            return And((Where(column.name, "eq", []), Where(column.name, "neq", [])))
        return Or(tuple([Where(column.name, "contains", [item]) for item in items]))

    def _condition(self, condition: Where) -> Filter:
        column = self._schema.column(condition.column)
        operator, value = condition.operator, condition.value
        if operator not in OPERATORS:
            raise InvalidQuery(f"unknown operator {str(operator)[:32]!r}; use one of {', '.join(OPERATORS)}")
        if operator == "is_null":
            if type(value) is not bool:
                raise InvalidQuery(f"the value of is_null on column {column.name!r} must be true or false")
            return condition
        if value is None:
            raise InvalidQuery(f"column {column.name!r} cannot be compared with null; use is_null")
        if isinstance(column.kind, Arrays):
            return self._of_array(column, column.kind, operator, value)
        if operator in _OF_ARRAYS:
            raise InvalidQuery(f"{operator} needs an array column; column {column.name!r} is {column.kind.name}")
        checked = self._operand(column, operator, value)
        if isinstance(column.checks, Ranged) and operator not in _TEXTUAL:
            return fitted(column.checks, column.name, operator, checked)
        return condition if checked is value else Where(column.name, operator, checked)

    def _operand(self, column: Column, operator: str, value: Any) -> Any:
        if operator == "contains":
            return self._contained_in(column, value)
        if operator in {"like", "ilike"}:
            return self._pattern(column, value)
        if not column.kind.comparable:
            raise InvalidQuery(f"column {column.name!r} is JSON; only contains and is_null can be used with it")
        if operator in COMPARISONS:
            return self._comparand(column, value)
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > MAX_IN:
            raise InvalidQuery(f"the value of in on column {column.name!r} must be a list of at most {MAX_IN} values")
        kind = column.checks
        if kind in _UNCHANGED and {*map(type, value)} == {kind.python_type} and kind.accepts_all(value):
            self._add_all(value)
            return tuple(value)
        return tuple([self._comparand(column, one) for one in value])

    def _comparand(self, column: Column, value: Any, kind: Kind | None = None) -> Any:
        """Validate a value to compare with: it must have the column's type, but may exceed its maximum length.

        :param kind: its kind, if that is not the column's.
        """
        if value is None:
            raise InvalidQuery(f"column {column.name!r} cannot be compared with null; use is_null")
        self._add(value)
        try:
            return (kind or column.checks).comparand(value)
        except ValueError as error:
            raise InvalidQuery(f"column {column.name!r} {error}") from None

    def _contained_in(self, column: Column, value: Any) -> Any:
        if column.kind is TEXT:
            # Blanks at the end of a part may be in the middle of the whole.
            checked = self._comparand(column, value, TEXT if column.checks is CHARS else None)
            self._add_searched(checked)
            return checked
        if column.kind is not JSON:
            raise InvalidQuery(f"contains needs a text or JSON column; column {column.name!r} is {column.kind.name}")
        checked = checked_value(column, value)
        self._add_contained(checked)
        return checked

    def _pattern(self, column: Column, pattern: Any) -> str:
        if column.kind is not TEXT:
            raise InvalidQuery(f"like and ilike need a text column; column {column.name!r} is {column.kind.name}")
        if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
            raise InvalidQuery(f"a pattern must be text of at most {MAX_PATTERN} characters")
        try:
            check_text(pattern)
        except ValueError as error:
            raise InvalidQuery(f"a pattern {error}") from None
        if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
            raise InvalidQuery("a pattern must not end with an escaping backslash")
        self._add(pattern)
        self._add_searched(pattern)
        return pattern

    def _add(self, value: Any) -> None:
        self._operands += 1
        if self._operands > MAX_OPERANDS:
            raise InvalidQuery(f"all conditions of a query together must have at most {MAX_OPERANDS} values")
        if isinstance(value, str | bytes):
            self._length += len(value)
            if self._length > MAX_OPERAND_LENGTH:
                raise InvalidQuery(f"all values of a query together must have at most {MAX_OPERAND_LENGTH} characters")

    def _add_all(self, values: Sequence[Any]) -> None:
        """Count values of one type."""
        self._operands += len(values) - 1
        self._length += sum(map(len, values[1:])) if type(values[0]) is str else 0
        self._add(values[0])

    def _add_searched(self, text: str) -> None:
        self._searched += len(text)
        if self._searched > MAX_SEARCHED:
            raise InvalidQuery(f"all search texts of a query together must have at most {MAX_SEARCHED} characters")

    def _add_contained(self, part: Any) -> None:
        """Count the values of a document, whose depth has been checked."""
        self._contained += 1
        if self._contained > MAX_CONTAINED:
            raise InvalidQuery(f"all contains conditions of a query together must have at most {MAX_CONTAINED} values")
        self._add(part)
        for key in part if isinstance(part, dict) else ():
            self._add(key)
        for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            self._add_contained(value)


def checked_columns(schema: TableSchema, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Validate the columns to return; None means all. :raises InvalidQuery: for unknown, repeated or no columns."""
    if columns is None:
        return tuple(schema.columns)
    _refuse_repeated(columns)
    return tuple(schema.column(name).name for name in columns)


def checked_range(name: str, value: int | None) -> int | None:
    """Validate a limit or an offset. :raises InvalidQuery: unless it is None or an integer of 0 or more."""
    if value is not None and (type(value) is not int or not 0 <= value <= INTEGER_MAX):
        raise InvalidQuery(f"{name} must be an integer of 0 or more")
    return value


def check_sql_length(text: str) -> None:
    """Refuse a caller's SQL text that is too long. :raises InvalidQuery: names the limit."""
    if len(text) > MAX_SQL_LENGTH:
        raise InvalidQuery(f"a caller's SQL text must have at most {MAX_SQL_LENGTH} characters, not {len(text)}")


def _checked_order(schema: TableSchema, order: Sequence[Order]) -> tuple[Order, ...]:
    own = len(order)
    while own and order[own - 1].column in schema.key:
        own -= 1
    _refuse_many_keys(own, MAX_SORT_KEYS)
    for key in order:
        if not schema.column(key.column).kind.comparable:
            raise InvalidQuery(f"column {key.column!r} is {_named(schema, key.column)} and cannot be sorted by")
    return complete_order(order, schema.key)


def _checked_groups(schema: TableSchema, select: Select) -> tuple[tuple[str, ...], tuple[Order, ...]]:
    """The columns to return of each group, and the complete sort keys."""
    if select.lock:
        raise InvalidQuery("lock cannot be combined with group; leave out one of them")
    group = _checked_group(schema, select.group)
    columns = group if select.columns is None else select.columns
    _refuse_repeated(columns)
    # A query that has been validated before has every column of the group among its keys.
    _refuse_many_keys(len(select.order), max(MAX_SORT_KEYS, len(group)))
    keys: dict[str, Order] = {}
    for key in select.order:
        keys.setdefault(_grouped(group, key.column), key)
    rest = [Order(name) for name in group if name not in keys]
    return tuple([_grouped(group, name) for name in columns]), (*keys.values(), *rest)


def _checked_group(schema: TableSchema, group: Sequence[str]) -> tuple[str, ...]:
    names = checked_columns(schema, group)
    if GROUP_COUNT in names:
        raise InvalidQuery(
            f"column {GROUP_COUNT!r} cannot be a group_by column: its name is used for the number of rows in a group"
        )
    for name in names:
        if not schema.columns[name].kind.comparable:
            raise InvalidQuery(f"column {name!r} is {_named(schema, name)} and cannot be a group_by column")
    return names


def _named(schema: TableSchema, column: str) -> str:
    return "JSON" if schema.column(column).kind is JSON else "an array"


def _refuse_many_keys(keys: int, most: int) -> None:
    if keys > most:
        raise InvalidQuery(f"a query must have at most {most} sort keys, not {keys}")


def _refuse_repeated(columns: Sequence[str]) -> None:
    if not columns or len(set(columns)) != len(columns):
        raise InvalidQuery("the list of columns must not be empty, and must name each column once")


def _grouped(group: tuple[str, ...], name: str) -> str:
    if name not in group:
        raise InvalidQuery(f"column {str(name)[:64]!r} must be one of the group_by columns ({', '.join(group)})")
    return name
