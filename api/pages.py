"""Reading a page of a list, in portions, so that rows of a megabyte do not make an answer of a gigabyte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Final

import orjson

from api.access import database
from api.listing import Listing
from database.core.operations import Select
from database.core.result import Result
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
    :ivar result: of the first portion, with the count if it was asked for.
    """

    rows: list[Row]
    more: bool
    result: Result


def read_page(listing: Listing) -> Page:
    """The rows of a page: as many as are wanted, or fewer if they are large. Portions are read one after another,
    as pages are: between two of them others may write.
    """
    portion = min(listing.limit, PORTION)
    result = _portion(listing, listing.last, portion)
    page = Page(result.rows[:portion], len(result.rows) > portion, result)
    size = 0
    while page.more and len(page.rows) < listing.limit:
        size += len(orjson.dumps(page.rows[-portion:]))
        if size >= MOST_BYTES:
            break
        small = size * LARGER_PORTION <= MOST_BYTES * len(page.rows)
        portion = min(listing.limit - len(page.rows), LARGER_PORTION if small else PORTION)
        last = page.rows[-1]
        part = _portion(listing, tuple([last[key.column] for key in listing.order]), portion)
        page.rows += part.rows[:portion]
        page.more = len(part.rows) > portion
        if part.source is not None:
            result.source, result.stale_for = part.source, part.stale_for
    return page


def _portion(listing: Listing, last: tuple[Any, ...] | None, rows: int) -> Result:
    first = last == listing.last
    return database().run(
        Select(
            listing.table,
            listing.fetched_columns,
            listing.filter_behind(last),
            listing.order,
            # One more than is shown tells whether others follow.
            rows + 1 if rows else 0,
            listing.offset if first else None,
            count=first and listing.count and listing.last is None,
        )
    )
