"""The counters of a sync manager."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from threading import Lock
from typing import Any
from typing import Final

from database.core.clock import monotonic
from database.core.clock import utc_now
from database.core.errors import DataError
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import RecordKey

COUNTS: Final = ("compared", "copied_to_first", "copied_to_second", "deleted", "conflicts")


class Progress:
    """Counts by table since its creation, and the times of the last cycle."""

    def __init__(self, tables: Sequence[str]) -> None:
        self._counts = {table: Counter(dict.fromkeys(COUNTS, 0)) for table in tables}
        self._lock = Lock()
        self._started: datetime | None = None
        self._ended: datetime | None = None
        self._error: str | None = None
        self._caught_up: float | None = None

    def begin(self) -> None:
        """Record that a cycle begins."""
        with self._lock:
            self._started, self._ended = utc_now(), None

    def end(self, error: DataError | None) -> None:
        """Record that the cycle has ended; with the error that aborted it, if any."""
        with self._lock:
            self._ended = utc_now()
            where = f" (on {error.backend})" if error is not None and error.backend else ""
            self._error = None if error is None else f"{type(error).__name__}: {error}{where}"

    def note_caught_up(self) -> None:
        """Record that both feeds have been read to their ends."""
        with self._lock:
            self._caught_up = monotonic()

    def count_compared(self, keys: Iterable[RecordKey]) -> None:
        """Count records that were compared."""
        with self._lock:
            for table, number in Counter(map(itemgetter(0), keys)).items():
                self._counts[table]["compared"] += number

    def count(self, table: str, name: str, number: int) -> None:
        """Add to one of the counts of a table."""
        with self._lock:
            self._counts[table][name] += number

    def count_actions(self, actions: Iterable[MergeAction]) -> None:
        """Count actions that were applied."""
        done: Counter[tuple[str, str]] = Counter()
        for action in actions:
            if action.conflict is not None:
                done[action.key.table, "conflicts"] += 1
            if action.writes:
                done[action.key.table, "deleted" if action.row is None else f"copied_to_{action.side}"] += 1
        with self._lock:
            for (table, name), number in done.items():
                self._counts[table][name] += number

    def snapshot(self) -> dict[str, Any]:
        """The counts and times, for the status."""
        with self._lock:
            age = None if self._caught_up is None else monotonic() - self._caught_up
            return {
                "last_sync_started": self._started,
                "last_sync_ended": self._ended,
                "last_error": self._error,
                "cursors_age": age,
                "tables": {table: dict(counts) for table, counts in self._counts.items()},
            }
