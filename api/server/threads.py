"""Threads shared by lanes, so that no kind of request can occupy all of them."""

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
    """A queue of jobs of one kind, first in, first out.

    :ivar limit: maximum number of running jobs.
    :ivar running: number of running jobs.
    :ivar waiting: jobs without a thread.
    """

    limit: int
    running: int
    waiting: deque[Job]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A unit of work for a thread.

    :ivar until: when to give up if no thread is free; jobs of a lane must be submitted in this order.
    :ivar work: called in a thread; handles its own errors.
    :ivar give_up: called instead of ``work`` after ``until``.
    """

    lane: Lane
    until: float
    work: Callable[[], None]
    give_up: Callable[[], None]


class Threads:
    """A thread pool with lanes.

    :param limits: maximum number of running jobs, one number for each lane. Earlier lanes have priority.
    """

    def __init__(self, count: int, name: str, *limits: int) -> None:
        self.lanes = [Lane(limit, 0, deque()) for limit in limits]
        self._free = count
        self._lock = Lock()
        self._queue: SimpleQueue[Job] = SimpleQueue()
        for number in range(count):
            # A daemon thread, so that a request that ignores its deadline does not keep the process from stopping.
            in_background(f"{name}-{number}", self._serve)

    @property
    def idle(self) -> bool:
        """Whether no job runs or waits."""
        return not any(lane.running or lane.waiting for lane in self.lanes)

    def submit(self, job: Job) -> None:
        """Run a job as soon as a thread is free for its lane."""
        if self._try_start(job):
            self._queue.put(job)

    def perform(self, job: Job) -> None:
        """Run a job in the calling thread if a thread is free, which then counts as busy; else :meth:`submit` it."""
        if self._try_start(job):
            self._do(job)

    def expire(self, now: float) -> None:
        """Give up the waiting jobs whose time is over."""
        for lane in self.lanes:
            while lane.waiting and lane.waiting[0].until <= now:
                with self._lock:
                    job = lane.waiting.popleft() if lane.waiting and lane.waiting[0].until <= now else None
                if job is not None:
                    job.give_up()

    def _serve(self) -> None:
        while True:
            self._do(self._queue.get())

    def _try_start(self, job: Job) -> bool:
        """Reserve a thread for the job, or queue it; whether a thread was free."""
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
                # Whatever the exception is, the thread must continue. The client gets a 500.
                logger.exception("a request failed")
            job = self._finish_and_take_next(job.lane)

    def _finish_and_take_next(self, done: Lane) -> Job | None:
        with self._lock:
            done.running -= 1
            for lane in self.lanes:
                if lane.waiting and lane.running < lane.limit:
                    lane.running += 1
                    return lane.waiting.popleft()
            self._free += 1
            return None
