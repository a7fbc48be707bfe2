"""Records that could not be synced: stored on the first side, for retries and for the user."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Final

from database.core.errors import RequestError
from database.core.errors import UnreadableRecord
from database.core.query.filters import Where
from database.sync.side import Pair
from database.sync.three_way_merge import RecordKey

FAILURES: Final = "isthmus_sync_failures"
PAGE: Final = 500


class Failures:
    """The failed records of a pair, with their reasons."""

    def __init__(self, pair: Pair) -> None:
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

    def keys(self) -> list[RecordKey]:
        """The failed records."""
        return list(self._reasons)

    def reasons(self) -> Mapping[RecordKey, str]:
        """The reason of each failed record."""
        return dict(self._reasons)

    def update(
        self, processed: Iterable[RecordKey], failed: Mapping[RecordKey, RequestError | UnreadableRecord]
    ) -> None:
        """Store the failed ones of the processed records, and delete the others."""
        reasons = {key: f"{type(error).__name__}: {error}" for key, error in failed.items()}
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
