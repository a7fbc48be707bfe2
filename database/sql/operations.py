"""The operations of the seam, carried out on a SQL connection."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import nullcontext
from itertools import repeat
from operator import itemgetter
from typing import Any
from typing import Protocol

from database.core.caching import ByteCache
from database.core.clock import utc_now
from database.core.errors import InvalidQuery
from database.core.errors import SchemaMismatch
from database.core.errors import Unsupported
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
from database.core.operations import reads_only
from database.core.query.targets import not_same
from database.core.query.targets import one_row
from database.core.query.targets import target
from database.core.query.targets import version_conflict
from database.core.query.validation import GROUP_COUNT
from database.core.query.validation import checked_columns
from database.core.query.validation import checked_filter
from database.core.query.validation import checked_group
from database.core.query.validation import checked_group_columns
from database.core.query.validation import checked_group_order
from database.core.query.validation import checked_id
from database.core.query.validation import checked_order
from database.core.query.validation import checked_range
from database.core.query.validation import refuse_locked_groups
from database.core.result import Result
from database.core.result import Row
from database.core.tables.rows import Columns
from database.core.tables.rows import as_rows
from database.core.tables.rows import complete_row
from database.core.tables.rows import complete_rows
from database.core.tables.rows import new_values
from database.core.tables.rows import replaced_columns
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import UNDECODABLE
from database.core.tables.unreadable import Unreadable
from database.core.tables.unreadable import unreadable
from database.sql.dialect import SqlDialect
from database.sql.placeholders import bind
from database.sql.statements import Statement
from database.sql.statements import Statements
from database.sql.statements import statement_cache

Values = Sequence[Any]


def several_statements() -> InvalidQuery:
    """The error for a text of several statements, of which none was carried out."""
    return InvalidQuery("the text has several statements; send one at a time, or all of them with execute_batch()")


class SqlConnection(Protocol):
    """What the operations ask of a driver's connection. Errors come out translated."""

    def rows(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows."""

    def returned(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        """All rows that a write of one statement returns, which has no other effect if it fails."""

    def change(self, text: str, values: Values) -> int:
        """Run a statement that returns none; how many rows it affected."""

    def change_many(self, text: str, rows: Iterable[Values]) -> None:
        """Run a statement once per row of values."""

    def insert_many(self, table: TableSchema, columns: tuple[str, ...], text: str, rows: Iterable[Values]) -> None:
        """Insert many rows in the fastest way the driver has."""

    def statement(
        self, text: str, values: Values, *, limited: bool
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]], int]:
        """Run one SQL statement: the names of its columns (none if it returns no rows), rows, and rows affected.

        :param limited: whether it is stopped where its rows pass :func:`~database.sql.limited.within_limits`.
        :raises InvalidQuery: for several statements, before any is carried out.
        """

    def atomic(self) -> AbstractContextManager[None]:
        """All or none of what happens inside; joins a transaction that is already open."""

    def snapshot(self) -> AbstractContextManager[None]:
        """What is read inside is of one moment; joins a transaction that is already open."""


_NULL = frozenset({type(None)})
_MOST_TYPES = 1_000


class SqlTable:
    """A table with its compiled statements and the values that need converting."""

    def __init__(self, schema: TableSchema, dialect: SqlDialect, cache: ByteCache[Statement]) -> None:
        self.schema = schema
        self.statements = Statements(schema, dialect, cache)
        kinds = {name: column.kind for name, column in schema.columns.items()}
        self._encoders = {name: dialect.encode[kind] for name, kind in kinds.items() if kind in dialect.encode}
        self._decoders = tuple((name, dialect.decode[kind]) for name, kind in kinds.items() if kind in dialect.decode)
        self._types = {name: dialect.types[kind] | _NULL for name, kind in kinds.items() if kind in dialect.types}
        self._known_types: set[tuple[Any, ...]] = set()
        self.every_column = tuple(schema.columns)
        self.by_id = self.statements.get(self.every_column).text
        self.echoes = not any(column.server_default for column in schema.columns.values())

    def columns(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """The columns to return, as :func:`~database.core.query.validation.checked_columns` has them."""
        return self.every_column if names is None else checked_columns(self.schema, names)

    def result(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]], count: int | None = None) -> Result:
        """The driver's rows as records, apart from those that cannot be read."""
        try:
            return Result(self._records(columns, rows), count)
        except UNDECODABLE:
            result = Result(count=count, unreadable=[])
            for place, row in enumerate(rows):
                self._add(result, columns, row, place)
            return result

    def _add(self, result: Result, columns: tuple[str, ...], row: tuple[Any, ...], place: int) -> None:
        try:
            result.rows += self._records(columns, [row])
        except UNDECODABLE:
            result.unreadable = [*result.unreadable, self._unreadable(columns, row, place)]

    def _unreadable(self, columns: tuple[str, ...], row: tuple[Any, ...], place: int) -> Unreadable:
        values: Row = {}
        bad = []
        for name, value in zip(columns, row, strict=False):
            try:
                values |= self._records((name,), [(value,)])[0]
            except UNDECODABLE:
                bad.append(name)
        return unreadable(self.schema, bad[0], values, place)

    def _records(self, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> list[Row]:
        """The driver's rows as records. Raises one of ``UNDECODABLE`` if a value is none of its column's kind."""
        if self._types:
            self._check_types(columns, rows)
        # Without a comprehension, because this is most of what reading costs beside the driver.
        records: list[Row] = list(map(dict, map(zip, repeat(columns), rows)))
        for name, decode in self._decoders:
            if name in columns:
                for record in records:
                    if record[name] is not None:
                        record[name] = decode(record[name])
        return records

    def _check_types(self, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
        """Raise ``TypeError`` unless the values are of their columns' types."""
        # One row by the types that were seen together before, many column by column: each is the quicker one there.
        if len(rows) == 1 and (found := (columns, *map(type, rows[0]))) in self._known_types:
            return
        for place, name in enumerate(columns):
            if (meant := self._types.get(name)) is not None:
                types = [*map(type, map(itemgetter(place), rows))]
                # To count what most of them are is quicker than to look each one up.
                if types and (types.count(types[0]) != len(types) or types[0] not in meant):
                    _require(meant, types)
        # Callers choose the columns, so that their combinations are not kept.
        if len(rows) == 1 and columns is self.every_column and len(self._known_types) < _MOST_TYPES:
            self._known_types.add(found)

    def groups(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]], count: int | None) -> Result:
        """The driver's groups, whose last value is their number of rows, as records."""
        result = self.result(columns, rows, count)
        bad = {one.place for one in result.unreadable}
        # Apart from the columns, because the table may have a column of this name, whose values are others.
        for record, row in zip(result.rows, [row for place, row in enumerate(rows) if place not in bad], strict=True):
            record[GROUP_COUNT] = row[-1]
        return result

    def encoded(self, columns: Columns) -> Columns:
        """Checked columns in the form the driver binds."""
        encoded = dict(columns)
        for name in self._encoders.keys() & columns.keys():
            encoded[name] = [self.encode(name, value) for value in columns[name]]
        return encoded

    def encoded_row(self, row: Row) -> Values:
        """A checked row in the form the driver binds."""
        encoded = dict(row)
        for name in self._encoders.keys() & row.keys():
            encoded[name] = self.encode(name, row[name])
        return tuple(encoded.values())

    def encode(self, name: str, value: Any) -> Any:
        """One checked value in the form the driver binds."""
        encoder = self._encoders.get(name)
        return value if encoder is None or value is None else encoder(value)


def _require(meant: frozenset[type], types: Sequence[type]) -> None:
    if not meant.issuperset(types):
        raise TypeError


class SqlOperations:
    """Executes operations on any connection of one SQL dialect; holds no connection itself."""

    def __init__(self, schema: Schema, dialect: SqlDialect) -> None:
        self._schema = schema
        self._dialect = dialect
        self._tables: dict[str, SqlTable] = {}
        self._statements = statement_cache()
        self._handlers: dict[type[Operation], Callable[[SqlConnection, Any], Result]] = {
            Ping: self._ping,
            Get: self._get,
            Select: self._select,
            Insert: self._insert,
            Upsert: self._upsert,
            Update: self._update,
            Delete: self._delete,
            Sql: self._sql,
            Batch: self._batch,
        }

    def execute(self, connection: SqlConnection, operation: Operation) -> Result:
        """Carry out ``operation``. :raises Unsupported: for a kind of operation SQL backends do not have."""
        handler = self._handlers.get(type(operation))
        if handler is None:
            raise Unsupported(operation.kind, backend=self._dialect.name)
        return handler(connection, operation)

    def _table(self, name: str) -> SqlTable:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = SqlTable(self._schema.table(name), self._dialect, self._statements)
        return table

    def _ping(self, connection: SqlConnection, _: Ping) -> Result:
        connection.rows("select 1", ())
        return Result()

    def _get(self, connection: SqlConnection, operation: Get) -> Result:
        table = self._tables.get(operation.table) or self._table(operation.table)
        columns = table.columns(operation.columns)
        if operation.lock:
            text = table.statements.get(columns, lock=True).text
        else:
            text = table.by_id if columns is table.every_column else table.statements.get(columns).text
        return table.result(columns, connection.rows(text, (checked_id(operation.id),)))

    def _select(self, connection: SqlConnection, operation: Select) -> Result:
        table = self._table(operation.table)
        group: tuple[str, ...] = ()
        if operation.group:
            refuse_locked_groups(operation)
            group = checked_group(table.schema, operation.group)
            columns = checked_group_columns(group, operation.columns)
            order = checked_group_order(group, operation.order)
        else:
            columns, order = table.columns(operation.columns), checked_order(table.schema, operation.order)
        limit, offset = checked_range("limit", operation.limit), checked_range("offset", operation.offset)
        values: list[Any] = []
        where = table.statements.shape(checked_filter(table.schema, operation.where), values)
        statement = table.statements.select(
            columns, where, order, limit is not None, offset is not None, group, lock=operation.lock
        )
        paged = values + [number for number in (limit, offset) if number is not None]
        with connection.snapshot() if operation.count else nullcontext():
            total = self._count(connection, table.statements.count(where, group), values) if operation.count else None
            rows = connection.rows(statement.text, statement.bind(paged))
        return table.groups(columns, rows, total) if group else table.result(columns, rows, total)

    @staticmethod
    def _count(connection: SqlConnection, statement: Statement, values: list[Any]) -> int:
        ((total,),) = connection.rows(statement.text, statement.bind(values))
        return int(total)

    def _insert(self, connection: SqlConnection, operation: Insert) -> Result:
        table = self._table(operation.table)
        if len(operation.rows) == 1:
            return self._insert_one(connection, table, operation.rows[0], returning=operation.returning)
        columns = complete_rows(table.schema, operation.rows, utc_now())
        names = tuple(columns)
        rows = zip(*table.encoded(columns).values(), strict=True)
        if operation.returning and not table.echoes:
            statement = table.statements.insert(names, table.every_column)
            return self._each(connection, table, statement, rows)
        connection.insert_many(table.schema, names, table.statements.insert(names, ()).text, rows)
        return Result(as_rows(columns) if operation.returning else [], len(operation.rows))

    @staticmethod
    def _insert_one(connection: SqlConnection, table: SqlTable, given: Record, *, returning: bool) -> Result:
        row = complete_row(table.schema, given, utc_now())
        names, values = tuple(row), table.encoded_row(row)
        if returning and not table.echoes:
            text = table.statements.insert(names, table.every_column).text
            return table.result(table.every_column, connection.returned(text, values), 1)
        connection.change(table.statements.insert(names, ()).text, values)
        return Result([row] if returning else [], 1)

    def _upsert(self, connection: SqlConnection, operation: Upsert) -> Result:
        table = self._table(operation.table)
        columns = complete_rows(table.schema, operation.rows, utc_now())
        names, returning = tuple(columns), table.every_column if operation.returning else ()
        result = Result(count=len(operation.rows))
        encoded = zip(*table.encoded(columns).values(), strict=True)
        with connection.atomic():
            if operation.verbatim and not operation.same and not returning:
                connection.change_many(table.statements.upsert(names, names, ()).text, encoded)
                return result
            for row, values in zip(operation.rows, encoded, strict=True):
                changed = names if operation.verbatim else replaced_columns(names, row)
                statement = table.statements.upsert(names, changed, returning, operation.same)
                part = self._change(connection, table, statement, values, returning)
                if not part.count:
                    raise not_same(operation)
                result.rows += part.rows
                result.unreadable = [*result.unreadable, *part.unreadable]
        return result

    def _update(self, connection: SqlConnection, operation: Update) -> Result:
        table = self._table(operation.table)
        columns = new_values(table.schema, operation.values, utc_now())
        values = [table.encode(name, value) for name, value in columns.items()]
        where = table.statements.shape(target(table.schema, operation), values)
        returning = table.every_column if operation.returning else ()
        statement = table.statements.update(tuple(columns), where, returning)
        return self._change_expected(connection, operation, table, statement, statement.bind(values), returning)

    def _delete(self, connection: SqlConnection, operation: Delete) -> Result:
        table = self._table(operation.table)
        values: list[Any] = []
        where = table.statements.shape(target(table.schema, operation), values)
        returning = table.every_column if operation.returning else ()
        statement = table.statements.delete(where, returning)
        return self._change_expected(connection, operation, table, statement, statement.bind(values), returning)

    @staticmethod
    def _change(
        connection: SqlConnection, table: SqlTable, statement: Statement, values: Values, returning: tuple[str, ...]
    ) -> Result:
        if not returning:
            return Result([], connection.change(statement.text, values))
        rows = connection.returned(statement.text, values)
        result = table.result(returning, rows, len(rows))
        result.rows.sort(key=lambda row: str(row["id"]))
        return result

    def _each(self, connection: SqlConnection, table: SqlTable, statement: Statement, rows: Iterable[Values]) -> Result:
        with connection.atomic():
            tuples = [row for values in rows for row in connection.returned(statement.text, values)]
        return table.result(table.every_column, tuples, len(tuples))

    def _change_expected(
        self,
        connection: SqlConnection,
        operation: Update | Delete,
        table: SqlTable,
        statement: Statement,
        values: Values,
        returning: tuple[str, ...],
    ) -> Result:
        """Tell a row that is gone from one that has another version than expected."""
        result = self._change(connection, table, statement, values, returning)
        if operation.expected_version is None or result.count:
            return result
        # Once more, so that nobody changes the row between the look at its version and the attempt to change it.
        with connection.atomic():
            result = self._change(connection, table, statement, values, returning)
            if not result.count:
                where = one_row(table.schema, operation)
                # Without the columns that may hold what cannot be read.
                current = self._select(connection, Select(operation.table, ("id", "version"), where)).first
                if current is not None:
                    raise version_conflict(operation, current)
        return result

    def _sql(self, connection: SqlConnection, operation: Sql) -> Result:
        text, values = bind(operation.text, operation.params, self._dialect.style)
        # One that is stopped while it answers has changed what it changes.
        undoing = operation.limited and not reads_only(operation)
        try:
            with connection.atomic() if undoing else nullcontext():
                names, rows, count = connection.statement(text, values, limited=operation.limited)
        except SchemaMismatch as error:
            # The text is the caller's, and so is the mistake of naming what does not exist.
            reason = str(error.__cause__).split("\n", maxsplit=1)[0]
            raise InvalidQuery(f"the database refused the statement: {reason}") from error
        records = [dict(zip(names, row, strict=True)) for row in rows]
        return Result(records, count, returns_rows=bool(names))

    def _batch(self, connection: SqlConnection, operation: Batch) -> Result:
        with connection.snapshot() if reads_only(operation) else connection.atomic():
            parts = [self.execute(connection, part) for part in operation.operations]
        return Result(parts=parts, count=sum(part.count or 0 for part in parts))
