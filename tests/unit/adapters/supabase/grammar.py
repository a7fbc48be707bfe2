"""PostgREST's own reading of a filter: the grammar of its logic trees and the SQL that it makes of them.

Written after ``QueryParams.hs`` and ``SqlFragment.hs``, because the server of the integration tests reads more than
PostgREST does, and some of it differently.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Where
from database.core.result import Row
from database.core.tables.schema import TableSchema

_NAME = re.compile(r'"(?:[^"\\]|\\.)*"|[\w$ ]+', re.S)
_GROUP = re.compile(r"(not\.)?(and|or)\(")
_OPERATOR = re.compile(r"(not\.)?(eq|neq|gt|gte|lt|lte|match|in|is)\.")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"(?![^,)])', re.S)
_BRACKETS = re.compile(r"\[\[\.\^\.\]\]|\[([][.{}*+?$|])\]")
_NO_VALUE = "\0"
_BARE = re.compile(r"[^,)]*", re.S)


class LogicTree:
    """Reads one term of ``or=(...)``; ``ValueError`` for what PostgREST refuses.

    :param rows: a regular expression becomes the list of those of their values that it matches.
    """

    def __init__(self, table: TableSchema, text: str, rows: Sequence[Row] = ()) -> None:
        self._table = table
        self._text = text
        self._rows = rows
        self._at = 0

    def read(self) -> Filter:
        """The filter that PostgREST applies."""
        found = self._tree()
        if self._at != len(self._text):
            raise ValueError(f"unexpected {self._text[self._at :]!r}")
        return found

    def _tree(self) -> Filter:
        if group := self._taken(_GROUP):
            parts = tuple(self._listed(self._tree))
            return _maybe_not(bool(group[1]), And(parts) if group[2] == "and" else Or(parts))
        return self._condition()

    def _condition(self) -> Filter:
        column = _unquoted(self._needed(_NAME)[0])
        self._literal(".")
        negated, operator = self._needed(_OPERATOR).groups()
        return _maybe_not(bool(negated), self._operation(column, operator))

    def _operation(self, column: str, operator: str) -> Filter:
        if operator == "is":
            self._literal("null")
            return Where(column, "is_null", True)
        parse: Callable[[str], Any] = self._table.columns[column].kind.parse
        if operator == "in":
            self._literal("(")
            values = self._listed(self._value)
            # A list of one empty text is PostgREST's empty list.
            return Where(column, "in", () if values == [""] else tuple(map(parse, values)))
        value = self._value()
        if operator == "match":
            return Where(column, "in", self._matching(column, value))
        return Where(column, operator, parse(value))  # type: ignore[arg-type]

    def _matching(self, column: str, expression: str) -> tuple[str, ...]:
        brackets = _BRACKETS.sub(lambda found: re.escape(found[1] or "^"), expression)
        pattern = re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", brackets), re.S)
        values = {row[column] for row in self._rows if row[column] is not None}
        # With no value at all, the list would be false for null as well.
        return (_NO_VALUE, *[value for value in values if pattern.search(value)])

    def _value(self) -> str:
        if quoted := self._taken(_QUOTED):
            return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.S)
        return self._needed(_BARE)[0]

    def _listed(self, item: Callable[[], Any]) -> list[Any]:
        """One item at least, separated by commas, up to the closing bracket."""
        items = [item()]
        while self._text.startswith(",", self._at):
            self._at += 1
            items.append(item())
        self._literal(")")
        return items

    def _taken(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found

    def _needed(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = self._taken(pattern)
        if found is None:
            raise ValueError(f"expected {pattern.pattern} at {self._text[self._at :]!r}")
        return found

    def _literal(self, text: str) -> None:
        if not self._text.startswith(text, self._at):
            raise ValueError(f"expected {text!r} at {self._text[self._at :]!r}")
        self._at += len(text)


def _unquoted(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name[1:-1], flags=re.S) if name.startswith('"') else name


def _maybe_not(negated: bool, part: Filter) -> Filter:
    return Not(part) if negated else part
