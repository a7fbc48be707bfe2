"""The backend interface's operations, carried out on a SQL connection."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from database.core.clock import utc_now
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import OutcomeUnknown
from database.core.errors import SchemaMismatch
from database.core.errors import UnreadableRecord
from database.core.errors import Unsupported
from database.core.kinds.calendar import Date
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
from database.core.query.targets import conflict_columns
from database.core.query.targets import not_same
from database.core.query.targets import one_row
from database.core.query.targets import version_conflict
from database.core.query.validation import checked_select
from database.core.result import Result
from database.core.result import Row
from database.core.tables.keys import can_exist
from database.core.tables.keys import checked_key
from database.core.tables.keys import parts_of
from database.core.tables.keys import sort_by_key
from database.core.tables.rows import SERVER_DEFAULT
from database.core.tables.rows import as_rows
from database.core.tables.rows import check_rows
from database.core.tables.rows import complete_row
from database.core.tables.rows import complete_rows
from database.core.tables.rows import differ_in_defaults
from database.core.tables.rows import new_values
from database.core.tables.rows import refuse_given_numbers
from database.core.tables.schema import Schema
from database.core.tables.unreadable import UNDECODABLE
from database.sql.connection import Rewriting
from database.sql.connection import SqlConnection
from database.sql.dialect import SqlDialect
from database.sql.many_rows import ManyRows
from database.sql.many_rows import Values
from database.sql.rewritten import RewrittenWrites
from database.sql.statements import Statement
from database.sql.statements import statement_cache
from database.sql.table import SqlTable
from database.sql.texts.answers import SqlAnswer
from database.sql.texts.answers import may_repeat_a_name
from database.sql.texts.placeholders import bind
from database.sql.texts.timed import forms
from database.sql.verbatim import recount
from database.sql.verbatim import upsert_many
from database.sql.verbatim import write_verbatim


class SqlOperations:
    """Executes operations on any connection of one SQL dialect; holds no connection itself."""

    def __init__(self, schema: Schema, dialect: SqlDialect) -> None:
        self._schema = schema
        self._dialect = dialect
        self._parameters = dialect.parameters.with_labels(schema.enum_labels)
        self._tables: dict[str, SqlTable] = {}
        self._statements = statement_cache()
        self._rewritten = RewrittenWrites(self)
        self._handlers: dict[type[Operation], Callable[[SqlConnection, Any], Result]] = {
            Ping: self._ping,
            Get: self.get,
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

    def get(self, connection: SqlConnection, operation: Get) -> Result:
        """Look one record up by its key."""
        table = self._tables.get(operation.table) or self._table(operation.table)
        try:
            projection = table.projections[operation.columns]
        except (KeyError, TypeError):
            projection = table.reading(operation.columns)
        key = checked_key(table.schema, operation.id)
        text = table.locking(projection) if operation.lock else projection.by_key or table.by_key(projection)
        if table.text_key:
            return table.projected(projection, connection.rows(text, (key,)))
        found = can_exist(table.schema, key)
        return table.projected(projection, connection.rows(text, parts_of(table.schema, key)) if found else [])

    def _select(self, connection: SqlConnection, operation: Select) -> Result:
        table = self._tables.get(operation.table) or self._table(operation.table)
        query = checked_select(table.schema, operation)
        columns, group, limit, offset = query.columns or table.every_column, query.group, query.limit, query.offset
        values: list[Any] = []
        where = table.statements.shape(query.where, values)
        statement = table.statements.select(
            columns, where, query.order, limit is not None, offset is not None, group, lock=query.lock
        )
        paged = values + [number for number in (limit, offset) if number is not None]
        if not query.count:
            rows, total = connection.rows(statement.text, statement.bind(paged)), None
        else:
            counting = table.statements.count(where, group)
            with connection.snapshot():
                ((total,),) = connection.rows(counting.text, counting.bind(values))
                rows = connection.rows(statement.text, statement.bind(paged))
        return table.groups(columns, rows, total) if group else table.result(columns, rows, total)

    def _insert(self, connection: SqlConnection, operation: Insert) -> Result:
        table = self._tables.get(operation.table) or self._table(operation.table)
        if operation.verbatim:
            rewriting = connection.rewriting(table.schema)
            write = lambda copied: self._inserted(connection, table, copied, rewriting)  # noqa: E731
            return write_verbatim(connection, self._dialect, table, operation, rewriting, write)
        if table.numbered:
            refuse_given_numbers(table.schema, operation.rows)
        return self._inserted(connection, table, operation, connection.rewriting(table.schema))

    def _inserted(self, connection: SqlConnection, table: SqlTable, operation: Insert, rewriting: Rewriting) -> Result:
        if rewriting.any:
            return self._rewritten.insert(connection, table, operation, rewriting)
        if len(operation.rows) == 1:
            return self._insert_one(connection, table, operation.rows[0], returning=operation.returning)
        if table.schema.server_made and differ_in_defaults(table.schema, operation.rows):
            return self._one_by_one(connection, operation)
        many = operation.prepared
        if isinstance(many, ManyRows) and many.source is operation.rows:
            return self._insert_many(connection, table, many)
        copied = operation.verbatim and not operation.returning
        columns = complete_rows(table.schema, operation.rows, utc_now(), copied=copied)
        many = ManyRows(table.encoded(columns))
        if operation.returning and not table.echoes:
            statement = table.statements.insert(many.names, table.every_column)
            return self._each(connection, table, statement, many.rows())
        return self._insert_many(connection, table, many, as_rows(columns) if operation.returning else [])

    @staticmethod
    def _insert_many(
        connection: SqlConnection, table: SqlTable, many: ManyRows, returned: Sequence[Row] = ()
    ) -> Result:
        connection.insert_many(table.schema, table.statements.insert(many.names, ()).text, many)
        return Result(list(returned), len(many))

    def prepared(self, operation: Insert) -> Insert:
        """An insert of many rows that are checked and encoded. :raises InvalidRow: if one is not valid."""
        table, rows = self._table(operation.table), operation.rows
        differ = table.schema.server_made and differ_in_defaults(table.schema, rows)
        if operation.returning or differ or len(rows) < 2:  # one row has a way of its own
            return operation
        columns = table.encoded(complete_rows(table.schema, rows, utc_now(), copied=operation.verbatim))
        text = None if self._dialect.load_text is None else self._dialect.load_text(columns)
        return replace(operation, prepared=ManyRows(columns, text, rows))

    @staticmethod
    def _insert_one(connection: SqlConnection, table: SqlTable, given: Record, *, returning: bool) -> Result:
        if not returning:
            names, values = table.written(given)
            connection.change(table.statements.insert(names, ()).text, values)
            return Result([], 1)
        row = complete_row(table.schema, given, utc_now())
        names, values = tuple(row), table.encoded_values(row)
        if not table.echoes:
            text = table.statements.insert(names, table.every_column).text
            return table.result(table.every_column, connection.returned(text, values), 1)
        connection.change(table.statements.insert(names, ()).text, values)
        return Result([row], 1)

    def _one_by_one(self, connection: SqlConnection, operation: Insert | Upsert) -> Result:
        """Write rows that leave different columns to the database's own defaults."""
        check_rows(self._schema.table(operation.table), operation.rows)
        result = Result(count=0)
        with connection.atomic():
            for index, row in enumerate(operation.rows):
                try:
                    part = self.execute(connection, replace(operation, rows=[row]))
                except ConstraintViolated as error:
                    error.row = index
                    raise
                result.rows += part.rows
                result.unreadable = [*result.unreadable, *part.unreadable]
                result.count = (result.count or 0) + (part.count or 0)
        return result

    def _upsert(self, connection: SqlConnection, operation: Upsert) -> Result:
        table = self._table(operation.table)
        rewriting = connection.rewriting(table.schema)
        if operation.verbatim:
            write = lambda copied: self._upserted(connection, table, copied, rewriting)  # noqa: E731
            return write_verbatim(connection, self._dialect, table, operation, rewriting, write)
        if table.numbered:
            refuse_given_numbers(table.schema, operation.rows)
        return self._upserted(connection, table, operation, rewriting)

    def _upserted(self, connection: SqlConnection, table: SqlTable, operation: Upsert, rewriting: Rewriting) -> Result:
        if rewriting.any:
            return self._rewritten.upsert(connection, table, operation)
        by = conflict_columns(table.schema, operation)
        if table.schema.server_made and differ_in_defaults(table.schema, operation.rows):
            return self._one_by_one(connection, operation)
        if len(operation.rows) == 1 and not operation.verbatim:
            return self._upsert_one(connection, table, operation, by)
        columns = complete_rows(table.schema, operation.rows, utc_now(), copied=operation.verbatim)
        names, returning = tuple(columns), table.every_column if operation.returning else ()
        result = Result(count=len(operation.rows))
        by_name = table.encoded(columns)
        with connection.atomic():
            if operation.verbatim and not operation.same and not returning:
                upsert_many(connection, self._dialect, table, by_name)
                return result
            parts = [
                self._upsert_row(connection, table, operation, names, row, values, by)
                for row, values in zip(operation.rows, zip(*by_name.values(), strict=True), strict=True)
            ]
            if operation.verbatim:
                recount(connection, self._dialect, table, by_name)
        result.rows = [row for part in parts for row in part.rows]
        result.unreadable = [bad for part in parts for bad in part.unreadable]
        result.count = sum(part.count or 0 for part in parts)
        return result

    def _upsert_one(self, connection: SqlConnection, table: SqlTable, operation: Upsert, by: tuple[str, ...]) -> Result:
        """One row, faster: one statement is atomic by itself."""
        (given,) = operation.rows
        names, values = table.written({**given, **dict(operation.texts)} if operation.texts else given)
        return self._upsert_row(connection, table, operation, names, given, values, by)

    def _upsert_row(
        self,
        connection: SqlConnection,
        table: SqlTable,
        operation: Upsert,
        names: tuple[str, ...],
        row: Record,
        values: Sequence[Any],
        by: tuple[str, ...],
    ) -> Result:
        returning = table.every_column if operation.returning else ()
        more: list[Any] = []
        if operation.ignore_duplicates:
            statement = table.statements.insert_new(names, returning, by)
        else:
            statement, more = table.upsert(operation, names, row, returning, by)
        result = self._change(connection, table, statement, statement.bind((*values, *more)), returning)
        if not result.count and not operation.ignore_duplicates:
            raise not_same(table.schema, operation)
        return result

    def _update(self, connection: SqlConnection, operation: Update) -> Result:
        table = self._tables.get(operation.table) or self._table(operation.table)
        if (rewriting := connection.rewriting(table.schema)).any:
            return self._rewritten.update(connection, table, operation, rewriting)
        return self._plain_update(connection, table, operation, table.every_column if operation.returning else ())

    def _plain_update(
        self, connection: SqlConnection, table: SqlTable, operation: Update, returning: tuple[str, ...]
    ) -> Result:
        now = utc_now()
        columns = new_values(table.schema, operation.values, now)
        reset: tuple[str, ...] = ()
        if table.schema.server_made:
            reset = tuple(name for name, value in columns.items() if value is SERVER_DEFAULT)
            columns = {name: value for name, value in columns.items() if value is not SERVER_DEFAULT}
        values = table.encoded_values(columns)
        believed = table.believed(operation.values, now) if table.timed else []
        values += believed
        where = table.target(operation, values)
        statement = table.statements.update(tuple(columns), where, returning, reset, timed=bool(believed))
        if operation.expected_version is None:
            return self._change(connection, table, statement, statement.bind(values), returning)
        return self._change_expected(connection, operation, table, statement, statement.bind(values), returning)

    def _delete(self, connection: SqlConnection, operation: Delete) -> Result:
        table = self._table(operation.table)
        values: list[Any] = []
        where = table.target(operation, values)
        returning = table.every_column if operation.returning else ()
        statement = table.statements.delete(where, returning)
        if operation.expected_version is None:
            return self._change(connection, table, statement, statement.bind(values), returning)
        return self._change_expected(connection, operation, table, statement, statement.bind(values), returning)

    @staticmethod
    def _change(
        connection: SqlConnection, table: SqlTable, statement: Statement, values: Values, returning: tuple[str, ...]
    ) -> Result:
        if not returning:
            return Result([], connection.change(statement.text, values))
        rows = connection.returned(statement.text, values)
        result = table.result(returning, rows, len(rows))
        sort_by_key(table.schema, result.rows)
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
        if result.count:
            return result
        # Once more, so that nobody changes the row between the look at its version and the attempt to change it.
        with connection.atomic():
            result = self._change(connection, table, statement, values, returning)
            if not result.count:
                where = one_row(table.schema, operation)
                # Without the columns that may hold what cannot be read.
                wanted = (*table.schema.key, "version")
                current = self._select(connection, Select(operation.table, wanted, where)).first
                if current is not None:
                    raise version_conflict(operation, current)
        return result

    def _sql(self, connection: SqlConnection, operation: Sql) -> Result:
        dialect = self._dialect
        timed = None if Date in dialect.native else partial(forms, schema=self._schema, encoder=dialect.encoder)
        text, values = bind(operation.text, operation.params, dialect.style, self._parameters, timed)
        reads = reads_only(operation)
        # One that is stopped while it answers, or whose answer is refused, has changed what it changes.
        undoing = not reads and (operation.limited or may_repeat_a_name(text))
        try:
            with connection.atomic() if undoing else nullcontext():
                answer = connection.statement(text, values, limited=operation.limited)
        except SchemaMismatch as error:
            # The text is the caller's, and so is the mistake of naming what does not exist.
            reason = str(error.__cause__).split("\n", maxsplit=1)[0]
            raise InvalidQuery(f"the database refused the statement: {reason}") from error
        names, rows = answer.names, self._read(answer, reads=reads)
        records = [dict(zip(names, row, strict=True)) for row in rows]
        return Result(records, answer.changed, returns_rows=bool(names))

    def _read(self, answer: SqlAnswer, *, reads: bool) -> list[tuple[Any, ...]]:
        """The rows with the values of declared columns as ``table()`` returns them."""
        if not answer.rows or not any(answer.origins):
            return answer.rows
        columns: list[Sequence[Any]] = list(zip(*answer.rows, strict=True))
        for place, origin in enumerate(answer.origins):
            if origin is None or origin[0] not in self._schema:
                continue
            try:
                columns[place] = self._table(origin[0]).values(origin[1], columns[place])
            except UNDECODABLE as error:
                reason = "another program stored a value that is not of its type"
                if not reads:
                    where = f"column {answer.names[place]!r} of its answer"
                    raise OutcomeUnknown(f"the write was carried out, and {where} cannot be read: {reason}") from error
                raise UnreadableRecord(origin[0], None, answer.names[place], reason) from error
        return list(zip(*columns, strict=True))

    def _batch(self, connection: SqlConnection, operation: Batch) -> Result:
        with connection.snapshot() if reads_only(operation) else connection.atomic():
            parts = [self.execute(connection, part) for part in operation.operations]
        return Result(parts=parts, count=sum(part.count or 0 for part in parts))
