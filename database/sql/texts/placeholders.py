"""Converts the placeholders in SQL text to those of the driver.

``%s`` and ``%(name)s`` (psycopg), ``?`` (sqlite3) and ``:name`` (SQLAlchemy) are all supported. Literals, quoted
identifiers, comments, dollar-quoted bodies and ``::`` casts are not changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import date
from datetime import time
from enum import Enum
from typing import Any
from typing import NamedTuple

from database.core.caching import remembered
from database.core.errors import InvalidQuery
from database.core.kinds.values import check_text
from database.sql.texts.parameters import PLAIN
from database.sql.texts.parameters import Form
from database.sql.texts.parameters import Parameters

_CACHED_BYTES = 4 << 20

_TOKEN = re.compile(
    r"""
    (?P<verbatim> (?<![\w$])[eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?(?:\*/|\Z)
        | (?<![\w$])(\$(?:[^\W\d]\w*)?\$).*?(?:\2|\Z) | :: | \?[|&] | @\? )
  | %\((?P<format_name>\w+)\)s
  | (?P<format>%s)
  | (?P<percent>%%)
  | (?P<question>\?)
  | (?<!:):(?P<colon_name>[A-Za-z_]\w*)
    """,
    re.X | re.S,
)

_NULL_TEST = re.compile(r"\s+(?:is\s+(?:not\s+)?null|isnull|notnull)\b", re.I)
_OPERAND_BEGINS = re.compile(r"(?:[(,]|\b(?:where|and|or|not|when|then|else|select|on|having))\s*\Z", re.I)
"""What may stand before the whole operand of a test for null. Behind ``=`` a parameter is only a part of it."""

_RANGE_ENDS = re.compile(r"\bbetween\b(?:(?!\band\b).)*\band\s*\Z", re.I | re.S)
_LOOK_BACK = 200


Timed = Callable[[str], Sequence[Form | None]]
"""The forms of dates and times in a text for the driver, one per placeholder; None where they keep their own."""


class Style(Enum):
    """The placeholder of a driver."""

    FORMAT = "%s"
    QUESTION = "?"


class PreparedText(NamedTuple):
    """Text for the driver, and the name of the parameter at each placeholder; None for parameters in order."""

    text: str
    names: tuple[str, ...] | None
    places: int


def bind(
    text: str,
    params: Sequence[Any] | Mapping[str, Any] | None,
    style: Style,
    parameters: Parameters = PLAIN,
    timed: Timed | None = None,
) -> tuple[str, tuple[Any, ...]]:
    """The text with the driver's placeholders, and their values in order, as the driver binds them.

    :param timed: what the dates and times of a text must be at each of its placeholders; None if that is up to them.
    :raises InvalidQuery: if the values do not fit the placeholders, for values that the database does not take, and for
        text with characters that databases cannot store.
    """
    try:
        check_text(text)
    except ValueError as error:
        raise InvalidQuery(f"SQL text {error}") from None
    if params is None:
        return text, ()
    named = isinstance(params, Mapping)
    prepared = _prepare(text, named, style)
    if not prepared.places and not params:
        return text, ()
    if isinstance(params, Mapping):
        names = prepared.names or ()
        missing = next((name for name in names if name not in params), None)
        if missing is not None:
            raise InvalidQuery(f"the statement needs a value for the parameter {missing!r}")
        return prepared.text, _bound(prepared.text, names, [params[name] for name in names], parameters, timed)
    if isinstance(params, str | bytes):
        raise InvalidQuery("the parameters of a statement must be a sequence of values or a mapping, not a string")
    if len(params) != prepared.places:
        raise InvalidQuery(f"the statement has {prepared.places} placeholders, but {len(params)} values were given")
    return prepared.text, _bound(prepared.text, range(1, len(params) + 1), params, parameters, timed)


def _bound(
    text: str, names: Sequence[str | int], values: Sequence[Any], parameters: Parameters, timed: Timed | None
) -> tuple[Any, ...]:
    if timed is None or not any(isinstance(value, date | time) for value in values):
        return tuple(map(parameters.bound, names, values))
    return tuple(map(parameters.bound, names, values, timed(text)))


@remembered(_CACHED_BYTES, lambda text, *_: 1000 + 6 * len(text))
def _prepare(text: str, named: bool, style: Style) -> PreparedText:
    names: list[str] = []
    places = 0
    parts: list[str] = []
    # In text with %s, question marks are not placeholders but PostgreSQL's jsonb operators.
    wanted = _wanted(text, named)
    for literal, match in _split(text):
        parts.append(_literal(literal, style))
        if match is None:
            continue
        kind = match.lastgroup or ""
        if kind in wanted:
            places += 1
            names.append(match[kind])
            parts.append(style.value + _type_named(text, match, style))
        else:
            # In text with psycopg's placeholders, %% stands for one percent sign.
            escaped = kind == "percent" and not wanted.isdisjoint({"format", "format_name"})
            parts.append(_literal("%" if escaped else match[0], style))
    return PreparedText("".join(parts), tuple(names) if named else None, places)


def _type_named(text: str, place: re.Match[str], style: Style) -> str:
    """A cast where PostgreSQL could not tell a parameter's type: a test for null says nothing about it."""
    if style is not Style.FORMAT or not _NULL_TEST.match(text, place.end()):
        return ""
    before = text[max(0, place.start() - _LOOK_BACK) : place.start()]
    return "::text" if _OPERAND_BEGINS.search(before) and not _RANGE_ENDS.search(before) else ""


def _wanted(text: str, named: bool) -> frozenset[str]:
    groups = ("format_name", "colon_name") if named else ("format", "question")
    found = {match.lastgroup for _, match in _split(text) if match is not None}
    return frozenset([groups[0]] if groups[0] in found else [groups[1]])


def _split(text: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    end = 0
    for match in _TOKEN.finditer(text):
        yield text[end : match.start()], match
        end = match.end()
    yield text[end:], None


def _literal(text: str, style: Style) -> str:
    return text.replace("%", "%%") if style is Style.FORMAT else text
