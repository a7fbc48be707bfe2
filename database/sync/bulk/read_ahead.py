"""Reads in another thread what is needed next, so that both databases work at the same time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
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
            coming = _begun(lambda: next(items, None)) if is_large(item) else None
            yield item
            item = next(items, None) if coming is None else coming.result()
    finally:
        if coming is not None:
            coming.exception()


@contextmanager
def read_meanwhile(read: Callable[[], Item], *, large: bool) -> Iterator[Callable[[], Item]]:
    """Read something while the block begins with something else. When the block has ended, no thread reads any more.

    :param large: whether it is worth another thread; otherwise it is read before the block.
    :returns: a function that waits for what was read, and raises the error of reading it.
    """
    if not large:
        found = read()
        yield lambda: found
        return
    coming = _begun(read)
    try:
        yield coming.result
    finally:
        coming.exception()


def _begun(make: Callable[[], Item]) -> Future[Item]:
    made: Future[Item] = Future()

    def work() -> None:
        try:
            made.set_result(make())
        except BaseException as error:  # noqa: BLE001  # it is the one of who waits for it
            made.set_exception(error)

    context = copy_context()
    in_background("isthmus-sync-reader", lambda: context.run(work))
    return made
