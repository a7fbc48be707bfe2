"""What this process has written of late: the versions that a cache may still show."""

from __future__ import annotations

import math
from collections import OrderedDict
from threading import Lock
from typing import Final

from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.lifecycle import rebuild_after_fork

MOST: Final = 100_000


class _Mark:
    """A key that was written.

    ``etag`` is the one version that may be shown; None for none. ``mixed``: several write it at once, and nobody knows
    who was the last.
    """

    __slots__ = ("etag", "mixed", "until", "writers")

    def __init__(self) -> None:
        self.etag: str | None = None
        self.mixed = False
        self.until = math.inf
        self.writers = 0


class RecentWrites:
    """Keys that were written in the last ``seconds``, each with the version that it has since.

    A value that was read before a write, and reached a cache after it, has another version. So a cache that asks here
    shows nothing stale, even if what it has cannot be deleted, and forgets what it has within ``seconds`` itself.
    """

    def __init__(self, seconds: float, most: int = MOST, clock: Clock = monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._marks: OrderedDict[str, _Mark] = OrderedDict()
        self._prefixes: dict[str, _Mark] = {}
        self._blind_until = -math.inf
        self._create_runtime_state()
        rebuild_after_fork(self, RecentWrites._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._lock = Lock()

    def begin(self, *keys: str) -> None:
        """These are being written: no version of them may be shown."""
        with self._lock:
            self._forget_old()
            for key in keys:
                mark = self._marks.setdefault(key, _Mark())
                mark.mixed = mark.writers > 0
                mark.writers += 1
                # A write of which nobody hears any more is forgotten like others.
                mark.etag, mark.until = None, self._clock() + self._seconds
                self._marks.move_to_end(key)

    def end(self, key: str, etag: str | None) -> None:
        """A write of :meth:`begin` has ended.

        :param etag: the version that the key has now; None if that is not known, or if it is gone.
        """
        with self._lock:
            mark = self._marks.get(key)
            if mark is None:
                # It took so long that it was forgotten.
                mark = self._marks[key] = _Mark()
                etag = None
            else:
                mark.writers -= 1
            mark.etag = None if mark.mixed else etag
            mark.until = self._clock() + self._seconds
            self._marks.move_to_end(key)

    def begin_clearing(self, prefix: str) -> None:
        """All keys with the prefix are being deleted."""
        with self._lock:
            mark = self._prefixes.setdefault(prefix, _Mark())
            mark.writers += 1
            mark.until = math.inf
            self._show_none(prefix)

    def end_clearing(self, prefix: str) -> None:
        """The deletion of :meth:`begin_clearing` has ended."""
        with self._lock:
            mark = self._prefixes[prefix]
            mark.writers -= 1
            if not mark.writers:
                mark.until = self._clock() + self._seconds
            self._show_none(prefix)

    def allow(self, key: str, etag: str) -> bool:
        """Whether this version of a key may be shown."""
        with self._lock:
            now = self._clock()
            mark = self._marks.get(key)
            if mark is not None and mark.until > now:
                return mark.etag == etag
            if now < self._blind_until:
                return False
            return not any(mark.until > now and key.startswith(prefix) for prefix, mark in self._prefixes.items())

    def _show_none(self, prefix: str) -> None:
        for key, mark in self._marks.items():
            if key.startswith(prefix):
                mark.etag, mark.mixed = None, mark.writers > 0

    def _forget_old(self) -> None:
        now = self._clock()
        # The oldest are in front.
        while self._marks and next(iter(self._marks.values())).until <= now:
            self._marks.popitem(last=False)
        self._prefixes = {prefix: mark for prefix, mark in self._prefixes.items() if mark.until > now}
        if len(self._marks) >= self._most:
            self._blind_until = now + self._seconds
            self._marks = OrderedDict((key, mark) for key, mark in self._marks.items() if mark.writers)
