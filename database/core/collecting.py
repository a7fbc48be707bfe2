"""Work that makes many objects for a short time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from database.core.lifecycle import rebuild_after_fork


@contextmanager
def old_objects_spared() -> Iterator[None]:
    """Until the block ends, the garbage collector does not visit the objects that exist now.

    Otherwise work that makes many objects has it visit all of the process again and again, which can take a third of
    the time. Those that become garbage meanwhile, and refer to each other, are freed after the block.
    """
    begun = _OBJECTS.spare()
    try:
        yield
    finally:
        if begun:
            _OBJECTS.visit()


class _OldObjects:
    """The objects that the collector does not visit: there is one collector, which all blocks share."""

    def __init__(self) -> None:
        self._blocks = 0
        self._lock = Lock()
        rebuild_after_fork(self, _OldObjects._begin_in_child)

    def spare(self) -> bool:
        """Begin a block. :returns: False if there is nothing to be ended."""
        with self._lock:
            # Of a server that has done this before it has made its workers, the objects stay as they are.
            if not self._blocks and gc.get_freeze_count():
                return False
            if not self._blocks:
                gc.freeze()
            self._blocks += 1
        return True

    def visit(self) -> None:
        """End a block."""
        with self._lock:
            # None in a child that was forked inside of the block.
            if self._blocks:
                self._blocks -= 1
                if not self._blocks:
                    gc.unfreeze()

    def _begin_in_child(self) -> None:
        """End the blocks, whose threads do not exist in a forked child."""
        if self._blocks:
            gc.unfreeze()
        self._blocks, self._lock = 0, Lock()


_OBJECTS = _OldObjects()
