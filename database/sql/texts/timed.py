"""Dates and times as parameters of SQL text where the database has no types for them: each has its column's form.

A database with such types converts a parameter to its column's type. Here a value would be stored, and compared as
text, in the form of its own type: a ``datetime`` in a column of dates would not be a date. So a parameter is read as a
value of the column beside which it stands, and refused if it is none. Beside an expression it keeps its own form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final
from typing import NamedTuple

from database.core.caching import remembered
from database.core.kinds.calendar import Shown
from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import Kind
from database.core.tables.schema import Schema
from database.sql.texts.parameters import Form

_CACHED_BYTES: Final = 1 << 20
_NAME: Final = r'(?:"(?:[^"]|"")*"|`[^`]*`|\[[^]]*\]|[^\W\d][\w$]*)'
_TOKEN: Final = re.compile(
    rf"""--[^\n]*|/\*.*?(?:\*/|\Z)|(?P<literal>'(?:[^']|'')*'|[\d.]\w*)|(?P<name>{_NAME}(?:\s*\.\s*{_NAME})*)
        |(?P<sign><=|>=|<>|!=|==|[=<>])|(?P<other>\S)""",
    re.X | re.S,
)
_KEYWORDS: Final = frozenset({"into", "values", "not", "in", "is", "between", "and"})
_LAST: Final = re.compile(rf"{_NAME}\Z")
_PLACE: Final = "?"
_COMPARES: Final = frozenset({"=", "==", "<>", "!=", "<", ">", "<=", ">=", "is"})


class Beside(NamedTuple):
    """What is said of the parameters of a text.

    :ivar words: all names in it, in lower case, tables' among them.
    :ivar columns: for each placeholder, the name of the column beside it, in lower case; None if there is none.
    """

    words: frozenset[str]
    columns: tuple[str | None, ...]


@remembered(_CACHED_BYTES, lambda text: 200 + 8 * len(text))
def beside(text: str) -> Beside:
    """Find the columns beside the placeholders of a text for SQLite."""
    tokens = [found for found in _TOKEN.finditer(text) if found.lastgroup is not None]
    words = [_word(found) for found in tokens]
    listed = dict(_inserted(words))
    columns = [listed.get(place) or _compared(words, place) for place, found in enumerate(tokens) if found[0] == _PLACE]
    names = [word for word in words if word.startswith('"')]
    return Beside(frozenset(_bare(word) for word in names), tuple(_bare(one) if one else None for one in columns))


def forms(text: str, schema: Schema, encoder: Callable[[Kind], Form | None]) -> list[Form | None]:
    """For each placeholder of a text, what makes a date or a time a value of the column beside it."""
    found = beside(text)
    tables = [table for table in schema if table.name.lower() in found.words]

    def form(name: str | None) -> Form | None:
        columns = (column for table in tables for column in table.columns.values())
        kinds = {column.kind for column in columns if column.name.lower() == name}
        kind = kinds.pop() if len(kinds) == 1 else None
        return _form(kind, encoder(kind)) if kind is TIMESTAMP or isinstance(kind, Shown) else None

    return [form(name) for name in found.columns]


def _form(kind: Kind, encode: Form | None) -> Form:
    def made(value: Any) -> Any:
        if kind is TIMESTAMP and isinstance(value, datetime) and value.tzinfo is None:
            # As on a connection to PostgreSQL.
            value = value.replace(tzinfo=UTC)
        checked = kind.check(value)
        return checked if encode is None else encode(checked)

    return made


def _word(found: re.Match[str]) -> str:
    """A keyword in lower case, or a name in quotation marks, or another token."""
    if found.lastgroup != "name":
        return "'" if found.lastgroup == "literal" else found[0]
    last = _LAST.search(found[0])
    assert last is not None, "it is a part of the name"
    lower = last[0].lower()
    return lower if found[0] == last[0] and lower in _KEYWORDS else '"' + lower.strip('"`[]')


def _bare(word: str) -> str:
    return word[1:]


def _compared(words: Sequence[str], place: int) -> str | None:
    """The column with which the placeholder is compared, or to which it is assigned."""
    before, after = words[:place], words[place + 1 : place + 3]
    if len(before) > 1 and before[-1] in _COMPARES:
        return _named(before[-2])
    if len(before) > 3 and before[-1] == "and" and before[-3] == "between":
        return _named(_without_not(before[:-3]))
    if len(before) > 1 and before[-1] == "between":
        return _named(_without_not(before[:-1]))
    if len(after) == 2 and after[0] in _COMPARES:
        return _named(after[1])
    while before and before[-1] in {_PLACE, "'", ","}:
        before = before[:-1]
    return _named(_without_not(before[:-2])) if before[-2:] == ["in", "("] else None


def _without_not(words: Sequence[str]) -> str:
    """The last word, or the one before it if that is NOT."""
    kept = words[:-1] if words and words[-1] == "not" else words
    return kept[-1] if kept else ""


def _named(word: str) -> str | None:
    return word if word.startswith('"') else None


def _inserted(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The places of the values of an INSERT that names its columns, each with its column."""
    if "into" not in words or "values" not in words:
        return
    values = words.index("values")
    listed = words[words.index("into") : values]
    names = [word for word in listed[listed.index("(") :] if _named(word)] if "(" in listed else []
    depth = item = 0
    for place in range(values + 1, len(words)):
        word = words[place]
        depth += (word == "(") - (word == ")")
        if word == "(" and depth == 1:
            item = 0
        elif word == "," and depth == 1:
            item += 1
        elif word == _PLACE and depth == 1 and item < len(names):
            yield place, names[item]
        elif depth == 0 and word not in {")", ","}:
            return
