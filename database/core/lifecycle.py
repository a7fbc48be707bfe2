"""Process-local state: rebuilding objects in forked children, and background threads.

Threads do not survive a fork, and a lock that a thread held stays locked in the child for ever. So every object with
locks, threads or connections is rebuilt in the child, in the order that :func:`rebuild_after_fork` records.
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

WorkerStep = Callable[[], float | None]
"""One step of a worker. It returns the seconds until the next one, or None for the worker's interval."""


@dataclass(frozen=True, slots=True)
class _Rebuilding:
    rebuild: Callable[[Any], object]
    after: tuple[weakref.ref[Any], ...]


_rebuilding: weakref.WeakKeyDictionary[Any, _Rebuilding] = weakref.WeakKeyDictionary()


def rebuild_after_fork(owner: Owner, rebuild: Callable[[Owner], object], *, after: Iterable[object] = ()) -> None:
    """Register ``rebuild(owner)`` to be called in every forked child, to recreate state that must not be shared.

    :param owner: held by a weak reference.
    :param rebuild: a function or an unbound method. It must not wait: no other thread runs in the child.
    :param after: objects that ``owner`` depends on; if they are registered themselves, they are rebuilt first.
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
        # No caller could catch it, and the child needs the other objects in any case.
        logger.exception("%r could not be rebuilt in a forked process", owner)


os.register_at_fork(after_in_child=_rebuild_all)


def in_background(name: str, work: Callable[[], object]) -> Thread:
    """Start a daemon thread that calls ``work`` once and logs its exception.

    :param name: the thread's name.
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
    """One run of a worker's thread, from start to stop."""

    wake: Event = field(default_factory=Event)
    stopped: bool = False
    thread: Thread | None = None


class Worker:
    """A daemon thread that repeats a step until it is stopped. Exceptions of a step are logged; the worker continues.

    It can be started again after it has ended; two steps never run at the same time. It does not run in a forked
    child; its owner creates a new one there (:func:`rebuild_after_fork`).

    :param name: the thread's name.
    :param step: see :data:`WorkerStep`.
    :param interval: seconds between two steps; None waits for :meth:`wake`.
    :param first: seconds before the first step; None waits for :meth:`wake`.
    :param goes_on: called before each pause; the worker ends if it returns False. It must not wait. Code that makes it
        true again calls :meth:`start` afterwards, so that no step is missed.
    :param ended: called in the thread when it ends.
    :param wait: replaces waiting, for tests.
    :ivar at_work: whether the thread continues; cheap to read, for owners that start the worker in every call.
    """

    def __init__(
        self,
        name: str,
        step: WorkerStep,
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
        """Whether a thread runs and continues; always False in a forked child."""
        # In a forked child the lock may be held for ever, by a thread that does not exist there.
        if not self._is_alive(self._run):
            return False
        with self._lock:
            return self.at_work

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called: a long step should then end early."""
        return self._run.stopped

    def start(self) -> bool:
        """Start the thread. :returns: False if the worker is running already."""
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
        """End the current pause, or the next one if a step is running."""
        self._run.wake.set()

    def stop(self, timeout: float | None = None) -> None:
        """End the thread, and wait for a running step unless that step is the caller.

        It may be called repeatedly, and in a forked child.

        :param timeout: seconds to wait at most; the thread ends after its step in any case.
        """
        run = self._run
        run.stopped = True
        # As above: do not take the lock if the thread is not alive.
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
                    pause = self._run_step()
        finally:
            if self._ended is not None:
                self._ended()

    def _goes_on(self, run: _Run) -> bool:
        with self._lock:
            if run.stopped:
                return False
            if self._needed is None:
                return True
            # at_work is cleared before goes_on() is called, so that a caller that needs a step after that call sees
            # that it must start the worker.
            self.at_work = False
            self.at_work = self._needed()
            return self.at_work

    def _pause(self, run: _Run, seconds: float | None) -> None:
        if self._wait is not None:
            self._wait(seconds)
            return
        run.wake.wait(seconds)
        # Cleared before the step, so that a wake() during the step causes another step.
        run.wake.clear()

    def _run_step(self) -> float | None:
        try:
            pause = self._step()
        except Exception:
            logger.exception("a step of the worker %s failed; the worker continues", self.name)
            pause = None
        return self._interval if pause is None else pause
