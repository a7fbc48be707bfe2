"""The operations of the backend interface on dictionaries.

JSON is stored encoded, so that callers cannot mutate stored values. A copy of the tables shares all rows with the
original, because rows are replaced and never mutated.
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

import orjson

from database import translation
from database.backends.memory.constraints import Reference
from database.backends.memory.constraints import constraints_of
from database.backends.memory.constraints import references
from database.backends.memory.constraints import referrers
from database.backends.memory.evaluate import Document
from database.backends.memory.evaluate import selector
from database.backends.memory.evaluate import sort
from database.core.clock import utc_now
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import Unsupported
from database.core.kinds.calendar import clock
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
from database.core.tables.rows import replaced_columns
from database.core.tables.rows import touched_values
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import ForeignValue
from database.core.tables.unreadable import parted

_BYTES_PER_STEP = 200
"""Bytes of JSON whose decoding counts as one step."""


class Tables:
    """All tables of an in-memory database at one point in time."""

    def __init__(self, schema: Schema, rows: dict[str, dict[Key, Row]] | None = None) -> None:
        self._schema = schema
        self._rows = rows if rows is not None else {table.name: {} for table in schema}
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
        given = self._numbered(schema, operation.rows)
        rows = as_rows(complete_rows(schema, given, utc_now(), server=False))
        for index, row in enumerate(rows):
            self._refuse_known_key(schema, row, index)
            self._store(schema, row, index)
        return Result(rows if operation.returning else [], len(rows), table=schema)

    def _numbered(self, schema: TableSchema, rows: Sequence[Record]) -> Sequence[Record]:
        """The rows with the keys that a SQL database would have made: numbers that were never used before."""
        if not schema.numbered:
            return rows
        check_rows(schema, rows)
        name = schema.key[0]
        last = max([self._last.get(schema.name, 0), *self._rows[schema.name]])
        result: list[Record] = []
        for row in rows:
            if name not in row:
                last += 1
                self._last[schema.name] = last
                result.append({name: last, **row})
            else:
                result.append(row)
        return result

    def _refuse_known_key(self, schema: TableSchema, row: Row, index: int) -> None:
        if key_of(schema, row) in self._rows[schema.name]:
            raise _duplicate(f"{schema.name}.{','.join(schema.key)}", index)

    def _upsert(self, operation: Upsert, _: Steps) -> Result:
        schema = self._schema.table(operation.table)
        by = conflict_columns(schema, operation)
        numbered = self._numbered(schema, operation.rows)
        completed = as_rows(complete_rows(schema, numbered, utc_now(), server=False))
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
                result.append(self._changed(schema, shown(schema, existing, tuple(existing)), changed))
            else:
                result.append(row)
            self._store(schema, result[-1], index)
        return Result(result if operation.returning else [], len(result), table=schema)

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
        values = new_values(schema, operation.values, utc_now(), server=False)
        found = self._targeted(schema, operation, steps)
        result = []
        for row in found:
            changed = self._changed(schema, row, values)
            self._store(schema, changed, None)
            result.append(changed)
        return Result(result if operation.returning else [], len(found), table=schema)

    def _delete(self, operation: Delete, steps: Steps) -> Result:
        schema = self._schema.table(operation.table)
        found = self._targeted(schema, operation, steps)
        gone = self._with_dependents(schema, found)
        # Those that refer to others first.
        for table, row in reversed(gone):
            self._erase(table, key_of(table, row))
        for table, row in gone:
            self._refuse_if_referenced(table, row)
        return Result(found if operation.returning else [], len(found), table=schema)

    def _with_dependents(self, schema: TableSchema, found: list[Row]) -> list[tuple[TableSchema, Row]]:
        """These rows and those that are deleted with them, after references that are set to null are null."""
        gone = {(schema.name, key_of(schema, row)): (schema, row) for row in found}
        loose: list[tuple[Reference, Key]] = []
        waiting = list(gone.values())
        while waiting:
            parent, record = waiting.pop()
            for reference in referrers(self._schema, parent.name):
                if reference.action not in {"CASCADE", "SET NULL"}:
                    continue
                table = reference.table
                for row in self._referring(reference, record):
                    place = table.name, key_of(table, row)
                    if reference.action == "SET NULL":
                        loose.append((reference, place[1]))
                    elif place not in gone:
                        gone[place] = table, shown(table, row, tuple(row))
                        waiting.append(gone[place])
        for reference, key in loose:
            if (reference.table.name, key) not in gone:
                self._loosen(reference, key)
        return list(gone.values())

    def _referring(self, reference: Reference, record: Row) -> list[Row]:
        """The rows that refer to a record."""
        wanted = tuple([record[name] for name in reference.others])
        return [row for row in self._rows[reference.table.name].values() if reference.to(row) == wanted]

    def _loosen(self, reference: Reference, key: Key) -> None:
        """Set a reference to null."""
        table = reference.table
        for column in reference.columns:
            if not table.columns[column].nullable:
                raise ConstraintViolated(
                    f"column {column!r} of table {table.name!r} must not be null",
                    kind=ConstraintKind.NOT_NULL,
                    constraint=f"{table.name}.{column}",
                )
        row = self._rows[table.name][key]
        times = (
            {"updated_at": clock(table.columns["updated_at"].kind, utc_now())} if "updated_at" in table.managed else {}
        )
        none = dict.fromkeys(reference.columns)
        self._store(table, self._changed(table, shown(table, row, tuple(row)), {**none, **times}), None)

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

    @staticmethod
    def _changed(schema: TableSchema, row: Row, values: Row) -> Row:
        return row | values | ({"version": _next_version(row["version"])} if schema.versioned else {})

    def _store(self, schema: TableSchema, row: Row, index: int | None) -> None:
        self._check_conditions(schema, row, index)
        self._check_unique(schema, row, index)
        self._check_references(schema, row, index)
        self._put(schema, row)

    def _put(self, schema: TableSchema, row: Row) -> None:
        json_columns = {name for name, column in schema.columns.items() if column.kind is JSON}
        stored = {name: _encoded(value) if name in json_columns else _own(value) for name, value in row.items()}
        self._rows[schema.name][key_of(schema, row)] = stored

    def _erase(self, schema: TableSchema, key: Key) -> None:
        del self._rows[schema.name][key]

    def _exists(self, table: str, key: Key) -> bool:
        return key in self._rows[table]

    @staticmethod
    def _check_conditions(schema: TableSchema, row: Row, index: int | None) -> None:
        for name, holds in constraints_of(schema).checks:
            if holds(row) is False:
                raise ConstraintViolated(
                    f"the check constraint {name} of table {schema.name!r} does not hold",
                    kind=ConstraintKind.CHECK,
                    constraint=name,
                    row=index,
                )

    def _check_unique(self, schema: TableSchema, row: Row, index: int | None) -> None:
        for names, where in constraints_of(schema).unique:
            values = [row[name] for name in names]
            if None in values or (where is not None and where(row) is not True):
                continue
            key = key_of(schema, row)
            for known, other in self._rows[schema.name].items():
                same = known != key and [other[name] for name in names] == values
                if same and (where is None or where(other) is True):
                    raise _duplicate(f"{schema.name}.{','.join(names)}", index)

    def _check_references(self, schema: TableSchema, row: Row, index: int | None) -> None:
        for reference in references(schema):
            wanted = reference.to(row)
            itself = reference.other == schema.name and wanted == tuple([row[name] for name in reference.others])
            if wanted is not None and not itself and not self._has(reference, wanted):
                raise ConstraintViolated(
                    f"{reference.name} refers to a record of {reference.other} that does not exist",
                    kind=ConstraintKind.FOREIGN_KEY,
                    constraint=reference.name,
                    row=index,
                )

    def _has(self, reference: Reference, wanted: tuple[Any, ...]) -> bool:
        """Whether there is a record with these values of the columns that a foreign key refers to."""
        other = self._schema.table(reference.other)
        if reference.others == other.key:
            return self._exists(other.name, wanted if len(wanted) > 1 else wanted[0])
        rows = self._rows[other.name].values()
        return any(tuple([row[name] for name in reference.others]) == wanted for row in rows)

    def _refuse_if_referenced(self, schema: TableSchema, row: Row) -> None:
        for reference in referrers(self._schema, schema.name):
            if self._referring(reference, row):
                raise ConstraintViolated(
                    f"records of {reference.table.name} refer to this one; delete them first",
                    kind=ConstraintKind.FOREIGN_KEY,
                    constraint=reference.name,
                )


def _duplicate(constraint: str, index: int | None) -> ConstraintViolated:
    message = f"a record with the same {constraint} exists already"
    return ConstraintViolated(message, kind=ConstraintKind.UNIQUE, constraint=constraint, row=index)


def shown(schema: TableSchema, row: Row, columns: Iterable[str]) -> Row:
    """A copy of a stored row for the caller, with JSON decoded."""
    kinds = schema.columns
    return {name: _decoded(row[name]) if kinds[name].kind is JSON else _own(row[name]) for name in columns}


def _documents(row: Row, columns: Iterable[str], steps: Steps) -> Row:
    documents = {}
    for name in columns:
        if isinstance(row[name], bytes):
            steps.take(1 + len(row[name]) // _BYTES_PER_STEP)
            documents[name] = Document(_decoded(row[name]))
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


def _next_version(version: Any) -> int:
    # As on SQLite, a value of another type, written by another program, counts as 0.
    return version + 1 if type(version) is int else 1


def _own(value: Any) -> Any:
    """The value, a list as a copy, which nobody else can change."""
    return value.copy() if type(value) is list else value


def _encoded(value: Any) -> Any:
    return value if value is None or isinstance(value, ForeignValue) else orjson.dumps(value)


def _decoded(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, bytes) else value
