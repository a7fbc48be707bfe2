"""Many rows by statements that insert several each.

At every step, of which a row is one, other threads of Python go on, and are waited for if they are at work: beside one
of these, a thousand rows take longer than a hundred thousand do alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Final
from typing import Protocol

from database.core.errors import ConstraintViolated
from database.sql.many_rows import Values

_ONE_ROW: Final = re.compile(r"\bVALUES (\(\?(?:, \?)*\))")

_TOGETHER: Final = 100
"""The most rows of one statement; more are hardly faster."""

_LONGEST: Final = 4_000
"""The most characters of a statement: a compiled one takes twenty bytes for each."""


class _Connection(Protocol):
    @property
    def in_transaction(self) -> bool: ...

    def insert_several(self, text: str, values: Values) -> None: ...


def insert_together(connection: _Connection, text: str, rows: Sequence[Values]) -> int:
    """Insert rows in parts.

    :param text: the statement that inserts one. For another one nothing is done.
    :returns: how many of them were inserted. The others are left to the caller: the last ones, and those from the first
        part on that was refused, so that it is known which row that is.
    :raises ConstraintViolated: if the refusal has ended the transaction.
    """
    several, number = _of_several_rows(text)
    if not connection.in_transaction or number < 2:
        return 0
    start = 0
    while start + number <= len(rows):
        try:
            connection.insert_several(several, [*chain.from_iterable(rows[start : start + number])])
        except ConstraintViolated:
            if not connection.in_transaction:
                raise
            break
        start += number
    return start


def _of_several_rows(text: str) -> tuple[str, int]:
    """The insert of one row as one of several, and their number; 0 for another statement."""
    found = _ONE_ROW.search(text)
    if found is None or text.count("?") != found[1].count("?"):
        return text, 0
    number = min(_TOGETHER, 1 + (_LONGEST - len(text)) // (len(found[1]) + 2))
    return f"{text[: found.end()]}{f', {found[1]}' * (number - 1)}{text[found.end() :]}", number
