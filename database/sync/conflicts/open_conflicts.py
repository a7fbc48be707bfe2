"""Conflicts that wait for a decision: stored on the first side, beside the journal, with the state ``open``.

The record stays as it is on both sides, and so do later changes of it. The id of a conflict is a hash of both rows, so
that a decision is about exactly what a person has seen: if one of the rows changes, the conflict is replaced.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Final

from database.core.errors import RequestError
from database.core.query.filters import Filter
from database.core.query.filters import Where
from database.core.query.targets import with_values
from database.core.result import Row
from database.core.tables.keys import Key
from database.sync.conflicts.journal import conflict_row
from database.sync.side import CONFLICTS
from database.sync.side import Pair
from database.sync.side import Side
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import Resolution
from database.sync.three_way_merge import ResolvedConflict

logger = logging.getLogger(__name__)

OPEN: Final = "open"
"""The state of a conflict that waits; that of a resolved one is null."""

_RULE: Final = "manual"
_PAGE: Final = 500
_NO_RESULT: Final = Resolution(_RULE, None, None)


class OpenConflict(RequestError):
    """A conflict that waits for a decision.

    :ivar state: the record on both sides.
    """

    def __init__(self, state: RecordState, reason: str) -> None:
        super().__init__(f"{reason}; decide with `flask sync conflicts resolve`")
        self.state = state
        self.reason = reason


def conflict_id(pair: str, state: RecordState) -> str:
    """The id of the open conflict of a record: another one for other rows."""
    parts = (pair, *state.key, state.first.text or "", state.second.text or "")
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()[:32]


class OpenConflicts:
    """The open conflicts of a pair that this process knows of: all of those that it has found or that were there."""

    def __init__(self, pair: Pair) -> None:
        self._side: Side = pair.sides[0]
        self._names = (pair.sides[0].adapter.name, pair.sides[1].adapter.name)
        self._pair = pair.name
        self._tables = frozenset(pair.tables)
        self._known: dict[RecordKey, str] = {}
        self._unseen: set[RecordKey] | None = None

    def load(self, *, again: bool = False) -> None:
        """Read the stored ones, once: later changes of their records are in the feeds.

        :param again: also if they were read before: their records are looked at once more, and what is no longer stored
            is stored again.
        """
        if again or self._unseen is None:
            found = {_key(row): row["id"] for row in self._stored()}
            self._known = {key: one for key, one in found.items() if key.table in self._tables}
            self._unseen = set(self._known)

    def unseen(self) -> list[RecordKey]:
        """Those that were there, and that this process has not looked at: its strategy may resolve them."""
        return list(self._unseen or ())

    def __len__(self) -> int:
        return len(self._known)

    def update(self, processed: Iterable[RecordKey], failed: Mapping[RecordKey, Exception]) -> None:
        """Store the open conflicts among the failed records, and delete those of processed ones that are none."""
        waiting = {key: error for key, error in failed.items() if isinstance(error, OpenConflict)}
        ids = {key: conflict_id(self._pair, error.state) for key, error in waiting.items()}
        news = [key for key, one in ids.items() if self._known.get(key) != one]
        settled = [key for key in processed if key in self._known and key not in failed]
        if news:
            # Another process may have found others of these records.
            records = [key.id for key in news]
            among = [row for where in with_values(("record_id",), [records]) for row in self._stored(where)]
            replaced = [row["id"] for row in among if ids.get(_key(row), row["id"]) != row["id"]]
            # In one transaction: a conflict that was replaced would otherwise stay, and nobody could decide it.
            self._side.store(CONFLICTS, [self._row(ids[key], waiting[key]) for key in news], replaced=replaced)
            self._log(news)
        if settled:
            self._side.remove(CONFLICTS, [self._known.pop(key) for key in settled])
        self._known |= ids
        self._unseen = (self._unseen or set()).difference(processed, ids)

    def _stored(self, among: Filter | None = None) -> Iterator[Row]:
        where = Where("pair", "eq", self._pair) & Where("state", "eq", OPEN)
        where = where if among is None else where & among
        columns = ("id", "table_name", "record_id")
        last: Key | None = None
        more = True
        while more:
            rows, last = self._side.page(CONFLICTS, where, last, _PAGE, columns)
            more = last is not None
            yield from rows

    def _row(self, found: str, error: OpenConflict) -> Mapping[str, Any]:
        entry = conflict_row(self._pair, self._names, ResolvedConflict(error.state, _NO_RESULT))
        return {**entry, "id": found, "state": OPEN, "reason": error.reason}

    def _log(self, news: Iterable[RecordKey]) -> None:
        for table in sorted({key.table for key in news}):
            logger.warning(
                "conflicts of table %s wait for a decision; `flask sync conflicts` lists those of %s", table, self._pair
            )


def _key(row: Row) -> RecordKey:
    return RecordKey(row["table_name"], row["record_id"])
