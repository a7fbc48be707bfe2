"""Limits the size of the result of a caller's SQL text; reading stops at the limit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from typing import Final

import orjson

from database.core.errors import InvalidQuery

MAX_ROWS: Final = 10_000
MAX_BYTES: Final = 8 << 20
"""Maximum size of all values in bytes; each value counts :data:`VALUE` bytes plus its text."""

VALUE: Final = 16


def within_limits(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Read all rows, one after another.

    :raises InvalidQuery: at the first row beyond a limit.
    """
    taken: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        size += sum(map(_size, row))
        if len(taken) == MAX_ROWS or size > MAX_BYTES:
            raise InvalidQuery(
                f"a caller's SQL text may return at most {MAX_ROWS:,} rows and {MAX_BYTES >> 20} MiB, and this one"
                " returns more; reduce the rows with LIMIT and WHERE, or select fewer columns"
            )
        taken.append(row)
    return taken


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return VALUE + len(value)
    if isinstance(value, dict | list):
        return VALUE + len(orjson.dumps(value))
    return VALUE
