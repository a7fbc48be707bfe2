r"""The portable filter as a PostgREST URL, and which filters must be sent in a request body instead.

A URL contains only plain operands. PostgREST unescapes quoted values, but other programs that parse its URLs may not:
one that reads ``\"`` as the end of a value would interpret the rest of the value as a filter. Patterns become regular
expressions, because PostgREST replaces every ``*`` of a ``like`` by ``%`` and has no escape for it. A URL cannot name a
collation, which only matters for columns that were not declared with ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from database.backends.supabase.rows import quoted_name
from database.backends.supabase.rows import url_text
from database.core.kinds.arrays import Arrays
from database.core.kinds.binary import BYTES
from database.core.kinds.binary import Bytes
from database.core.kinds.decimals import Decimals
from database.core.kinds.durations import DURATIONS
from database.core.kinds.enums import is_native_enum
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.filters import conditions
from database.core.query.patterns import rewritten
from database.core.tables.schema import TableSchema

_RISKY = frozenset('"\\()')
_SPECIAL = frozenset(".[]{}*+?$|")

_ORDERING = frozenset({"gt", "gte", "lt", "lte"})
_TEXTUAL = frozenset({"like", "ilike", "contains"})
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


def fits_url(table: TableSchema, where: Filter | None, order: Sequence[Order]) -> bool:
    """Whether a URL can express a checked filter and order exactly, whichever program reads it."""
    sorts = all(_sorts(table, key.column) for key in order)
    named = {condition.column for condition in conditions(where)}.union(key.column for key in order)
    # As with values, a program may read quotation marks around a name in another way.
    return (
        sorts
        and all(quoted_name(name) == name for name in named)
        and all(_condition_fits(table, condition) for condition in conditions(where))
    )


def expression(where: Filter, key: str = "id") -> str:
    """A checked filter for which :func:`fits_url` is true, as a term of PostgREST's ``and=(...)`` and ``or=(...)``.

    :param key: a column of the table's key, which is never null.
    """
    match where:
        case And(parts):
            return f"and({_terms(parts, key)})" if parts else f"{quoted_name(key)}.not.is.null"
        case Or(parts):
            return f"or({_terms(parts, key)})" if parts else f"{quoted_name(key)}.is.null"
        case Not(part):
            return f"not.and({expression(part, key)})"
        case Where(column, operator, value):
            return _condition(quoted_name(column), operator, value, key)
    raise TypeError(where)


def _terms(parts: Iterable[Filter], key: str) -> str:
    return ",".join([expression(part, key) for part in parts])


def _condition(column: str, operator: str, value: Any, key: str) -> str:
    match operator:
        case "is_null":
            return f"{column}.is.null" if value else f"{column}.not.is.null"
        case "in":
            return _membership(column, value) if value else f"{quoted_name(key)}.is.null"
        case "like" | "ilike" | "contains":
            return f"{column}.match.{_operand(_regular_expression(operator, value))}"
        case _:
            return f"{column}.{operator}.{_operand(value)}"


def _membership(column: str, values: Sequence[Any]) -> str:
    # PostgREST parses a list of one empty string as an empty list.
    if len(values) == 1:
        return f"{column}.eq.{_operand(values[0])}"
    return f"{column}.in.({','.join(map(_operand, values))})"


def _regular_expression(operator: str, value: str) -> str:
    """A pattern or a text as a regular expression; escapes with brackets, because backslashes are not safe in a URL."""
    if operator == "contains":
        return "".join(map(_literal, value))
    literal = _either_case if operator == "ilike" else _literal
    return f"^{rewritten(value, '.*', '.', literal)}$"


def _literal(character: str) -> str:
    if character == "^":
        return "[[.^.]]"
    return f"[{character}]" if character in _SPECIAL else character


def _either_case(character: str) -> str:
    if character.isascii() and character.isalpha():
        return f"[{character.lower()}{character.upper()}]"
    return _literal(character)


def _operand(value: Any) -> str:
    text = url_text(value)
    return text if isinstance(value, bool) else f'"{text}"'


def _condition_fits(table: TableSchema, condition: Where) -> bool:
    operator, value = condition.operator, condition.value
    if operator == "is_null":
        return True
    kind = table.columns[condition.column].kind
    if kind in {JSON, BYTES, DURATIONS} or isinstance(kind, Arrays):
        return False
    if operator in _TEXTUAL:
        return _plain(_regular_expression(operator, value)) and _is_text(table, condition.column)
    if operator in _ORDERING and not _by_code_point(table, condition.column):
        return False
    return all(map(_plain, value if operator == "in" else (value,)))


def _plain(value: Any) -> bool:
    return not isinstance(value, str) or _RISKY.isdisjoint(value)


def _sorts(table: TableSchema, name: str) -> bool:
    # Decimals and bytes are selected as text, and a server may sort by what it selects.
    return _by_code_point(table, name) and not isinstance(table.columns[name].kind, Decimals | Bytes)


def _by_code_point(table: TableSchema, name: str) -> bool:
    """Whether the database compares the column by code point by default."""
    declared = table.source.c[name].type
    if table.columns[name].kind is not TEXT or isinstance(declared, sa.Uuid):
        return True
    if is_native_enum(declared):
        return False
    return getattr(declared.dialect_impl(_POSTGRESQL), "collation", None) == "C"


def _is_text(table: TableSchema, name: str) -> bool:
    """Whether it is text in the database, too."""
    declared = table.source.c[name].type
    return not (isinstance(declared, sa.Uuid | sa.CHAR) or is_native_enum(declared))
