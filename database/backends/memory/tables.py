"""The operations of the backend interface on dictionaries.

A copy of the tables shares all rows with the original, because rows are replaced and never mutated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from database import translation
from database.backends.memory.kept_rows import KeptRows
from database.backends.memory.kept_rows import decoded
from database.backends.memory.kept_rows import shown
from database.core.clock import utc_now
from database.core.errors import DataError
from database.core.errors import Unsupported
from database.core.kinds.values import JSON
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import Record
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.evaluation import Document
from database.core.query.evaluation import selector
from database.core.query.evaluation import sort
from database.core.query.filters import Filter
from database.core.query.filters import conditions
from database.core.query.steps import Steps
from database.core.query.targets import conflict_columns
from database.core.query.targets import not_same
from database.core.query.targets import one_row
from database.core.query.targets import target
from database.core.query.targets import version_conflict
from database.core.query.validation import GROUP_COUNT
from database.core.query.validation import checked_get
from database.core.query.validation import checked_select
from database.core.result import Result
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import key_of
from database.core.tables.keys import sort_by_key
from database.core.tables.rows import as_rows
from database.core.tables.rows import check_rows
from database.core.tables.rows import complete_rows
from database.core.tables.rows import new_values
from database.core.tables.rows import refuse_given_numbers
from database.core.tables.rows import replaced_columns
from database.core.tables.rows import touched_values
from database.core.tables.rows import with_numbers
from database.core.tables.rows import without_number
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import parted

_BYTES_PER_STEP = 200
"""Bytes of JSON whose decoding counts as one step."""


class Tables(KeptRows):
    """All tables of an in-memory database at one point in time."""

    def __init__(self, schema: Schema, rows: dict[str, dict[Key, Row]] | None = None) -> None:
        super().__init__(schema, rows)
        self._last: dict[str, int] = {}
        self._handlers: dict[type[Operation], Callable[[Any, Steps], Result]] = {
            Ping: lambda *_: Result(),
            Get: self._get,
            Select: self._select,
            Insert: self._insert,
            Upsert: self._upsert,
            Update: self._update,
            Delete: self._delete,
            Sql: self._sql,
            Batch: self._batch,
        }

    def copy(self) -> Tables:
        """A copy that can be changed independently."""
        copied = Tables(self._schema, {name: dict(rows) for name, rows in self._rows.items()})
        copied._last = dict(self._last)
        return copied

    def execute(self, operation: Operation, deadline: float = math.inf) -> Result:
        """Execute ``operation`` on these tables; after an error they may be partly changed.

        :param deadline: monotonic seconds. :raises Stopped: when it has passed.
        """
        return self._execute(operation, Steps(deadline))

    def _execute(self, operation: Operation, steps: Steps) -> Result:
        handler = self._handlers.get(type(operation))
        if handler is None:
            raise Unsupported(operation.kind, backend="memory")
        return handler(operation, steps)

    def _get(self, operation: Get, _: Steps) -> Result:
        schema = self._schema.table(operation.table)
        query = checked_get(schema, operation)
        row = self._rows[schema.name].get(query.id)
        return Result([] if row is None else [shown(schema, row, query.columns or schema.columns)], table=schema)

    def _select(self, operation: Select, steps: Steps) -> Result:
        schema = self._schema.table(operation.table)
        query = checked_select(schema, operation)
        found = list(self._matching(schema, query.where, steps))
        if query.group:
            return group_rows(query, Counter(tuple(row[name] for name in query.group) for row in found), steps)
        wanted = page(sort(found, query.order, steps), query)
        columns = query.columns or tuple(schema.columns)
        rows = [shown(schema, row, columns) for row in wanted]
        return Result(rows, len(found) if query.count else None, table=schema)

    def _insert(self, operation: Insert, _: Steps) -> Result:
        schema = self._schema.table(operation.table)
        given = self._numbered(schema, operation)
        rows = self._completed(schema, given)
        for index, row in enumerate(rows):
            self._refuse_known_key(schema, row, index)
            self._store(schema, row, index)
        return Result(rows if operation.returning else [], len(rows), table=schema, as_sent=operation.verbatim)

    def _numbered(self, schema: TableSchema, operation: Insert | Upsert) -> Sequence[Record]:
        """The rows with the keys that a SQL database would have made."""
        rows = operation.rows
        if not schema.numbered:
            return rows
        check_rows(schema, rows)
        if not operation.verbatim:
            refuse_given_numbers(schema, rows)
        missing = without_number(schema, rows)
        return with_numbers(schema, rows, self._next_numbers(schema, missing)) if missing else rows

    def _next_numbers(self, schema: TableSchema, count: int) -> Iterable[int]:
        """Numbers that were never used before."""
        last = max([self._last.get(schema.name, 0), *self._rows[schema.name]])
        self._last[schema.name] = last + count
        return range(last + 1, last + count + 1)

    def _completed(self, schema: TableSchema, rows: Sequence[Record]) -> list[Row]:
        """The rows with everything that they get without being given it."""
        return as_rows(complete_rows(schema, rows, utc_now(), server=False))

    def _upsert(self, operation: Upsert, _: Steps) -> Result:
        schema = self._schema.table(operation.table)
        by = conflict_columns(schema, operation)
        numbered = self._numbered(schema, operation)
        completed = self._completed(schema, numbered)
        result = []
        for index, (given, row) in enumerate(zip(numbered, completed, strict=True)):
            existing = self._existing(schema, by, row)
            if existing is None:
                self._refuse_known_key(schema, row, index)
            elif operation.ignore_duplicates:
                continue
            elif any(existing[name] != row[name] for name in operation.same):
                raise not_same(schema, operation)
            if existing is not None and not operation.verbatim:
                changed = {name: row[name] for name in replaced_columns(schema, tuple(row), given)}
                changed |= touched_values(schema, given)
                result.append(self._changed(schema, shown(schema, existing, tuple(existing)), changed, given))
            else:
                result.append(row)
            self._store(schema, result[-1], index)
        return Result(result if operation.returning else [], len(result), table=schema, as_sent=operation.verbatim)

    def _existing(self, schema: TableSchema, by: tuple[str, ...], row: Row) -> Row | None:
        """The stored row that has the values of ``row`` in the columns ``by``, which are unique."""
        rows = self._rows[schema.name]
        if by == schema.key:
            return rows.get(key_of(schema, row))
        wanted = [row.get(name) for name in by]
        if None in wanted:
            return None
        return next((other for other in rows.values() if [other[name] for name in by] == wanted), None)

    def _update(self, operation: Update, steps: Steps) -> Result:
        schema = self._schema.table(operation.table)
        values = self._new_values(schema, operation)
        found = self._targeted(schema, operation, steps)
        result = []
        for row in found:
            changed = self._changed(schema, row, values, operation.values)
            self._store(schema, changed, None)
            result.append(changed)
        return Result(result if operation.returning else [], len(found), table=schema)

    def _new_values(self, schema: TableSchema, operation: Update) -> Row:
        return new_values(schema, operation.values, utc_now(), server=False)

    def _delete(self, operation: Delete, steps: Steps) -> Result:
        schema = self._schema.table(operation.table)
        found = self._targeted(schema, operation, steps)
        self._remove(schema, found)
        return Result(found if operation.returning else [], len(found), table=schema)

    def _sql(self, operation: Sql, steps: Steps) -> Result:
        return translation.run_sql(operation, self._schema, lambda part: self._execute(part, steps))

    def _batch(self, operation: Batch, steps: Steps) -> Result:
        parts = [self._execute(part, steps) for part in operation.operations]
        return Result(parts=parts, count=sum(part.count or 0 for part in parts))

    def _targeted(self, schema: TableSchema, operation: Update | Delete, steps: Steps) -> list[Row]:
        """The rows that an update or delete targets, ordered by key; an outdated expected version is a conflict."""
        found = list(self._matching(schema, target(schema, operation), steps))
        if not found and operation.expected_version is not None:
            current = next(self._matching(schema, one_row(schema, operation), steps), None)
            if current is not None:
                raise self._not_as_expected(schema, operation, current)
        sort_by_key(schema, found)
        return [shown(schema, row, tuple(row)) for row in found]

    @staticmethod
    def _not_as_expected(schema: TableSchema, operation: Update | Delete, current: Row) -> DataError:
        _, bad = parted(schema, [{name: current[name] for name in (*schema.key, "version")}])
        return bad[0].error() if bad else version_conflict(operation, current)

    def _matching(self, schema: TableSchema, where: Filter | None, steps: Steps) -> Iterator[Row]:
        asked = {condition.column for condition in conditions(where) if condition.operator == "contains"}
        json_columns = [name for name in asked if schema.columns[name].kind is JSON]
        selects = selector(where, steps)
        for row in self._rows[schema.name].values():
            steps.take()
            if selects(row | _documents(row, json_columns, steps) if json_columns else row):
                yield row


def _documents(row: Row, columns: Iterable[str], steps: Steps) -> Row:
    documents = {}
    for name in columns:
        if isinstance(row[name], bytes):
            steps.take(1 + len(row[name]) // _BYTES_PER_STEP)
            documents[name] = Document(decoded(row[name]))
    return documents


def group_rows(query: Select, counts: Mapping[tuple[Any, ...], int], steps: Steps) -> Result:
    """The result of a checked, grouped query. :raises Stopped: at the deadline.

    :param counts: the number of rows for each combination of values of the ``group_by`` columns.
    """
    columns = (*(query.columns or query.group), GROUP_COUNT)
    groups = [dict(zip(query.group, values, strict=True)) | {GROUP_COUNT: count} for values, count in counts.items()]
    rows = [{name: row[name] for name in columns} for row in page(sort(groups, query.order, steps), query)]
    return Result(rows, len(groups) if query.count else None)


def page(rows: list[Row], query: Select) -> list[Row]:
    """The slice of the rows that the limit and the offset of a checked query select."""
    offset = query.offset or 0
    return rows[offset : None if query.limit is None else offset + query.limit]
