"""Reads in another thread what is needed next, so that both databases work at the same time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Final
from typing import TypeVar

from database.core.lifecycle import in_background

Item = TypeVar("Item")
Work = Callable[[], None]

_NAME: Final = "isthmus-sync-reader"


def read_ahead(items: Iterator[Item], is_large: Callable[[Item], bool]) -> Generator[Item, None, None]:
    """Yield the items. While one that is large is worked on, another thread makes the next one.

    To be closed by the caller: then no thread works any more.
    """
    coming: Future[Item | None] | None = None
    reader = _Reader()
    try:
        item = next(items, None)
        while item is not None:
            coming = reader.begin(lambda: next(items, None)) if is_large(item) else None
            yield item
            item = next(items, None) if coming is None else coming.result()
    finally:
        if coming is not None:
            coming.exception()
        reader.end()


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
    coming, work = _planned(read)
    in_background(_NAME, work)
    try:
        yield coming.result
    finally:
        coming.exception()


class _Reader:
    """A thread that makes one thing after another.

    Each new thread may take another arena of the C library's allocator, and what is freed in one stays there for its
    next thread: with a thread for each item, memory grows for as many items as there are arenas.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Work | None] | None = None

    def begin(self, make: Callable[[], Item]) -> Future[Item]:
        """Begin to make something, with the caller's context."""
        if self._tasks is None:
            self._tasks = SimpleQueue()
            in_background(_NAME, partial(_work_through, self._tasks))
        made, work = _planned(make)
        self._tasks.put(work)
        return made

    def end(self) -> None:
        """End the thread, after everything that was begun."""
        if self._tasks is not None:
            self._tasks.put(None)


def _work_through(tasks: SimpleQueue[Work | None]) -> None:
    while (work := tasks.get()) is not None:
        work()
        # Not kept until the next one comes: it has what it has made.
        del work


def _planned(make: Callable[[], Item]) -> tuple[Future[Item], Work]:
    """What will be made, and the work of making it, with the caller's context."""
    made: Future[Item] = Future()

    def work() -> None:
        try:
            made.set_result(make())
        except BaseException as error:  # noqa: BLE001  # it is the one of who waits for it
            made.set_exception(error)

    return made, partial(copy_context().run, work)
