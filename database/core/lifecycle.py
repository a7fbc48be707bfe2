"""What begins in a process and has to end in it: state that no forked child may share, and threads.

A thread does not live on in a forked child, and a lock that it held there stays locked for ever. So whatever holds
locks, threads or connections is made anew in the child, in the order that :func:`rebuild_after_fork` was told.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from threading import Event
from threading import Lock
from threading import Thread
from threading import current_thread
from typing import Any
from typing import TypeVar

logger = logging.getLogger(__name__)

Owner = TypeVar("Owner")

Step = Callable[[], float | None]
"""One step of a worker: the seconds until the next one, or None for the worker's interval."""


@dataclass(frozen=True, slots=True)
class _Rebuilding:
    rebuild: Callable[[Any], object]
    after: tuple[weakref.ref[Any], ...]


_rebuilding: weakref.WeakKeyDictionary[Any, _Rebuilding] = weakref.WeakKeyDictionary()


def rebuild_after_fork(owner: Owner, rebuild: Callable[[Owner], object], *, after: Iterable[object] = ()) -> None:
    """In a forked child have ``rebuild(owner)`` called, which makes anew what the child must not share.

    :param owner: is not kept alive by this.
    :param rebuild: a function or an unbound method. It must not wait for anything: in the child no other thread runs.
    :param after: what ``owner`` builds upon. Where it has to be rebuilt itself, that happens before.
    """
    _rebuilding[owner] = _Rebuilding(rebuild, tuple(weakref.ref(other) for other in after))


def _rebuild_all() -> None:
    done: set[int] = set()
    for owner in list(_rebuilding):
        _rebuild(owner, done)


def _rebuild(owner: Any, done: set[int]) -> None:
    entry = _rebuilding.get(owner)
    if entry is None or id(owner) in done:
        return
    done.add(id(owner))
    for reference in entry.after:
        other = reference()
        if other is not None:
            _rebuild(other, done)
    try:
        entry.rebuild(owner)
    except Exception:
        # Nobody could catch it, and the child needs the others all the same.
        logger.exception("%r could not be made anew in a forked process", owner)


os.register_at_fork(after_in_child=_rebuild_all)


def in_background(name: str, work: Callable[[], object]) -> Thread:
    """A daemon thread that does ``work`` once; what that raises is logged.

    :param name: of the thread.
    """

    def run() -> None:
        try:
            work()
        except Exception:
            logger.exception("%s failed", name)

    thread = Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


@dataclass(slots=True, eq=False)
class _Run:
    """One life of a worker's thread."""

    wake: Event = field(default_factory=Event)
    stopped: bool = False
    thread: Thread | None = None


class Worker:
    """A daemon thread that does one step after another until it is stopped. What a step raises is logged, and the
    worker goes on.

    It may be started again after it has ended; two steps are never under way at the same time. In a forked child it
    does not run, and whoever made it makes another one there.

    :param name: of the thread.
    :param step: see :data:`Step`.
    :param interval: seconds between two steps; None waits for :meth:`wake`.
    :param first: seconds before the first step; None waits for :meth:`wake`.
    :param goes_on: whether another step may be needed, asked before each pause; it must not wait. The worker ends if
        not. Whoever makes it true again calls :meth:`start` afterwards, and no step is missed.
    :param ended: called in the thread when it ends.
    :param wait: replaces the waiting, for tests.
    :ivar at_work: whether the thread goes on; cheap to read, for those who start a worker with each call.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        interval: float | None,
        *,
        first: float | None = 0.0,
        goes_on: Callable[[], bool] | None = None,
        ended: Callable[[], object] | None = None,
        wait: Callable[[float | None], object] | None = None,
    ) -> None:
        self.name = name
        self.at_work = False
        self._step = step
        self._interval = interval
        self._first = first
        self._needed = goes_on
        self._ended = ended
        self._wait = wait
        self._lock = Lock()
        self._run = _Run()

    @property
    def running(self) -> bool:
        """Whether there is a thread that goes on; never in a process that was forked off."""
        # In a forked child the lock may be held for good, by a thread that is not here.
        if not self._is_alive(self._run):
            return False
        with self._lock:
            return self.at_work

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop: a long step ends early then."""
        return self._run.stopped

    def start(self) -> bool:
        """Begin; False if the worker runs already."""
        with self._lock:
            if self.at_work:
                return False
            before = self._run.thread if self._run.stopped else None
            run = self._run = _Run()
            run.thread = Thread(target=self._work, args=(run, before), name=self.name, daemon=True)
            self.at_work = True
            run.thread.start()
            return True

    def wake(self) -> None:
        """End the present pause, or the next one if a step is under way."""
        self._run.wake.set()

    def stop(self, timeout: float | None = None) -> None:
        """End the pause and the thread, and wait for a step that is under way, unless that is the caller.

        It may be called again, and in a forked child.

        :param timeout: seconds to wait at most; the thread ends after its step in any case.
        """
        run = self._run
        run.stopped = True
        # As above: the locks of a thread that is not alive are left alone.
        if not self._is_alive(run):
            self.at_work = False
            return
        with self._lock:
            self.at_work = False
        run.wake.set()
        if run.thread is not None and run.thread is not current_thread():
            run.thread.join(timeout)

    @staticmethod
    def _is_alive(run: _Run) -> bool:
        return run.thread is not None and run.thread.is_alive()

    def _work(self, run: _Run, before: Thread | None) -> None:
        if before is not None:
            before.join()
        pause = self._first
        try:
            while self._goes_on(run):
                self._pause(run, pause)
                if not run.stopped:
                    pause = self._stepped()
        finally:
            if self._ended is not None:
                self._ended()

    def _goes_on(self, run: _Run) -> bool:
        with self._lock:
            if run.stopped:
                return False
            if self._needed is None:
                return True
            # First no longer at work, then asked: who needs a step after the question finds that he has to start.
            self.at_work = False
            self.at_work = self._needed()
            return self.at_work

    def _pause(self, run: _Run, seconds: float | None) -> None:
        if self._wait is not None:
            self._wait(seconds)
            return
        run.wake.wait(seconds)
        # Before the step: whoever wakes the worker while that is under way has it done once more.
        run.wake.clear()

    def _stepped(self) -> float | None:
        try:
            pause = self._step()
        except Exception:
            logger.exception("a step of %s failed; it goes on", self.name)
            pause = None
        return self._interval if pause is None else pause
