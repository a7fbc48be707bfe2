"""``Get`` and ``Select`` over HTTP: through PostgREST's URLs if they can express the query, else ``isthmus_groups``."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from postgrest import SyncSelectRequestBuilder

from database.backends.buffered.request import LARGEST_LIMIT
from database.backends.buffered.request import Encoder
from database.backends.supabase.client import FetchedPage
from database.backends.supabase.client import PageRequest
from database.backends.supabase.client import SupabaseClient
from database.backends.supabase.errors import PastTheEnd
from database.backends.supabase.filters import fits_url
from database.backends.supabase.rows import Wire
from database.backends.supabase.rows import ambiguous
from database.backends.supabase.rows import body
from database.backends.supabase.rows import decode_groups
from database.backends.supabase.rows import decode_selected
from database.backends.supabase.rows import encode
from database.backends.supabase.rows import selected
from database.backends.supabase.rows import stored
from database.backends.supabase.rows import with_texts
from database.core.context import Context
from database.core.errors import InvalidQuery
from database.core.errors import Unavailable
from database.core.operations import Get
from database.core.operations import Select
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import after
from database.core.query.targets import key_filter
from database.core.query.validation import GROUP_COUNT
from database.core.query.validation import checked_get
from database.core.query.validation import checked_select
from database.core.result import Result
from database.core.result import Row
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import ForeignValue
from database.core.tables.unreadable import parted
from database.internal_tables import is_own

LONGEST_URL = 4_000
"""Longest query in a URL, in characters; gateways refuse header lines from 8,000 on, and the token needs room."""

_GROUPS = "isthmus_groups"


class SupabaseReader:
    """Executes ``Get`` and ``Select``.

    PostgREST truncates every response to a number of rows configured in the project (``max-rows``), without reporting
    it. After a page that may have been truncated, the reader therefore fetches another one that starts after the last
    row; paging by offset would skip or repeat rows if others are written meanwhile.
    """

    def __init__(self, schema: Schema, client: SupabaseClient) -> None:
        self._schema = schema
        self._client = client
        self._encoder = Encoder(schema, encode)
        self._widest = 0

    def get(self, operation: Get, context: Context) -> Result:
        """Read the row with an id, if it exists."""
        table = self._schema.table(operation.table)
        query = checked_get(table, operation)
        return self.select(Select(query.table, query.columns, key_filter(table, query.id), limit=1), context)

    def select(self, operation: Select, context: Context) -> Result:
        """Read the rows or the groups of a query."""
        table = self._schema.table(operation.table)
        query = checked_select(table, operation)
        query = replace(query, limit=_passable(query.limit), offset=_passable(query.offset))
        if query.group:
            return self._fetch_groups(table, query, context)
        if query.limit == 0:
            # PostgREST refuses an offset with a limit of 0, where it has no effect anyway.
            query = replace(query, offset=None)
        return self._fetch_rows(table, query, context)

    def _fetch_rows(self, table: TableSchema, query: Select, context: Context) -> Result:
        wanted = query.columns or tuple(table.columns)
        # The sort keys are needed to continue after the last row.
        names = tuple(dict.fromkeys((*wanted, *[key.column for key in query.order])))
        query = replace(query, columns=names)
        rows, wires, total, complete = self._fetch_part(table, query, context)
        moments = 1
        while not complete:
            more, wires_of_more, _, complete = self._fetch_part(table, _continuation(table, query, rows), context)
            rows += more
            wires += wires_of_more
            moments += 1
        if names != wanted:
            rows = [{name: row[name] for name in wanted} for row in rows]
        good, bad = parted(table, rows)
        whole = wanted == tuple(table.columns)
        return Result(
            good,
            total if query.count else None,
            unreadable=bad,
            stored=stored(table, wanted, wires) if whole else (),
            moments=moments,
            table=table,
        )

    def _fetch_part(
        self, table: TableSchema, query: Select, context: Context
    ) -> tuple[list[Row], list[Wire], int | None, bool]:
        """Fetch the first rows of a query: decoded, and as received; also the total and whether these are all rows."""
        names = tuple(query.columns or ())
        builder = self._builder(table, query)
        if builder is None:
            answer = self._fetch_by_function(table, query, context)
            wires, total, complete = _decoded(with_texts, table, names, answer["rows"]), answer["total"], True
        else:
            exactly = ambiguous(names)
            try:
                page = self._client.fetch(builder, context, exactly=exactly)
            except PastTheEnd as error:
                return [], [], error.total, True
            wires = _decoded(with_texts, table, names, page.rows) if exactly else page.rows
            total, complete = page.total, self._is_all(query, page)
        return _decoded(decode_selected, table, names, wires), wires, total, complete

    def _builder(self, table: TableSchema, query: Select) -> SyncSelectRequestBuilder | None:
        """The request for a query; None if no URL of acceptable length can express it.

        Isthmus' own tables have no URL: PostgREST does not expose their schema.
        """
        if is_own(table.name) or not fits_url(table, query.where, query.order):
            return None
        columns = selected(table, query.columns or ())
        # Without a limit all rows are read anyway, and the count shows whether the page was truncated.
        count = query.count or query.limit is None
        builder = self._client.builder(
            PageRequest(table.name, columns, query.where, query.order, query.limit, query.offset, count, table.key[0])
        )
        return builder if len(str(builder.request.params)) <= LONGEST_URL else None

    def _is_all(self, query: Select, page: FetchedPage) -> bool:
        got = len(page.rows)
        # The project does not truncate a page smaller than one that it has returned before.
        known = got < self._widest
        self._widest = max(self._widest, got)
        if page.total is not None:
            return got == query.limit or (query.offset or 0) + got >= page.total
        return known or got in {0, query.limit}

    def _fetch_by_function(self, table: TableSchema, query: Select, context: Context) -> dict[str, Any]:
        """Fetch the rows of a query that no URL can express: grouped by the key, too, so that each group is one row."""
        names = tuple(query.columns or ())
        if GROUP_COUNT in names:
            raise InvalidQuery(
                f"on Supabase this filter cannot be used with column {GROUP_COUNT!r} of {table.name}: use a simpler "
                "filter, or do not select the column"
            )
        return self._call_groups(replace(query, group=tuple(dict.fromkeys((*names, *table.key)))), context)

    def _fetch_groups(self, table: TableSchema, query: Select, context: Context) -> Result:
        answer = self._call_groups(query, context)
        groups, bad = parted(table, _decoded(decode_groups, table, query.columns or query.group, answer["rows"]))
        return Result(groups, answer["total"], unreadable=bad)

    def _call_groups(self, query: Select, context: Context) -> dict[str, Any]:
        request = {
            **self._encoder.select(query),
            "group": list(query.group),
            "limit": query.limit,
            "offset": query.offset,
            "count": query.count,
        }
        answer = self._client.ask(_GROUPS, {"request": body(request)}, context)
        if not isinstance(answer, dict) or not isinstance(answer.get("rows"), list):
            raise Unavailable(f"the function {_GROUPS} returned malformed groups")
        return {"rows": answer["rows"], "total": answer.get("total")}


def _passable(value: int | None) -> int | None:
    """A checked limit or offset, small enough for gateways written in JavaScript to forward unchanged."""
    return None if value is None else min(value, LARGEST_LIMIT)


def _continuation(table: TableSchema, query: Select, rows: Sequence[Row]) -> Select:
    """The same query for the rows after ``rows``."""
    limit = None if query.limit is None else query.limit - len(rows)
    # Continue after the last row with readable sort keys, and skip the rows after it by offset.
    for passed, row in enumerate(reversed(rows)):
        last = [row[key.column] for key in query.order]
        if ForeignValue not in map(type, last):
            further: Filter = after(query.order, last, table.key)
            where = further if query.where is None else And((query.where, further))
            return replace(query, where=where, limit=limit, offset=passed or None, count=False)
    # Without any rows the total must be counted again: rows may have been inserted between reading and counting.
    return replace(query, limit=limit, offset=(query.offset or 0) + len(rows) or None, count=query.count and not rows)


def _decoded(decode: Any, table: TableSchema, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    try:
        decoded: list[Row] = decode(table, names, rows)
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable(f"Supabase returned a row of {table.name} without the table's columns or types") from error
    return decoded
