"""Reading a page of a list, in portions, so that rows of a megabyte do not make an answer of a gigabyte."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

import orjson

from api.records.listing import Listing
from database import Batch
from database import Result
from database import Row
from database import Select
from database import Unreadable
from database import current_database

PORTION: Final = 25
"""Rows that are read at once before it is known how large they are."""

LARGER_PORTION: Final = 300
"""Rows that are read at once if those before them were small."""

MOST_BYTES: Final = 8 << 20
"""Bytes of JSON after which a page ends, though more rows were wanted."""


@dataclass(slots=True)
class Page:
    """Rows of a list, with the columns that the next cursor is made of.

    :ivar last: the sort key values of the last row; of the last one before it if its own cannot be read.
    :ivar more: whether other rows follow.
    :ivar count: of all rows that match, at the moment of the first portion, if it was asked for.
    :ivar unreadable: what stands in the place of rows that cannot be read.
    """

    last: tuple[Any, ...] | None
    more: bool = True
    count: int | None = None
    rows: list[Row] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def length(self) -> int:
        """How many rows it has, read or not."""
        return len(self.rows) + len(self.unreadable)

    def take(self, listing: Listing, result: Result, portion: int) -> bool:
        """Take over a portion; whether it leads further, and does not end in rows whose place cannot be told."""
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


def read_page(listing: Listing) -> Page:
    """The rows of a page: as many as are wanted, or fewer if they are large. Portions are read one after another,
    as pages are: between two of them others may write.
    """
    portion = min(listing.limit, PORTION)
    result, count = _first(listing, portion)
    page = Page(listing.last, count=count)
    size, advanced = 0, page.take(listing, result, portion)
    while page.more and (page.length < listing.limit or page.last == listing.last):
        size += len(orjson.dumps(page.rows[-portion:]))
        if size >= MOST_BYTES:
            break
        portion = _next_portion(listing, page, size) if advanced else 2 * portion
        advanced = page.take(listing, current_database().run(_portion(listing, page.last, portion)), portion)
    return page


def _next_portion(listing: Listing, page: Page, size: int) -> int:
    small = size * LARGER_PORTION <= MOST_BYTES * len(page.rows)
    return max(1, min(listing.limit - page.length, LARGER_PORTION if small else PORTION))


def _in_order(result: Result) -> list[Row | Unreadable]:
    entries: list[Row | Unreadable] = list(result.rows)
    for bad in result.unreadable:
        entries.insert(bad.place, bad)
    return entries


def _first(listing: Listing, portion: int) -> tuple[Result, int | None]:
    """The first portion, with the count if it is asked for."""
    select = _portion(listing, listing.last, portion)
    if not listing.count or listing.last is None:
        result = current_database().run(select)
        return result, result.count
    # Behind a cursor, all rows that match are not those that the page is taken from; both are of one moment.
    everything = Select(listing.table, ("id",), listing.where, limit=0, count=True)
    result, counted = current_database().run(Batch((select, everything))).parts
    return result, counted.count


def _portion(listing: Listing, last: tuple[Any, ...] | None, rows: int) -> Select:
    first = last == listing.last
    return Select(
        listing.table,
        listing.fetched_columns,
        listing.filter_behind(last),
        listing.order,
        # One more than is shown tells whether others follow.
        rows + 1 if rows else 0,
        listing.offset if first else None,
        count=first and listing.count and listing.last is None,
    )
