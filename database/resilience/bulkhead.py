"""A limit on the calls at a backend, so that a slow one cannot take every thread of the process."""

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
from database.resilience.stages import Step


class Bulkhead:
    """A fixed number of permits.

    :param limit: permits; 0 lets everybody pass and counts nobody.
    :param clock: the clock that deadlines are on.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        self.limit = limit
        self._clock = clock
        # A queue of permits rather than a semaphore: it is written in C, and a free permit costs a tenth of the time.
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(limit):
            self._permits.put(None)

    @property
    def in_flight(self) -> int | None:
        """Permits taken; None where there is no limit and nobody counts."""
        return self.limit - self._permits.qsize() if self.limit else None

    def release(self) -> None:
        """Hand a permit back.

        :raises RuntimeError: if none is out: a second release would raise the limit unnoticed.
        """
        if not self.limit:
            return
        if self._permits.qsize() >= self.limit:
            raise RuntimeError("a permit was released that nobody holds")
        self._permits.put(None)

    def limited(self, inner: Step[Answer]) -> Step[Answer]:
        """The stage: ``inner`` runs while it holds a permit."""
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

    def held(self, inner: Step[Answer]) -> Step[Answer]:
        """The stage for opening a session: the permit stays taken after success, until :meth:`release`."""
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
            raise PoolExhausted(f"all {self.limit} permits stayed taken until the deadline") from None
