"""Writes to tables whose rows the database itself changes or drops, by triggers or rules of others.

The answer to such a write is what is stored: its rows are read again in the same transaction, because ``RETURNING``
does not show what a trigger does after the change. A record that was dropped is an error, and then the whole write is
undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from database.core.clock import utc_now
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.operations import Insert
from database.core.operations import Record
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import And
from database.core.query.filters import Where
from database.core.query.targets import conflict_columns
from database.core.query.targets import dropped
from database.core.query.targets import key_filters
from database.core.query.targets import not_same
from database.core.query.targets import target
from database.core.result import Result
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import key_of
from database.core.tables.keys import readable_key
from database.core.tables.rows import check_rows
from database.core.tables.rows import complete_row
from database.core.tables.schema import TableSchema
from database.sql.connection import Rewriting
from database.sql.connection import SqlConnection
from database.sql.many_rows import Values
from database.sql.statements import Statement
from database.sql.table import SqlTable

if TYPE_CHECKING:
    from database.sql.operations import SqlOperations


class _Written(NamedTuple):
    """A row that was written.

    :ivar place: of the row among those of the write.
    :ivar changed: how many rows the database says it has written.
    """

    place: int
    key: Key
    changed: int


class RewrittenWrites:
    """Carries out writes to such tables, for :class:`~database.sql.operations.SqlOperations`."""

    def __init__(self, operations: SqlOperations) -> None:
        self._operations = operations

    def insert(self, connection: SqlConnection, table: SqlTable, operation: Insert, rewriting: Rewriting) -> Result:
        """Insert rows."""
        returning = operation.returning and not rewriting.rules

        def write(index: int, row: Record) -> _Written:
            completed = complete_row(table.schema, row, utc_now())
            statement = table.statements.insert(tuple(completed), table.schema.key if returning else ())
            key = readable_key(table.schema, completed)
            return _write(
                connection, table, statement, table.encoded_values(completed), _Written(index, key, 0), returning
            )

        with connection.atomic():
            written = [write(index, row) for index, row in enumerate(_checked(table, operation))]
            return self._answer(connection, table, operation, written)

    def upsert(self, connection: SqlConnection, table: SqlTable, operation: Upsert) -> Result:
        """Insert or update rows, which have none of the columns that the database computes."""
        by = conflict_columns(table.schema, operation)
        with connection.atomic():
            written = [
                self._upserted(connection, table, operation, by, index, row)
                for index, row in enumerate(_checked(table, operation))
            ]
            return self._answer(connection, table, operation, [one for one in written if one is not None])

    def update(self, connection: SqlConnection, table: SqlTable, operation: Update, rewriting: Rewriting) -> Result:
        """Update rows."""
        targeted = Select(table.schema.name, where=target(table.schema, operation))
        with connection.atomic():
            before = self._operations._select(connection, targeted)
            keys = _keys(table.schema, before)
            try:
                count = self._operations._plain_update(connection, table, operation, returning=()).count
            except Conflict:
                if keys and self._operations._select(connection, targeted).rows:
                    raise _dropped(table, "did not make the change", None) from None
                raise
            after = self._read(connection, table, keys)
            stored = len(after.rows) + len(after.unreadable)
            if count != stored if not rewriting.rules else _unchanged(table, before, after):
                raise _dropped(table, "did not make the change", None)
            return after if operation.returning else Result([], stored)

    def _upserted(
        self,
        connection: SqlConnection,
        table: SqlTable,
        operation: Upsert,
        by: tuple[str, ...],
        index: int,
        row: Record,
    ) -> _Written | None:
        """Write a row; None if it exists and is left as it is."""
        completed = complete_row(table.schema, row, utc_now())
        existing = self._existing(connection, table, by, completed)
        if existing and operation.ignore_duplicates:
            return None
        names, wanted = tuple(completed), table.schema.key if operation.returning else ()
        statement, more = table.upsert(operation, names, row, wanted, by)
        values = (*table.encoded_values(completed), *more)
        key = existing[0] if existing else readable_key(table.schema, completed)
        written = _write(connection, table, statement, values, _Written(index, key, 0), operation.returning)
        if existing and not written.changed:
            raise (
                not_same(table.schema, operation)
                if operation.same
                else _dropped(table, "did not make the change", None)
            )
        return written

    def _existing(self, connection: SqlConnection, table: SqlTable, by: tuple[str, ...], row: Record) -> list[Key]:
        """The key of the row that has the values of ``row`` in the columns ``by``, if there is one."""
        if any(row.get(name) is None for name in by):
            return []
        where = And(tuple([Where(name, "eq", row[name]) for name in by]))
        return _keys(
            table.schema, self._operations._select(connection, Select(table.schema.name, table.schema.key, where))
        )

    def _answer(
        self, connection: SqlConnection, table: SqlTable, operation: Insert | Upsert, written: list[_Written]
    ) -> Result:
        """What is stored of the rows that were written."""
        for one in written:
            if not one.changed and (
                one.key is None or not _keys(table.schema, self._read(connection, table, [one.key]))
            ):
                raise _dropped(table, "did not store the record", one.place)
        if not operation.returning:
            return Result([], len(written))
        result = self._read(connection, table, [one.key for one in written])
        found = set(_keys(table.schema, result))
        for one in written:
            if one.key not in found:
                raise _dropped(table, "did not store the record", one.place)
        result.count = len(written)
        return result

    def _read(self, connection: SqlConnection, table: SqlTable, keys: Sequence[Key]) -> Result:
        """The rows with these keys, in their order."""
        found: dict[Key, Row] = {}
        result = Result(count=len(keys), unreadable=[])
        for where in key_filters(table.schema, keys):
            part = self._operations._select(connection, Select(table.schema.name, where=where))
            found |= {key_of(table.schema, row): row for row in part.rows}
            result.unreadable = [*result.unreadable, *part.unreadable]
            result.table = part.table
        result.rows = [dict(found[key]) for key in keys if key in found]
        return result


def _keys(schema: TableSchema, result: Result) -> list[Key]:
    """The keys of a result's rows, in their order; none of a row whose key cannot be read."""
    rows: list[Mapping[str, Any]] = [*result.rows, *[bad.values for bad in result.unreadable]]
    return [key for row in rows if (key := readable_key(schema, row)) is not None]


def _checked(table: SqlTable, operation: Insert | Upsert) -> Sequence[Record]:
    check_rows(table.schema, operation.rows)
    return operation.rows


def _write(
    connection: SqlConnection, table: SqlTable, statement: Statement, values: Values, given: _Written, returning: bool
) -> _Written:
    """Write a row. A trigger may have changed its key, which ``returning`` tells."""
    if not returning:
        return given._replace(changed=connection.change(statement.text, values))
    rows = connection.returned(statement.text, values)
    key = key_of(table.schema, dict(zip(table.schema.key, rows[0], strict=True))) if rows else given.key
    return _Written(given.place, key, len(rows))


def _unchanged(table: SqlTable, before: Result, after: Result) -> bool:
    """Whether a row is as it was, although every update counts its version."""
    return table.schema.versioned and any(row in before.rows for row in after.rows)


def _dropped(table: SqlTable, problem: str, row: int | None) -> ConstraintViolated:
    return dropped(table.schema.name, problem, row)
