"""Reads what comes next while a large part is worked on, so that the one database reads while the other one writes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

from database.core.lifecycle import in_background

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item], is_large: Callable[[Item], bool]) -> Generator[Item, None, None]:
    """Yield the items. While one that is large is worked on, another thread makes the next one.

    To be closed by the caller: then no thread works any more.
    """
    coming: Future[Item | None] | None = None
    try:
        item = next(items, None)
        while item is not None:
            coming = _begun(items) if is_large(item) else None
            yield item
            item = next(items, None) if coming is None else coming.result()
    finally:
        if coming is not None:
            coming.exception()


def _begun(items: Iterator[Item]) -> Future[Item | None]:
    made: Future[Item | None] = Future()

    def make() -> None:
        try:
            made.set_result(next(items, None))
        except BaseException as error:  # noqa: BLE001  # it is the one of who waits for it
            made.set_exception(error)

    context = copy_context()
    in_background("isthmus-sync-reader", lambda: context.run(make))
    return made
