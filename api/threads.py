"""Threads for an event loop, shared by lanes: no kind of request can take them all from the others.

Everything but the work itself happens in the event loop, which needs no locks for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

Work = Callable[[], Any]
_Job = tuple[asyncio.Future[Any], Work, "Lane"]


class Overloaded(Exception):
    """No thread was free until the time was over; the work was not begun."""


class Threads:
    """Threads that do one piece of work at a time.

    :param count: how many.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int, name: str) -> None:
        self.busy = 0
        self._loop = loop
        self._count = count
        self._lanes: list[Lane] = []
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        for number in range(count):
            # A request that ignores its own time limit shall not keep the process from ending.
            Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def lane(self, limit: int) -> Lane:
        """A lane for at most ``limit`` pieces of work at a time. Of two that wait, the earlier made lane goes first."""
        lane = Lane(self, self._loop, limit)
        self._lanes.append(lane)
        return lane

    def close(self) -> None:
        """Let the threads end when what they have to do is done."""
        for _ in range(self._count):
            self._queue.put(None)

    def dispatch(self) -> None:
        """Give waiting work to free threads."""
        while self.busy < self._count:
            job = next(
                (lane.waiting.popleft() for lane in self._lanes if lane.waiting and lane.running < lane.limit), None
            )
            if job is None:
                return
            if not job[0].done():
                self._start(job)

    def _start(self, job: _Job) -> None:
        self.busy += 1
        job[2].running += 1
        self._queue.put(job)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            future, work, lane = job
            try:
                result, error = work(), None
            except BaseException as failure:
                result, error = None, failure
            self._loop.call_soon_threadsafe(self._done, future, lane, result, error)
            del job, future, work, result, error

    def _done(self, future: asyncio.Future[Any], lane: Lane, result: Any, error: BaseException | None) -> None:
        self.busy -= 1
        lane.running -= 1
        self.dispatch()
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


class Lane:
    """Work of one kind, first come first served.

    :ivar running: how many pieces of it have a thread.
    :ivar waiting: those that do not.
    """

    def __init__(self, threads: Threads, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self.limit = limit
        self.running = 0
        self.waiting: deque[_Job] = deque()
        self._threads = threads
        self._loop = loop

    async def run(self, work: Work, until: float) -> Any:
        """What ``work`` returns or raises in a thread.

        :param until: the time of the event loop at which to give up, if it has no thread by then.
        :raises Overloaded: if it gave up.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        job = (future, work, self)
        self.waiting.append(job)
        self._threads.dispatch()
        if job not in self.waiting:
            return await future
        timer = self._loop.call_at(until, self._give_up, job)
        try:
            return await future
        finally:
            timer.cancel()

    def _give_up(self, job: _Job) -> None:
        if job in self.waiting:
            self.waiting.remove(job)
            job[0].set_exception(Overloaded())
