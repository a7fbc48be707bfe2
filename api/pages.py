"""Reading a page of a list, in portions, so that rows of a megabyte do not make an answer of a gigabyte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Final

import orjson

from api.access import database
from api.listing import Listing
from database.core.operations import Batch
from database.core.operations import Select
from database.core.result import Row

PORTION: Final = 25
"""Rows that are read at once before it is known how large they are."""

LARGER_PORTION: Final = 300
"""Rows that are read at once if those before them were small."""

MOST_BYTES: Final = 8 << 20
"""Bytes of JSON after which a page ends, though more rows were wanted."""


@dataclass(slots=True)
class Page:
    """Rows of a list, with the columns that the next cursor is made of.

    :ivar more: whether other rows follow.
    :ivar count: of all rows that match, at the moment of the first portion, if it was asked for.
    """

    rows: list[Row]
    more: bool
    count: int | None


def read_page(listing: Listing) -> Page:
    """The rows of a page: as many as are wanted, or fewer if they are large. Portions are read one after another,
    as pages are: between two of them others may write.
    """
    portion = min(listing.limit, PORTION)
    rows, count = _first(listing, portion)
    page = Page(rows[:portion], len(rows) > portion, count)
    size = 0
    while page.more and len(page.rows) < listing.limit:
        size += len(orjson.dumps(page.rows[-portion:]))
        if size >= MOST_BYTES:
            break
        small = size * LARGER_PORTION <= MOST_BYTES * len(page.rows)
        portion = min(listing.limit - len(page.rows), LARGER_PORTION if small else PORTION)
        last = page.rows[-1]
        rows = database().run(_portion(listing, tuple([last[key.column] for key in listing.order]), portion)).rows
        page.rows += rows[:portion]
        page.more = len(rows) > portion
    return page


def _first(listing: Listing, portion: int) -> tuple[list[Row], int | None]:
    """The first portion, with the count if it is asked for."""
    select = _portion(listing, listing.last, portion)
    if not listing.count or listing.last is None:
        result = database().run(select)
        return result.rows, result.count
    # Behind a cursor, all rows that match are not those that the page is taken from; both are of one moment.
    everything = Select(listing.table, ("id",), listing.where, limit=0, count=True)
    result, counted = database().run(Batch((select, everything))).parts
    return result.rows, counted.count


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
