"""Where a write has arrived: for callers of stores with several places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_reported: ContextVar[dict[str, bool] | None] = ContextVar("isthmus_written_to", default=None)


@contextmanager
def written_to() -> Iterator[dict[str, bool]]:
    """For the writes of the block: the names of the places, each with whether all of them have arrived there.

    A place that a mirror has not reached gets them from its repair queue later.

    >>> with written_to() as places:
    ...     store.put("key", 1)
    >>> places
    {'main': True, 'copy': False}
    """
    places: dict[str, bool] = {}
    token = _reported.set(places)
    try:
        yield places
    finally:
        _reported.reset(token)


def report(place: str, *, written: bool) -> None:
    """Tell whether a write has arrived at a place."""
    places = _reported.get()
    if places is not None:
        places[place] = written and places.get(place, True)
