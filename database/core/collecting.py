"""Work that makes many objects for a short time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_blocks = 0


@contextmanager
def old_objects_spared() -> Iterator[None]:
    """Until the block ends, the garbage collector does not visit the objects that exist now.

    Otherwise work that makes many objects has it visit all of the process again and again, which can take a third of
    the time. Those that become garbage meanwhile, and refer to each other, are freed after the block.
    """
    begun = _begin()
    try:
        yield
    finally:
        if begun:
            _end()


def _begin() -> bool:
    global _blocks  # noqa: PLW0603  # the collector is one for the process, too
    with _lock:
        # Of a server that has done this before it has made its workers, the objects stay as they are.
        if not _blocks and gc.get_freeze_count():
            return False
        if not _blocks:
            gc.freeze()
        _blocks += 1
    return True


def _end() -> None:
    global _blocks  # noqa: PLW0603
    with _lock:
        _blocks -= 1
        if not _blocks:
            gc.unfreeze()
