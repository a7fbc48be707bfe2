"""Records of agents in the tables of a database: SQLite, PostgreSQL, Supabase, Convex or memory."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from contextvars import copy_context
from datetime import datetime
from typing import Any
from typing import Final

from database.adapter.interface import Database
from database.core.context import SERVICE
from database.core.context import active_unit
from database.core.context import current_context
from database.core.errors import DataError
from database.core.errors import SchemaMismatch
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Upsert
from database.core.query.filters import Filter
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.filters import after as rows_after
from database.core.query.targets import with_values
from database.core.result import Result
from database.core.result import Row
from database.purging import delete_in_parts
from database.resilience.repetition import repeated
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageCorruptError
from storage.core.errors import StorageError
from storage.core.errors import as_storage_error
from stores.agents.records.interface import AgentRecords
from stores.agents.records.interface import Change
from stores.agents.records.interface import Place
from stores.agents.records.kinds import AgentRecord
from stores.agents.records.kinds import RecordKind
from stores.agents.records.kinds import named_id
from stores.agents.records.moments import moments
from stores.agents.records.values import from_document
from stores.agents.records.values import text_as_it_is
from stores.agents.records.values import to_document

_IN_ORDER: Final = (Order("timestamp"),)
_AT_ONCE: Final = 500


class TableRecords(AgentRecords):
    """Rows of the four tables, read and written as the application: its routes decide who may use them.

    :param database: the application's connection manager, or one adapter.
    :param joins: whether calls belong to the current unit of work; not if the database is not the application's.
    """

    def __init__(self, database: Database, *, joins: bool = True) -> None:
        self._database = database
        self._joins = joins

    def put(self, kind: RecordKind, records: Sequence[AgentRecord]) -> None:
        self._upserted(_upsert(kind, records))

    def create(self, kind: RecordKind, record: AgentRecord) -> bool:
        row = _row(kind, record, to_document(record.value, kind.value))
        upsert = Upsert(kind.table, [row], on_conflict=kind.by, ignore_duplicates=True)
        return bool(self._upserted(upsert).count)

    def value(self, kind: RecordKind, group: str, name: str) -> Any:
        return _value(self._run, kind, group, name)

    def change(self, kind: RecordKind, group: str, name: str, change: Change) -> Any:
        run, in_callers_name = self._database.run, self._in_callers_name(change)

        def attempt() -> Any:
            with self._database.transaction():
                value = in_callers_name(_value(run, kind, group, name))
                run(_upsert(kind, [AgentRecord(named_id(group, name), group, name, value, moments.of(value))]))
                return value

        with self._acting():
            # A unit of work is repeated as a whole.
            return attempt() if active_unit.get() is not None else repeated(attempt)

    def page(self, kind: RecordKind, group: str, after: Place | None, limit: int) -> list[AgentRecord]:
        where: Filter = Where(kind.group, "eq", group)
        if after is not None:
            where &= rows_after(_IN_ORDER, after)
        return self._records(kind, Select(kind.table, where=where, order=_IN_ORDER, limit=limit))

    def every(self, kind: RecordKind) -> Iterator[AgentRecord]:
        where: Filter | None = None
        while found := self._records(kind, Select(kind.table, where=where, limit=_AT_ONCE)):
            yield from found
            where = Where("id", "gt", found[-1].id)

    def found(self, kind: RecordKind, records: Sequence[AgentRecord]) -> list[AgentRecord]:
        columns = kind.by or ("id",)
        rows = [_row(kind, one, None) for one in records]
        wheres = with_values(columns, [[row[name] for row in rows] for name in columns])
        return [one for where in wheres for one in self._records(kind, Select(kind.table, where=where))]

    def count(self, kind: RecordKind) -> int:
        return self._run(Select(kind.table, ("id",), limit=0, count=True)).count or 0

    def delete(self, kind: RecordKind, group: str, name: str | None = None) -> int:
        where: Filter = Where(kind.group, "eq", group) if name is None else _named(kind, group, name)
        with self._acting():
            return delete_in_parts(self._database, kind.table, where)

    def delete_before(self, kind: RecordKind, moment: datetime) -> int:
        with self._acting():
            return delete_in_parts(self._database, kind.table, Where("timestamp", "lt", moment))

    def close(self) -> None:
        """The connections are those of the database, which others use, too."""

    def _records(self, kind: RecordKind, select: Select) -> list[AgentRecord]:
        found = self._run(select)
        _require_readable(kind, found)
        return [_record(kind, row) for row in found.rows]

    def _upserted(self, upsert: Upsert) -> Result:
        try:
            return self._run(upsert)
        except StorageConflictError:
            if self._joins and active_unit.get() is not None:
                raise
            # PostgreSQL may meet the id of a record that is written at the same moment before the columns by which it
            # looks for it. It is there now.
            return self._run(upsert)

    def _run(self, operation: Operation) -> Result:
        # As in _acting(), with less for each call.
        token = current_context.set(current_context.get().acting_as(SERVICE))
        try:
            return self._database.run(operation) if self._joins else self._database.run_alone(operation)
        except StorageError:
            raise
        except DataError as error:
            raise _as_ours(error) from error
        finally:
            current_context.reset(token)

    def _in_callers_name(self, change: Change) -> Change:
        """``change`` with the rights of its caller, whose code it is; it does not belong to a transaction elsewhere."""
        if not self._joins:
            everything = copy_context()
            return lambda present: everything.run(change, present)
        outside = current_context.get()

        def called(present: Any) -> Any:
            token = current_context.set(outside)
            try:
                return change(present)
            finally:
                current_context.reset(token)

        return called

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """Run the block's calls as the application, in the current unit of work or outside of it."""
        context = current_context.set(current_context.get().acting_as(SERVICE))
        unit = active_unit.set(active_unit.get() if self._joins else None)
        try:
            yield
        except StorageError:
            raise
        except DataError as error:
            raise _as_ours(error) from error
        finally:
            active_unit.reset(unit)
            current_context.reset(context)


def _value(run: Callable[[Operation], Result], kind: RecordKind, group: str, name: str) -> Any:
    found = run(Get(kind.table, named_id(group, name), (kind.value,)))
    if not found.rows:
        if not found.unreadable:
            # A row that another program has made has an id of its own.
            found = run(Select(kind.table, (kind.value,), _named(kind, group, name)))
        _require_readable(kind, found)
    return from_document(found.rows[0][kind.value]) if found.rows else None


def _as_ours(error: DataError) -> DataError:
    if isinstance(error, SchemaMismatch):
        return StorageConfigurationError(
            f"the tables of agents are missing, or have other columns than the documented ones: {error.message}"
        )
    return as_storage_error(error)


def _upsert(kind: RecordKind, records: Sequence[AgentRecord]) -> Upsert:
    if len(records) == 1 and (text := text_as_it_is(records[0].value)) is not None:
        row = _row(kind, records[0], records[0].value)
        return Upsert(kind.table, [row], returning=False, on_conflict=kind.by, texts=((kind.value, text),))
    rows = [_row(kind, one, to_document(one.value, kind.value)) for one in records]
    return Upsert(kind.table, rows, returning=False, on_conflict=kind.by)


def _named(kind: RecordKind, group: str, name: str) -> Filter:
    assert kind.name is not None
    return Where(kind.group, "eq", group) & Where(kind.name, "eq", name)


def _row(kind: RecordKind, record: AgentRecord, document: Any) -> Row:
    row = {"id": record.id, kind.group: record.group, kind.value: document}
    if kind.name is not None:
        row[kind.name] = record.name
    if record.timestamp is not None:
        row["timestamp"] = record.timestamp
    return row


def _record(kind: RecordKind, row: Row) -> AgentRecord:
    name = None if kind.name is None else row[kind.name]
    return AgentRecord(row["id"], row[kind.group], name, from_document(row[kind.value]), row["timestamp"])


def _require_readable(kind: RecordKind, found: Result) -> None:
    """Refuse to leave out a row that cannot be read: what is missing would not be noticed."""
    for bad in found.unreadable:
        raise StorageCorruptError(str(bad.values.get("id", kind.table)), f"its row in {kind.table} is damaged")
