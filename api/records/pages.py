"""Reading a page of a list in portions, so that a page of large rows does not become a huge response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

import orjson

from api.records.listing import Listing
from database import Batch
from database import Operation
from database import Result
from database import Row
from database import Select
from database import Unreadable

PORTION: Final = 25
"""Rows of a portion while the size of the rows is unknown, or large."""

LARGER_PORTION: Final = 300
"""Rows of a portion if the rows before it were small."""

MOST_BYTES: Final = 8 << 20
"""Bytes of JSON after which a page ends, even below its limit of rows."""


Run = Callable[[Operation], Result]
"""Carries out an operation."""


@dataclass(slots=True)
class Page:
    """Rows of a list, with the sort keys that the next cursor needs.

    :ivar last: the sort key values of the last row with readable sort keys.
    :ivar more: whether other rows follow.
    :ivar count: the number of all matching rows at the time of the first portion; None if not requested.
    :ivar unreadable: the rows that cannot be read.
    """

    last: tuple[Any, ...] | None
    more: bool = True
    count: int | None = None
    rows: list[Row] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def length(self) -> int:
        """The number of rows, readable or not."""
        return len(self.rows) + len(self.unreadable)

    def take(self, listing: Listing, result: Result, portion: int) -> bool:
        """Add a portion; whether ``last`` has advanced, which it does not if no row has readable sort keys."""
        before = self.last
        entries = _in_order(result)
        self.more = len(entries) > portion
        for entry in entries[:portion]:
            if len(self.rows) == listing.limit:
                self.more = True
                break
            self._add(entry, listing)
        return self.last != before

    def _add(self, entry: Row | Unreadable, listing: Listing) -> None:
        if not isinstance(entry, Unreadable):
            self.rows.append(entry)
        elif entry.shown() not in [known.shown() for known in self.unreadable]:
            self.unreadable.append(entry)
        values = entry.values if isinstance(entry, Unreadable) else entry
        if all(key.column in values for key in listing.keys):
            self.last = tuple([values[key.column] for key in listing.keys])


def read_page(listing: Listing, run: Run) -> Page:
    """Read a page: the requested number of rows, or fewer if they are large. Other requests may write between two
    portions, as between two pages.
    """
    portion = min(listing.limit, PORTION)
    result, count = _read_first(listing, portion, run)
    page = Page(listing.last, count=count)
    size, advanced = 0, page.take(listing, result, portion)
    while page.more and (page.length < listing.limit or page.last == listing.last):
        size += len(orjson.dumps(page.rows[-portion:], str))
        if size >= MOST_BYTES:
            break
        portion = _next_portion(listing, page, size) if advanced else 2 * portion
        advanced = page.take(listing, run(_portion(listing, page.last, portion)), portion)
    return page


def _next_portion(listing: Listing, page: Page, size: int) -> int:
    small = size * LARGER_PORTION <= MOST_BYTES * len(page.rows)
    return max(1, min(listing.limit - page.length, LARGER_PORTION if small else PORTION))


def _in_order(result: Result) -> list[Row | Unreadable]:
    entries: list[Row | Unreadable] = list(result.rows)
    for bad in result.unreadable:
        entries.insert(bad.place, bad)
    return entries


def _read_first(listing: Listing, portion: int, run: Run) -> tuple[Result, int | None]:
    """Read the first portion, with the count if it was requested."""
    select = _portion(listing, listing.last, portion)
    if not listing.count or listing.last is None:
        result = run(select)
        return result, result.count
    # The count includes the rows before the cursor, so it needs a query of its own, in the same snapshot.
    everything = Select(listing.table, None, listing.where, limit=0, count=True)
    result, counted = run(Batch((select, everything))).parts
    return result, counted.count


def _portion(listing: Listing, last: tuple[Any, ...] | None, rows: int) -> Select:
    first = last == listing.last
    return Select(
        listing.table,
        listing.fetched_columns,
        listing.filter_behind(last),
        listing.order,
        # One additional row shows whether others follow.
        rows + 1 if rows else 0,
        listing.offset if first else None,
        count=first and listing.count and listing.last is None,
    )
