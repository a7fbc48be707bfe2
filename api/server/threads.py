"""Threads shared by lanes: no kind of request can take them all from the others."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock

from database.core.lifecycle import in_background

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Lane:
    """Work of one kind, first come first served.

    :ivar limit: how many pieces of it may have a thread at a time.
    :ivar running: how many have one.
    :ivar waiting: those that have none.
    """

    limit: int
    running: int
    waiting: deque[Job]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A piece of work.

    :ivar until: when to give up, if no thread was free by then; jobs of a lane must come in this order.
    :ivar work: called in a thread; deals with its own errors.
    :ivar give_up: called instead.
    """

    lane: Lane
    until: float
    work: Callable[[], None]
    give_up: Callable[[], None]


class Threads:
    """Threads that do one job at a time.

    :param limits: a lane is made for each: how many of the threads it may have. Where two wait, the first one goes on.
    """

    def __init__(self, count: int, name: str, *limits: int) -> None:
        self.lanes = [Lane(limit, 0, deque()) for limit in limits]
        self._free = count
        self._lock = Lock()
        self._queue: SimpleQueue[Job] = SimpleQueue()
        for number in range(count):
            # A request that ignores its own time limit shall not keep the process from ending.
            in_background(f"{name}-{number}", self._serve)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not any(lane.running or lane.waiting for lane in self.lanes)

    def submit(self, job: Job) -> None:
        """Do a job as soon as a thread is free for its lane."""
        if self._starts(job):
            self._queue.put(job)

    def perform(self, job: Job) -> None:
        """As :meth:`submit`, but by the calling thread if one is free: it counts as one of these, until it returns."""
        if self._starts(job):
            self._do(job)

    def expire(self, now: float) -> None:
        """Give up the jobs whose time is over."""
        for lane in self.lanes:
            while lane.waiting and lane.waiting[0].until <= now:
                with self._lock:
                    job = lane.waiting.popleft() if lane.waiting and lane.waiting[0].until <= now else None
                if job is not None:
                    job.give_up()

    def _serve(self) -> None:
        while True:
            self._do(self._queue.get())

    def _starts(self, job: Job) -> bool:
        """Whether a job can be done now; else it waits."""
        lane = job.lane
        with self._lock:
            if self._free and lane.running < lane.limit:
                self._free -= 1
                lane.running += 1
                return True
            lane.waiting.append(job)
            return False

    def _do(self, first: Job) -> None:
        job: Job | None = first
        while job is not None:
            try:
                job.work()
            except BaseException:
                # Whatever it is, the thread goes on to serve others. The server answers with 500.
                logger.exception("a request could not be answered")
            job = self._following(job.lane)

    def _following(self, done: Lane) -> Job | None:
        with self._lock:
            done.running -= 1
            for lane in self.lanes:
                if lane.waiting and lane.running < lane.limit:
                    lane.running += 1
                    return lane.waiting.popleft()
            self._free += 1
            return None
