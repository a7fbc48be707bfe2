"""Records that could not be synced: stored on the first side, for retries and for the user."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Final

from database.core.errors import RequestError
from database.core.errors import UnreadableRecord
from database.core.query.filters import Where
from database.sync.conflicts.open_conflicts import OpenConflict
from database.sync.conflicts.open_conflicts import OpenConflicts
from database.sync.side import Pair
from database.sync.three_way_merge import RecordKey

FAILURES: Final = "isthmus_sync_failures"
PAGE: Final = 500


class Failures:
    """The failed records of a pair, with their reasons.

    :ivar open: the conflicts that wait for a decision. They are no failures, and are not tried again.
    """

    def __init__(self, pair: Pair) -> None:
        self.open = OpenConflicts(pair)
        self._pair = pair.name
        self._side = pair.sides[0]
        self._tables = frozenset(pair.tables)
        self._reasons: dict[RecordKey, str] = {}
        self._told: dict[RecordKey, str] = {}

    def load(self) -> None:
        """Read the stored failures, which another process may have changed."""
        found: dict[RecordKey, str] = {}
        last: str | None = None
        more = True
        while more:
            rows, last = self._side.page(FAILURES, Where("pair", "eq", self._pair), last, PAGE)
            more = last is not None
            found |= {RecordKey(row["table_name"], row["record_id"]): row["reason"] for row in rows}
        self._reasons = {key: reason for key, reason in found.items() if key.table in self._tables}
        self._told = dict(self._reasons)
        self.open.load()

    def keys(self) -> list[RecordKey]:
        """The records to be tried again: those that failed, and open conflicts that this process has not seen."""
        return list(dict.fromkeys([*self._reasons, *self.open.unseen()]))

    def reasons(self) -> Mapping[RecordKey, str]:
        """The reason of each failed record."""
        return dict(self._reasons)

    def update(
        self, processed: Iterable[RecordKey], failed: Mapping[RecordKey, RequestError | UnreadableRecord]
    ) -> None:
        """Store the failed ones of the processed records, and delete the others."""
        processed = list(processed)
        self.open.update(processed, failed)
        others = {key: error for key, error in failed.items() if not isinstance(error, OpenConflict)}
        reasons = {key: f"{type(error).__name__}: {error}" for key, error in others.items()}
        news = {key: reason for key, reason in reasons.items() if self._reasons.get(key) != reason}
        healed = [key for key in processed if key in self._reasons and key not in reasons]
        if news:
            self._side.store(FAILURES, [self._row(key, reason) for key, reason in news.items()])
        if healed:
            self._side.remove(FAILURES, [self._side.record_id(key) for key in healed])
        for key in healed:
            del self._reasons[key]
        self._reasons |= reasons

    def untold(self) -> dict[RecordKey, str]:
        """The failures that were not returned before, or with another reason."""
        news = {key: reason for key, reason in self._reasons.items() if self._told.get(key) != reason}
        self._told = dict(self._reasons)
        return news

    def _row(self, key: RecordKey, reason: str) -> dict[str, str]:
        return {
            "id": self._side.record_id(key),
            "pair": self._pair,
            "table_name": key.table,
            "record_id": key.id,
            "reason": reason,
        }
