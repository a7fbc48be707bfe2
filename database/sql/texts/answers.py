"""The answers of SQL text: the names of their columns, of which each is there once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import NamedTuple

from database.core.errors import InvalidQuery

Origin = tuple[str, str]
"""The table and the column of a table that a column of an answer shows."""


class SqlAnswer(NamedTuple):
    """What a statement answered.

    :ivar names: of its columns; none if it returns no rows.
    :ivar changed: the number of rows affected.
    :ivar origins: per column, where the database tells it and its values do not show their type.
    """

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    changed: int
    origins: tuple[Origin | None, ...] = ()


def require_distinct(names: Sequence[str]) -> None:
    """Refuse columns of one name, of which a record can hold only one. :raises InvalidQuery: names it."""
    if len(set(names)) == len(names):
        return
    twice = next(name for name in names if names.count(name) > 1)
    raise InvalidQuery(f"the statement returns two columns named {twice!r}; give each its own name with AS")


_RETURNING: Final = re.compile(r".*\breturning\b(.*)\Z", re.I | re.S)
"""The last one, found from the end: a text may have the word any number of times."""

_CHANGES: Final = re.compile(r"\s*(?:with|insert|update|delete|merge)\b", re.I)
_SIMPLE: Final = re.compile(r"\s*[a-z_]\w*(?:\s*,\s*[a-z_]\w*)*\s*;?\s*\Z", re.I | re.A)
_ALL: Final = re.compile(r"\s*\*\s*;?\s*\Z")
_ONE_TABLE: Final = re.compile(r"\s*insert\b", re.I)


def may_repeat_a_name(text: str) -> bool:
    """Whether a statement that writes may return two columns of one name; False only if it certainly does not."""
    found = _RETURNING.match(text)
    if found is None or not _CHANGES.match(text):
        return False
    if _SIMPLE.match(found[1]):
        names = [name.strip().lower() for name in found[1].rstrip("; \t\r\n").split(",")]
        return len(set(names)) < len(names)
    return not (_ALL.match(found[1]) and _ONE_TABLE.match(text))
