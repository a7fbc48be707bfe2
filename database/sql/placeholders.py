"""Converts the placeholders in SQL text to those of the driver.

``%s`` and ``%(name)s`` (psycopg), ``?`` (sqlite3) and ``:name`` (SQLAlchemy) are all supported. Literals, quoted
identifiers, comments, dollar-quoted bodies and ``::`` casts are not changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from enum import Enum
from typing import Any
from typing import NamedTuple

from database.core.caching import remembered
from database.core.errors import InvalidQuery
from database.core.tables.values import check_text

_CACHED_BYTES = 4 << 20

_TOKEN = re.compile(
    r"""
    (?P<verbatim> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?(?:\*/|\Z)
        | (?<![\w$])(\$(?:[^\W\d]\w*)?\$).*?(?:\2|\Z) | :: | \?[|&] | @\? )
  | %\((?P<format_name>\w+)\)s
  | (?P<format>%s)
  | (?P<percent>%%)
  | (?P<question>\?)
  | (?<!:):(?P<colon_name>[A-Za-z_]\w*)
    """,
    re.X | re.S,
)


class Style(Enum):
    """The placeholder of a driver."""

    FORMAT = "%s"
    QUESTION = "?"


class PreparedText(NamedTuple):
    """Text for the driver, and the name of the parameter at each placeholder; None for parameters in order."""

    text: str
    names: tuple[str, ...] | None
    places: int


def bind(text: str, params: Sequence[Any] | Mapping[str, Any] | None, style: Style) -> tuple[str, tuple[Any, ...]]:
    """The text with the driver's placeholders, and their values in order.

    :raises InvalidQuery: if the values do not fit the placeholders, and for text with characters that databases
        cannot store.
    """
    _check("SQL text", text)
    if params is None:
        return text, ()
    for value in params.values() if isinstance(params, Mapping) else params:
        if isinstance(value, str):
            _check("a parameter", value)
    named = isinstance(params, Mapping)
    prepared = _prepare(text, named, style)
    if not prepared.places and not params:
        return text, ()
    if isinstance(params, Mapping):
        return prepared.text, _by_name(prepared.names or (), params)
    if isinstance(params, str | bytes):
        raise InvalidQuery("the parameters of a statement must be a sequence of values or a mapping, not a string")
    if len(params) != prepared.places:
        raise InvalidQuery(f"the statement has {prepared.places} placeholders, but {len(params)} values were given")
    return prepared.text, tuple(params)


def _check(what: str, text: str) -> None:
    try:
        check_text(text)
    except ValueError as error:
        raise InvalidQuery(f"{what} {error}") from None


def _by_name(names: tuple[str, ...], params: Mapping[str, Any]) -> tuple[Any, ...]:
    try:
        return tuple(params[name] for name in names)
    except KeyError as error:
        raise InvalidQuery(f"the statement needs a value for the parameter {error.args[0]!r}") from None


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
            parts.append(style.value)
        else:
            # In text with psycopg's placeholders, %% stands for one percent sign.
            escaped = kind == "percent" and not wanted.isdisjoint({"format", "format_name"})
            parts.append(_literal("%" if escaped else match[0], style))
    return PreparedText("".join(parts), tuple(names) if named else None, places)


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
