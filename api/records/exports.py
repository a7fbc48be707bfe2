"""Exports: every record of a list as a line of JSON, read page by page while the response is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from typing import Final

from flask import Response
from flask import current_app
from flask import request

from api.records.listing import MAX_LIMIT
from api.records.listing import Listing
from api.records.pages import Page
from api.records.pages import Run
from api.records.pages import read_page
from api.records.relations import Output
from api.records.table_access import current_adapter
from auth import AuthenticationFailed
from database import Identity
from database import InvalidQuery
from database import Select
from database import current_context
from database import current_database
from database.core.kinds.values import INTEGER_MAX

LINES: Final = "application/x-ndjson"

UNREADABLE: Final = "@unreadable"
"""The name in a line that stands for a record that cannot be read."""


def is_wanted() -> bool:
    """Whether the request prefers an export to a page."""
    return request.accept_mimetypes.best_match(("application/json", LINES)) == LINES


def export(listing: Listing, output: Output) -> Response:
    """Return all records of a list.

    The first page is read before the response begins, so that a refusal has its status. If a later one cannot be
    read, the response ends without its last chunk, which tells the client that it is incomplete.

    :raises InvalidQuery: for a selection of related rows, or a count.
    :raises AuthenticationFailed: for too many records for a caller without a token.
    """
    if output.joins:
        raise InvalidQuery("an export has no related rows; leave them out of select, and export their own table")
    if listing.count:
        raise InvalidQuery("an export has no count; leave out count=exact, and count the lines")
    run = current_adapter().run_alone
    _require_token_for_many(listing, run)
    first = read_page(_page(listing), run)
    # Not the proxy: the lines are written when the request is over.
    dumps = current_app.json.dumps
    lines = ("".join(dumps(line) + "\n" for line in _lines(page, output)) for page in _pages(listing, first, run))
    return Response(lines, content_type=LINES)


def _require_token_for_many(listing: Listing, run: Run) -> None:
    most = current_database().settings.anonymous_export_rows
    if current_context.get().identity != Identity() or listing.limit <= most:
        return
    beyond = min(most + (listing.offset or 0), INTEGER_MAX)
    found = run(Select(listing.table, listing.key, listing.filter_behind(listing.last), limit=1, offset=beyond))
    if found.rows or found.unreadable:
        raise AuthenticationFailed(
            f"an export of more than {most} records needs a token; sign in, or ask for fewer by a filter or limit"
        )


def _page(listing: Listing) -> Listing:
    return replace(listing, limit=min(listing.limit, MAX_LIMIT))


def _pages(listing: Listing, page: Page, run: Run) -> Iterator[Page]:
    """The pages from the first one on. Only one of them is in memory."""
    while True:
        yield page
        left = listing.limit - page.length
        if not page.more or not left or page.last is None:
            return
        listing = replace(listing, limit=left, last=page.last, offset=None)
        page = read_page(_page(listing), run)


def _lines(page: Page, output: Output) -> Iterator[Any]:
    rows, unreadable = output.complete(page.rows, page.unreadable)
    yield from rows
    for bad in unreadable:
        yield {UNREADABLE: bad.shown()}
