"""Sync's own writes in the change feed of the side that it has written: no changes, so they need not be compared."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Final

from database.changes.feed import Change
from database.changes.feed import ChangeKind
from database.changes.feed import Changes
from database.core.result import Row

_MOST: Final = 100_000


class Echoes:
    """The entries that committed transactions of this process have added to one feed, and that were not read yet.

    Each of them may stand for one entry of the same record and kind. If that is another one, of somebody else, sync's
    own is still to come, and the record is compared then. So an entry must be certain: a row that is stored as it was
    sent. To be safe from one that is missing, all are forgotten at each end of the feed.
    """

    def __init__(self) -> None:
        self._expected: set[tuple[str, str, ChangeKind]] = set()

    def expect(self, kind: ChangeKind, table: str, addresses: Iterable[str]) -> None:
        """Expect one entry for each of these records."""
        if len(self._expected) < _MOST:
            self._expected.update(zip(repeat(table), addresses, repeat(kind)))

    def expect_written(self, table: str, rows: Iterable[tuple[str, Row | None, Row]]) -> None:
        """Expect the entries of rows that were stored as they were sent.

        :param rows: for each of them its address, the row that was there before, and the row.
        """
        new: list[str] = []
        counted: list[str] = []
        for address, old, row in rows:
            if old is None:
                new.append(address)
            elif "version" not in row or row["version"] != old["version"]:
                # A version that stays is counted by the database if something else has changed.
                counted.append(address)
        self.expect("insert", table, new)
        self.expect("update", table, counted)

    def not_in(self, page: Changes) -> list[Change]:
        """The changes of the next page that are not expected. The expected ones are expected no longer."""
        own = self._expected.intersection(page.changes)
        self._expected -= own
        found = []
        if len(own) < len(page.changes):
            for change in page.changes:
                if change in own:
                    own.remove(change)
                else:
                    found.append(change)
        if not page.more:
            self._expected.clear()
        return found

    def forget(self) -> None:
        """Expect nothing any longer."""
        self._expected.clear()
