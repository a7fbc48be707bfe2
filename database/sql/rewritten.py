"""Writes to tables whose rows the database itself changes or drops, by triggers or rules of others.

The answer to such a write is what is stored: its rows are read again in the same transaction, because ``RETURNING``
does not show what a trigger does after the change. A record that was dropped is an error, and then the whole write is
undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import NamedTuple

from database.core.clock import utc_now
from database.core.errors import Conflict
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.operations import Insert
from database.core.operations import Record
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import And
from database.core.query.filters import Where
from database.core.query.targets import conflict_columns
from database.core.query.targets import not_same
from database.core.query.targets import target
from database.core.query.validation import MAX_IN
from database.core.result import Result
from database.core.result import Row
from database.core.tables.rows import check_rows
from database.core.tables.rows import complete_row
from database.sql.statements import Statement
from database.sql.table import SqlTable
from database.sql.table import Values

if TYPE_CHECKING:
    from database.sql.operations import SqlConnection
    from database.sql.operations import SqlOperations

_ID: Final = ("id",)


class Rewriting(NamedTuple):
    """What a database does to the rows that are written to a table.

    :ivar triggers: whether triggers of others may change or drop them.
    :ivar rules: whether something else is carried out instead, so that nothing is returned and no count is right.
    """

    triggers: bool
    rules: bool

    @property
    def any(self) -> bool:
        """Whether a row may be stored in another form than it was sent."""
        return self.triggers or self.rules


class _Written(NamedTuple):
    """A row that was written.

    :ivar place: of the row among those of the write.
    :ivar changed: how many rows the database says it has written.
    """

    place: int
    id: Any
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
            statement = table.statements.insert(tuple(completed), _ID if returning else ())
            return _write(connection, statement, table.encoded_row(completed), index, completed.get("id"), returning)

        with connection.atomic():
            written = [write(index, row) for index, row in enumerate(_checked(table, operation))]
            return self._answer(connection, table, operation, written)

    def upsert(self, connection: SqlConnection, table: SqlTable, operation: Upsert) -> Result:
        """Insert or update rows."""
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
            ids = sorted(before.ids)
            try:
                count = self._operations._plain_update(connection, operation, returning=()).count
            except Conflict:
                if ids and self._operations._select(connection, targeted).rows:
                    raise _dropped(table, "did not make the change", None) from None
                raise
            after = self._read(connection, table, ids)
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
        names, wanted = tuple(completed), _ID if operation.returning else ()
        statement, more = table.upsert(operation, names, row, wanted, by)
        values = (*table.encoded_row(completed), *more)
        record_id = existing[0] if existing else completed.get("id")
        written = _write(connection, statement, values, index, record_id, operation.returning)
        if existing and not written.changed:
            raise not_same(operation) if operation.same else _dropped(table, "did not make the change", None)
        return written

    def _existing(self, connection: SqlConnection, table: SqlTable, by: tuple[str, ...], row: Record) -> list[str]:
        """The id of the row that has the values of ``row`` in the columns ``by``, if there is one."""
        if any(row.get(name) is None for name in by):
            return []
        where = And(tuple([Where(name, "eq", row[name]) for name in by]))
        found = self._operations._select(connection, Select(table.schema.name, _ID, where))
        return found.ids

    def _answer(
        self, connection: SqlConnection, table: SqlTable, operation: Insert | Upsert, written: list[_Written]
    ) -> Result:
        """What is stored of the rows that were written."""
        for one in written:
            if not one.changed and not self._existing(connection, table, _ID, {"id": one.id}):
                raise _dropped(table, "did not store the record", one.place)
        if not operation.returning:
            return Result([], len(written))
        result = self._read(connection, table, [one.id for one in written])
        found = set(result.ids)
        for one in written:
            if one.id not in found:
                raise _dropped(table, "did not store the record", one.place)
        result.count = len(written)
        return result

    def _read(self, connection: SqlConnection, table: SqlTable, ids: Sequence[Any]) -> Result:
        """The rows with these ids, in their order."""
        found: dict[Any, Row] = {}
        result = Result(count=len(ids), unreadable=[])
        for start in range(0, len(ids), MAX_IN):
            where = Where("id", "in", tuple(dict.fromkeys(ids[start : start + MAX_IN])))
            part = self._operations._select(connection, Select(table.schema.name, where=where))
            found |= {row["id"]: row for row in part.rows}
            result.unreadable = [*result.unreadable, *part.unreadable]
        result.rows = [dict(found[record_id]) for record_id in ids if record_id in found]
        return result


def _checked(table: SqlTable, operation: Insert | Upsert) -> Sequence[Record]:
    check_rows(table.schema, operation.rows)
    return operation.rows


def _write(
    connection: SqlConnection, statement: Statement, values: Values, index: int, record_id: Any, returning: bool
) -> _Written:
    """Write a row. A trigger may have changed its id, which ``returning`` tells."""
    if not returning:
        return _Written(index, record_id, connection.change(statement.text, values))
    rows = connection.returned(statement.text, values)
    return _Written(index, rows[0][0] if rows else record_id, len(rows))


def _unchanged(table: SqlTable, before: Result, after: Result) -> bool:
    """Whether a row is as it was, although every update counts its version."""
    return table.schema.versioned and any(row in before.rows for row in after.rows)


def _dropped(table: SqlTable, problem: str, row: int | None) -> ConstraintViolated:
    return ConstraintViolated(
        f"a trigger or a rule of table {table.schema.name!r} in the database {problem}; nothing was written",
        kind=ConstraintKind.CHECK,
        constraint=table.schema.name,
        row=row,
    )
