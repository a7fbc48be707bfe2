"""Searches with filters: the best ones are looked at, then more of them, until there are enough that fit."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import TypeVar

from storage.core.conditions import matches
from storage.core.entry import Stored
from storage.core.operations import Search

Found = TypeVar("Found")

_FACTOR: Final = 4
"""How many times as many are looked at next."""


def fits(search: Search, entry: Stored) -> bool:
    """Whether an entry is one of those that a search means."""
    return (
        entry.key.startswith(search.prefix)
        and not entry.is_past(search.now)
        and matches(search.filters, entry.key, entry.metadata, None)
    )


def first_fitting(
    limit: int, best: Callable[[int], Sequence[Any]], fitting: Callable[[Sequence[Any]], list[Found]]
) -> list[Found]:
    """The best ones that fit: more are looked at until there are enough.

    :param best: so many of the best ones, or all if there are fewer.
    :param fitting: those of them that fit, in their order.
    """
    wanted = limit
    while True:
        looked_at = best(wanted)
        found = fitting(looked_at)
        if len(found) >= limit or len(looked_at) < wanted:
            return found[:limit]
        wanted *= _FACTOR
