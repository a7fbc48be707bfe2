"""Limits the concurrent calls of a backend, so that a slow backend cannot occupy every thread of the process."""

from __future__ import annotations

from queue import Empty
from queue import SimpleQueue
from threading import TIMEOUT_MAX

from database.core.clock import Clock
from database.core.context import Context
from database.core.errors import PoolExhausted
from database.core.operations import Operation
from database.resilience.deadline import remaining
from database.resilience.stages import Answer
from database.resilience.stages import BackendCall


class Bulkhead:
    """A fixed number of permits.

    :param limit: permits; 0 sets no limit and counts nothing.
    :param clock: the clock of the deadlines.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        self.limit = limit
        self._clock = clock
        # A queue instead of a semaphore: it is implemented in C, so that taking a free permit is ten times faster.
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(limit):
            self._permits.put(None)

    @property
    def in_flight(self) -> int | None:
        """The number of permits in use; None without a limit."""
        return self.limit - self._permits.qsize() if self.limit else None

    def release(self) -> None:
        """Return a permit.

        :raises RuntimeError: if no permit is in use: a second release would raise the limit.
        """
        if not self.limit:
            return
        if self._permits.qsize() >= self.limit:
            raise RuntimeError("a permit was released twice: no permit is in use")
        self._permits.put(None)

    def limited(self, inner: BackendCall[Answer]) -> BackendCall[Answer]:
        """The stage: runs ``inner`` while holding a permit."""
        if not self.limit:
            return inner
        take = self._permits.get_nowait
        give = self._permits.put

        def call(operation: Operation, context: Context) -> Answer:
            try:
                take()
            except Empty:
                self._wait(context)
            try:
                return inner(operation, context)
            finally:
                give(None)

        return call

    def held(self, inner: BackendCall[Answer]) -> BackendCall[Answer]:
        """The stage for opening a session: after success the permit is kept until :meth:`release`."""
        if not self.limit:
            return inner
        take = self._permits.get_nowait

        def call(operation: Operation, context: Context) -> Answer:
            try:
                take()
            except Empty:
                self._wait(context)
            try:
                return inner(operation, context)
            except BaseException:
                self.release()
                raise

        return call

    def _wait(self, context: Context) -> None:
        patience = min(remaining(context, self._clock), TIMEOUT_MAX)
        try:
            self._permits.get(timeout=patience)
        except Empty:
            raise PoolExhausted(f"all {self.limit} permits of the backend were in use until the deadline") from None
