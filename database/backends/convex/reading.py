"""The portable query, executed by a deployment's ``isthmus:get`` and ``isthmus:select``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from database.backends.buffered.request import Encoder
from database.backends.convex.codec import decode_row
from database.backends.convex.codec import plain
from database.backends.memory.tables import group_rows
from database.backends.memory.tables import page
from database.core.context import Context
from database.core.operations import Get
from database.core.operations import Select
from database.core.query.evaluation import sort
from database.core.query.steps import Steps
from database.core.query.validation import GROUP_COUNT
from database.core.query.validation import checked_get
from database.core.query.validation import checked_select
from database.core.result import Result
from database.core.result import Row
from database.core.tables.keys import address
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import parted

_STORED = ""
"""The key under which a row carries its document while rows are sorted; no column can have this name."""

Ask = Callable[[str, Mapping[str, Any], Context], Any]
"""Calls one of Isthmus's own queries by name."""


class ConvexReader:
    """Executes ``Get`` and ``Select``.

    A query takes several calls, which see the table at different points in time, if it scans more than Convex lets one
    function read or finds more rows than fit in one response.
    """

    def __init__(self, schema: Schema, encoder: Encoder, ask: Ask) -> None:
        self._schema = schema
        self._encoder = encoder
        self._ask = ask

    def get(self, operation: Get, context: Context) -> Result:
        """Read one record by its id."""
        table = self._schema.table(operation.table)
        query = checked_get(table, operation)
        document = self._ask("get", {"table": table.name, "id": address(table, query.id)}, context)
        return _result(table, query.columns, [] if document is None else [_entry(table, document)])

    def select(self, operation: Select, context: Context) -> Result:
        """Read the rows or the groups of a query."""
        table = self._schema.table(operation.table)
        query = checked_select(table, operation)
        if query.group:
            return self._select_groups(table, query, context)
        entries, total, moments = self._fetch_rows(table, query, context)
        result = _result(table, query.columns, page(entries, query))
        return replace(result, count=total if query.count else None, moments=moments)

    def _select_groups(self, table: TableSchema, query: Select, context: Context) -> Result:
        counts: Counter[tuple[Any, ...]] = Counter()
        for answer in self._fetch_pages(Select(table.name, where=query.where, group=query.group), context):
            for document in answer["rows"]:
                values = decode_row(table, document)
                counts[tuple(values[name] for name in query.group)] += plain(document[GROUP_COUNT])
        result = group_rows(query, counts, Steps(context.deadline))
        rows, bad = parted(table, result.rows)
        return replace(result, rows=rows, unreadable=bad)

    def _fetch_rows(self, table: TableSchema, query: Select, context: Context) -> tuple[list[Row], int, int]:
        """Fetch the rows with their stored documents, in order, up to the last one wanted; also return the number of
        matching rows and the number of calls made.
        """
        wanted = self._encoder.select(query)["limit"]
        rows: list[Row] = []
        total = 0
        calls = 0
        for calls, answer in enumerate(self._fetch_pages(query, context), start=1):
            rows += [_entry(table, document) for document in answer["rows"]]
            total += plain(answer["total"] or 0)
            if calls > 1:
                rows = sort(rows, query.order, Steps(context.deadline))[:wanted]
        return rows, total, calls

    def _fetch_pages(self, query: Select, context: Context) -> Iterator[Mapping[str, Any]]:
        arguments = {**self._encoder.select(query), "count": query.count, "group": list(query.group) or None}
        after = None
        while True:
            answer = self._ask("select", {**arguments, "after": after}, context)
            yield answer
            after = answer["next"]
            if after is None:
                return


def _entry(table: TableSchema, document: Mapping[str, Any]) -> Row:
    return {**decode_row(table, document), _STORED: document}


def _result(table: TableSchema, columns: tuple[str, ...] | None, entries: list[Row]) -> Result:
    stored = [entry.pop(_STORED) for entry in entries]
    whole = columns is None or columns == tuple(table.columns)
    shown = entries if columns is None else [{name: entry[name] for name in columns} for entry in entries]
    rows, bad = parted(table, shown)
    return Result(rows, unreadable=bad, stored=stored if whole else (), table=table)
