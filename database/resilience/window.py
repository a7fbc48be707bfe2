"""Counts the outcomes of the last seconds in buckets of one second, so that memory does not grow with traffic."""

from __future__ import annotations

import math
from collections import deque
from threading import Lock


class Window:
    """A sliding count of successful and failed calls.

    Successes are counted without a lock, which every call would have to pay for: in rare cases two threads lose an
    increment, which does not affect the failure rate noticeably. Failures are rare and are counted exactly.

    :param length: seconds for which an outcome is counted, rounded up to whole buckets.
    :param now: the current time, in seconds on the clock of all other times.
    :ivar ends: the time at which the current bucket ends.
    :ivar well: the successful calls of the current bucket. The circuit breaker counts here what :meth:`succeed` would
        count, because a call of it would take longer than the counting.
    """

    __slots__ = ("_failed", "_length", "_lock", "_past", "ends", "well")

    def __init__(self, length: float, now: float) -> None:
        self.well = 0
        self._failed = 0
        self.ends = math.floor(now) + 1.0
        self._length = math.ceil(length)
        self._past: deque[tuple[float, int, int]] = deque(maxlen=self._length)
        self._lock = Lock()

    def __len__(self) -> int:
        """The number of buckets in memory, at most the length plus one."""
        return len(self._past) + 1

    def succeed(self, now: float) -> None:
        """Count a successful call."""
        if now >= self.ends:
            self.advance(now)
        self.well += 1

    def advance(self, now: float) -> None:
        """Begin the bucket of the current time, unless that is the current one."""
        with self._lock:
            self._advance(now)

    def fail(self, now: float) -> None:
        """Count a failed call."""
        with self._lock:
            self._advance(now)
            self._failed += 1

    def totals(self, now: float) -> tuple[int, int]:
        """The numbers of successful and failed calls in the window that ends now."""
        with self._lock:
            self._advance(now)
            recent = [bucket for bucket in self._past if bucket[0] > self.ends - self._length]
            well = self.well + sum(bucket[1] for bucket in recent)
            return well, self._failed + sum(bucket[2] for bucket in recent)

    def _advance(self, now: float) -> None:
        if now < self.ends:
            return
        if self.well or self._failed:
            self._past.append((self.ends, self.well, self._failed))
        self.ends = math.floor(now) + 1.0
        self.well = self._failed = 0
