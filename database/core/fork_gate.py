"""Delays a fork while other threads are inside a library whose own locks do not survive it.

Python's hooks can replace the locks of Python code in the child (:mod:`database.core.lifecycle`), but not those inside
of a C library: what another thread held there at the moment of the fork stays held, and the child waits for ever.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from threading import Lock

_PATIENCE = 1.0
"""Maximum seconds that a fork is delayed: a call may last longer, and holds the locks only now and then."""


def _pause(seconds: float) -> None:
    time.sleep(seconds)


class ForkGate:
    """Callers enter before a call of the library and leave after it; a fork waits until all have left.

    It is made for the life of the process, because the hooks of forks cannot be taken back.
    """

    enter: Callable[[object], None]
    """Begins a call of the library. The caller must not be inside. While the gate is :attr:`closed`, it must
    :meth:`wait` next. These are no single function, because it would cost a hundredth of a small statement.
    """
    leave: Callable[[object], None]
    """Ends what :attr:`enter` began."""

    closed: bool
    """Whether the process forks."""

    def __init__(self) -> None:
        self._inside: set[object] = set()
        self.enter, self.leave = self._inside.add, self._inside.discard
        self.closed = False
        self._opened = Event()
        self._forking = Lock()
        os.register_at_fork(before=self._close, after_in_parent=self._open, after_in_child=self._begin_in_child)

    def wait(self, caller: object) -> None:
        """Wait outside until no fork is under way, then be inside."""
        # Each of these steps is atomic, and _close() takes them in the other order: one of both sees the other.
        while self.closed:
            self._inside.discard(caller)
            self._opened.wait(_PATIENCE)
            self._inside.add(caller)

    @contextmanager
    def inside(self, caller: object) -> Iterator[None]:
        """Both, around calls that are not made for each statement."""
        self.enter(caller)
        self.wait(caller)
        try:
            yield
        finally:
            self.leave(caller)

    def _close(self) -> None:
        # One fork at a time: the end of one would open the gate for the other.
        self._forking.acquire()
        self._opened.clear()
        self.closed = True
        limit = time.monotonic() + _PATIENCE
        while self._inside and time.monotonic() < limit:
            _pause(0.0005)

    def _open(self) -> None:
        self.closed = False
        self._opened.set()
        self._forking.release()

    def _begin_in_child(self) -> None:
        # The threads that were inside or waited do not exist here.
        self._inside.clear()
        self._opened, self._forking = Event(), Lock()
        self.closed = False
