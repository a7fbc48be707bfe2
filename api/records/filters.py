"""Parser for filters in the query string, with the syntax of PostgREST.

::

    formula=eq.H2O            name=not.like.wat*         id=in.(a,b,"c,d")        formula=is.null
    properties=cs.{"mass":18} or=(name.eq.water,and(version.gt.2,formula.not.is.null))

``is.null``, ``is.true`` and ``is.false`` are never unknown, so ``not.is.true`` selects nulls, too. A column with the
name of a parameter, such as ``order``, is named in double quotes: ``"order"=eq.3``.

Inside ``or=(…)``, ``and=(…)`` and ``in.(…)``, a value with a comma or parentheses must be in double quotes. A backslash
in the quotes escapes the next character.
"""

from __future__ import annotations

import re
from typing import Any

from database import And
from database import Column
from database import Filter
from database import InvalidQuery
from database import Not
from database import Or
from database import TableSchema
from database import Where
from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import TIMESTAMP
from database.core.query.filters import Operator
from database.core.query.filters import conditions
from database.core.query.filters import is_exactly

MAX_CONDITIONS = 100
MAX_DEPTH = 16
"""Both are below the limits of a query, because the filters of the cursor and of the access rules are added."""


GROUPS = frozenset({"and", "or", "not.and", "not.or"})
"""Parameters that combine several conditions."""

_OPERATORS: dict[str, Operator] = {
    **{name: name for name in ("eq", "neq", "gt", "gte", "lt", "lte", "in", "like", "ilike", "contains")},
    "cs": "contains",
    **dict.fromkeys(["contained_by", "cd"], "contained_by"),
    **dict.fromkeys(["overlaps", "ov"], "overlaps"),
}
_IS: dict[str, bool | None] = {"null": None, "true": True, "false": False}
_GROUP = re.compile(r"(?P<negated>not\.)?(?P<joint>and|or)\((?P<inner>.*)\)", re.S)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)
_LOST_PLUS = re.compile(r"[Tt ]\d\d(:?\d\d){1,2}([.,]\d+)? \d\d(:?\d\d)?$")
"""The end of a timestamp whose plus sign became a blank."""


def checked_filters(filters: list[Filter]) -> Filter | None:
    """The conjunction of the filters; None if there are none. :raises InvalidQuery: for too many conditions."""
    if not filters:
        return None
    where = filters[0] if len(filters) == 1 else And(tuple(filters))
    if sum(1 for _ in conditions(where)) > MAX_CONDITIONS:
        raise InvalidQuery(f"the query must have at most {MAX_CONDITIONS} conditions")
    return where


def group(schema: TableSchema, name: str, text: str) -> Filter:
    """The filter of a parameter such as ``or=(a.eq.1,b.gt.2)``.

    :param name: one of ``GROUPS``.
    :raises InvalidQuery: if it is malformed; names the problem.
    """
    match = _GROUP.fullmatch(name + text)
    if match is None:
        raise InvalidQuery(f"parameter {name!r} must be a list of conditions in parentheses, such as (a.eq.1,b.gt.2)")
    return _group(schema, match, MAX_DEPTH)


def condition(schema: TableSchema, name: str, text: str) -> Filter:
    """The filter of a parameter such as ``formula=eq.H2O``. The value has no quotes or escapes.

    :raises InvalidQuery: if it is malformed; names the problem.
    """
    return _condition(schema, _unquoted(name), text, in_group=False)


def _group(schema: TableSchema, match: re.Match[str], depth: int) -> Filter:
    parts = tuple(_member(schema, part, depth - 1) for part in _parts(match["inner"]))
    if not parts:
        raise InvalidQuery(f"parameter {match['joint']!r} needs at least one condition")
    joined: Filter = And(parts) if match["joint"] == "and" else Or(parts)
    return Not(joined) if match["negated"] else joined


def _member(schema: TableSchema, text: str, depth: int) -> Filter:
    match = _GROUP.fullmatch(text)
    if match is None:
        end = _end_of_quotes(text, 0) if text.startswith('"') else len(text.partition(".")[0])
        return _condition(schema, _unquoted(text[:end]), text[end + 1 :], in_group=True)
    if depth == 0:
        raise InvalidQuery(f"conditions must be nested at most {MAX_DEPTH} levels deep")
    return _group(schema, match, depth)


def _condition(schema: TableSchema, name: str, text: str, *, in_group: bool) -> Filter:
    column = schema.column(name)
    positive = text.removeprefix("not.")
    operator, dot, value = positive.partition(".")
    if operator not in {*_OPERATORS, "is"} or not dot:
        known = ", ".join((*_OPERATORS, "is"))
        raise InvalidQuery(
            f"the condition on column {name!r} must have the form operator.value, such as eq.1; operators are {known}"
        )
    operand = _unquoted(value) if in_group else value
    where = _is(column, operand) if operator == "is" else _where(column, _OPERATORS[operator], operand)
    return where if positive == text else Not(where)


def _is(column: Column, text: str) -> Filter:
    if text == "not_null":
        return Where(column.name, "is_null", False)
    if text not in _IS or (text != "null" and column.kind is not BOOLEAN):
        of_truth = ", is.true or is.false" if column.kind is BOOLEAN else ""
        raise InvalidQuery(f"the condition on column {column.name!r} must be is.null, is.not_null{of_truth}")
    return is_exactly(column.name, _IS[text])


def _where(column: Column, operator: Operator, text: str) -> Where:
    if operator == "in":
        return Where(column.name, operator, tuple(_value(column, _unquoted(part)) for part in _listed(column, text)))
    if operator in {"like", "ilike"}:
        return Where(column.name, operator, text.replace("*", "%"))
    return Where(column.name, operator, _value(column, text))


def _value(column: Column, text: str) -> Any:
    try:
        return column.kind.parse(text)
    except ValueError as error:
        lost = column.kind is TIMESTAMP and _LOST_PLUS.search(text)
        hint = "; a plus sign in a URL is a blank: write it as %2B, or the time in UTC with Z" if lost else ""
        raise InvalidQuery(f"column {column.name!r} {error}{hint}") from None


def _listed(column: Column, text: str) -> list[str]:
    if not (text.startswith("(") and text.endswith(")")):
        raise InvalidQuery(f"the condition on column {column.name!r} must have a list in parentheses, such as in.(a,b)")
    return _parts(text[1:-1])


def _parts(text: str) -> list[str]:
    """Split at commas outside of quotes and inner parentheses."""
    parts: list[str] = []
    depth = start = position = 0
    while position < len(text):
        character = text[position]
        if character == '"' and (position == 0 or text[position - 1] in ".(,"):
            position = _end_of_quotes(text, position)
            continue
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    if depth:
        raise InvalidQuery("the parentheses of a condition do not match")
    return [*parts, text[start:]] if text else []


def _end_of_quotes(text: str, position: int) -> int:
    match = _QUOTED.match(text, position)
    if match is None:
        raise InvalidQuery("a quoted value must end with a double quote")
    return match.end()


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    match = _QUOTED.fullmatch(text)
    if match is None:
        raise InvalidQuery("a quoted value must not continue after the closing double quote")
    return _ESCAPED.sub(r"\1", match[1])
