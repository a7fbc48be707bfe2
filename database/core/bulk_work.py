"""Work that makes many objects for a short time, beside other threads."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from database.core.lifecycle import rebuild_after_fork

_TURN: Final = 1e-3
"""Seconds for which one thread runs while others wait: Python's own five would be most of what a statement takes."""

_OBJECTS: Final = 500_000
"""New objects after which the collector looks for garbage. Python's own 700 are less than a tenth of a batch; of those
that a few windows of records have, all are in use, and to visit them takes a tenth of the time.
"""


@contextmanager
def bulk_work() -> Iterator[None]:
    """Until the block ends, the garbage collector comes less often and does not visit the objects that exist now, and
    threads take shorter turns.

    Otherwise work that makes many objects has the collector visit all of the process again and again, which can take a
    third of the time; and a thread that has waited for a database waits again, for one that is at work. Objects that
    become garbage meanwhile, and refer to each other, are freed after the block.
    """
    _PROCESS.begin()
    try:
        yield
    finally:
        _PROCESS.end()


class _Process:
    """What all blocks share: there is one collector, and one length of turns."""

    def __init__(self) -> None:
        self._blocks = 0
        self._lock = Lock()
        self._freezes = False
        self._thresholds = gc.get_threshold()
        self._turn = 0.0
        rebuild_after_fork(self, _Process._begin_in_child)

    def begin(self) -> None:
        """Begin a block."""
        with self._lock:
            self._blocks += 1
            if self._blocks > 1:
                return
            # Of a server that has done this before it has made its workers, the objects stay as they are.
            self._freezes = not gc.get_freeze_count()
            if self._freezes:
                gc.freeze()
            self._thresholds = gc.get_threshold()
            # For zero it never comes.
            if self._thresholds[0]:
                gc.set_threshold(max(self._thresholds[0], _OBJECTS), *self._thresholds[1:])
            # Python keeps whole microseconds, and cuts off the rest.
            self._turn = round(sys.getswitchinterval(), 6)
            sys.setswitchinterval(min(self._turn, _TURN))

    def end(self) -> None:
        """End a block."""
        with self._lock:
            # None in a child that was forked inside of the block.
            if self._blocks:
                self._blocks -= 1
                if not self._blocks:
                    self._restore()

    def _restore(self) -> None:
        if self._freezes:
            gc.unfreeze()
        gc.set_threshold(*self._thresholds)
        sys.setswitchinterval(self._turn)

    def _begin_in_child(self) -> None:
        """End the blocks, whose threads do not exist in a forked child."""
        if self._blocks:
            self._restore()
        self._blocks, self._lock = 0, Lock()


_PROCESS = _Process()
