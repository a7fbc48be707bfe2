"""The limits of what a caller's SQL text answers with: it is stopped where its rows pass them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from typing import Final

import orjson

from database.core.errors import InvalidQuery

MAX_ROWS: Final = 10_000
MAX_BYTES: Final = 8 << 20
"""Bytes of all values, each of which counts :data:`VALUE` more than its text."""

VALUE: Final = 16


def within_limits(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """All rows, taken one after another.

    :raises InvalidQuery: as soon as they are too many or too large.
    """
    taken: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        size += sum(map(_size, row))
        if len(taken) == MAX_ROWS or size > MAX_BYTES:
            raise InvalidQuery(
                f"SQL text of a caller answers with at most {MAX_ROWS:,} rows and {MAX_BYTES >> 20} MiB, and this has"
                " more; ask for fewer with LIMIT and WHERE, or for fewer columns"
            )
        taken.append(row)
    return taken


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return VALUE + len(value)
    if isinstance(value, dict | list):
        return VALUE + len(orjson.dumps(value))
    return VALUE
