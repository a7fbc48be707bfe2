"""One of the two databases: reads the states of its records, and applies merge actions to it.

All calls are made as the application itself and outside of the caller's unit of work.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.backends.memory.constraints import Unique
from database.changes.feed import Changes
from database.core.errors import Conflict
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Record
from database.core.operations import Select
from database.core.operations import Upsert
from database.core.query.filters import Filter
from database.core.query.filters import after
from database.core.query.targets import with_values
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import key_of
from database.core.tables.keys import parts_of
from database.core.tables.keys import readable_key
from database.resilience.repetition import ATTEMPTS
from database.resilience.repetition import repeated
from database.sync.bulk.bases import Bases
from database.sync.bulk.bases import by_table
from database.sync.bulk.bases import digest
from database.sync.bulk.echoes import Echoes
from database.sync.bulk.marks import Marks
from database.sync.bulk.states import States
from database.sync.bulk.states import TableStates
from database.sync.conflicts.journal import conflict_row
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import SideName
from database.sync.three_way_merge import SideState
from database.sync.untangling.dependents import Dependent
from database.sync.untangling.dependents import dependents
from database.sync.untangling.needs import Needs
from database.sync.untangling.needs import Relations
from database.sync.untangling.needs import applies
from database.sync.untangling.ordered_writes import OrderedWrites
from database.sync.untangling.ordered_writes import TableWrite
from database.sync.untangling.ordered_writes import in_order_of_needs
from database.sync.untangling.ordering import Component
from database.unit_of_work import apart

CONFLICTS: Final = "isthmus_sync_conflicts"

ATTEMPTS_TOGETHER: Final = 3
"""The most attempts at a transaction on several records, before it is split into smaller ones."""

Ordered = Sequence[Component[MergeAction]]
"""Actions in the order of their needs."""


class Side:
    """A database that is synced with another one.

    :param names: the names of both sides' adapters, in order.
    :param tables: the synced tables, parents first.
    :ivar pair: the name of the pair, equal on both sides.
    :ivar schemas: the synced tables, by name.
    :ivar forms: makes the canonical texts of their rows.
    :ivar bases: the bases that this side stores.
    :ivar records: reads the states of its records within the caller's unit of work.
    :ivar echoes: the changes in the feed that are known to be sync's own.
    """

    def __init__(self, name: SideName, adapter: DatabaseAdapter, names: tuple[str, str], tables: Sequence[str]) -> None:
        self.name = name
        self.adapter = adapter
        self.pair = ":".join(names)
        self._names = names
        self._places = {table: place for place, table in enumerate(tables)}
        text_keys = [table for table in tables if adapter.schema.table(table).text_key]
        self.bases = Bases(adapter, self.pair, text_keys)
        self.records = States(adapter, tables, self.bases)
        self.schemas = self.records.schemas
        self.forms = self.records.forms
        self.echoes = Echoes()
        self._relations = [Relations(adapter.schema, tables, suspecting=suspecting) for suspecting in (False, True)]
        self._writes = [OrderedWrites(adapter.schema, one, self._is_taken) for one in self._relations]

    def __repr__(self) -> str:
        return f"<Side {self.name}: {self.adapter.name}>"

    def changes(self, cursor: str | None, limit: int) -> Changes:
        """Read the committed changes after a cursor; None for the current end."""
        with apart():
            return self.adapter.changes(cursor, limit)

    def page(
        self, table: str, where: Filter | None, last: Key | None, limit: int, columns: tuple[str, ...] | None = None
    ) -> tuple[list[Row], Key | None]:
        """Read the rows after a key, sorted by key, and the last key if more rows may follow.

        Unreadable rows are left out, and do not end the page.

        :param last: None to begin with the first row.
        """
        schema = self.adapter.schema.table(table)
        if last is not None:
            behind = after((), parts_of(schema, last), schema.key)
            where = behind if where is None else where & behind
        with apart():
            found = self.adapter.run(Select(table, columns, where, limit=limit))
        full = len(found.rows) + len(found.unreadable) == limit
        known = [readable_key(schema, row) for row in (*found.rows, *[bad.values for bad in found.unreadable])]
        return found.rows, max((key for key in known if key is not None), default=None) if full else None

    def states(self, keys: Iterable[RecordKey], epoch: str) -> dict[RecordKey, SideState]:
        """Read the states of these records.

        :param epoch: the current epoch; bases of other epochs are ignored.
        """
        with apart():
            return self.records.read(list(keys), epoch)

    def table_states(self, keys: Iterable[RecordKey], epoch: str) -> dict[str, TableStates]:
        """Read the same, table by table."""
        with apart():
            return self.records.of_tables(keys, epoch)

    def absent(self, keys: Sequence[RecordKey]) -> set[RecordKey]:
        """The records without a row on this side."""
        with apart():
            return self.records.absent(keys)

    def keys_with(self, table: str, columns: tuple[str, ...], values: Sequence[tuple[Any, ...]]) -> list[RecordKey]:
        """The records of a table whose columns have one of these combinations of values."""
        with apart():
            return [RecordKey(table, one) for one in self.addresses(table, self._with_values(table, columns, values))]

    def addresses(self, table: str, rows: Iterable[Row]) -> Iterator[str]:
        """The addresses of a table's rows."""
        return self.records.addresses(table, rows)

    @property
    def marks(self) -> Marks:
        """The marks of this side, as they were read last."""
        return self.records.marks

    def read_marks(self, epoch: str) -> Marks:
        """Read the marks of this side."""
        with apart():
            self.records.marks = self.bases.marks(epoch)
        return self.marks

    def count_read(self, epoch: str) -> int:
        """Count that what was read on this side is about to be written on the other. :returns: the number."""
        with apart():
            return repeated(lambda: self._count_read(epoch))

    def apply(
        self,
        actions: Sequence[MergeAction],
        epoch: str,
        written_from: int,
        ordered: Ordered | None = None,
        *,
        suspecting: bool = False,
    ) -> None:
        """Apply the actions in one transaction.

        :param written_from: the number of the read of the other side that the actions follow from.
        :param ordered: the same actions in the order of their needs; by default rows are written, parents first, and
            then records are deleted.
        :param suspecting: as it was given for this order.
        :raises Conflict: if a record does not have its expected state.
        :raises RequestError: if the database refuses one of the rows.
        """
        # Few attempts at many records: concurrent changes of one record would delay all others.
        attempts = ATTEMPTS if len(actions) == 1 else ATTEMPTS_TOGETHER
        with apart():
            as_sent = repeated(
                lambda: self._apply(actions, epoch, written_from, ordered, suspecting=suspecting), attempts
            )
        self._expect_echoes([one for one in actions if one.key.table in as_sent])

    def dependents(self, actions: Sequence[MergeAction]) -> dict[RecordKey, Dependent]:
        """The records that the database deletes or changes with those that the actions delete, without their own."""
        gone = {one.key: one.expected.row for one in actions if one.deletes and one.expected.row is not None}
        if not gone:
            return {}
        written = {one.key for one in actions if one.writes}
        with apart():
            return dependents(self.adapter.schema, self._places, gone, written, self._with_values)

    def in_order(self, actions: Sequence[MergeAction], *, suspecting: bool = False) -> Ordered:
        """The actions in the order of their needs.

        :param suspecting: whether the database may have unique values that are not declared.
        """
        return in_order_of_needs(self._relations[suspecting], actions)

    def needs(self, action: MergeAction, *, suspecting: bool = False) -> Needs:
        """What an action needs of others, and what it does for them."""
        return self._relations[suspecting].needs(action)

    def row(self, table: str, row_id: str) -> Row | None:
        """Read one row by its id."""
        with apart():
            return self.adapter.run(Get(table, row_id)).first

    def replace(self, table: str, expected: Record | None, row: Record) -> None:
        """Write a row of one of sync's own tables verbatim.

        :param expected: required current values, or None if the row must not exist.
        :raises Conflict: if the current row differs.
        """
        with apart():
            repeated(lambda: self._replace(table, expected, row))

    def store(self, table: str, rows: Sequence[Record], *, replaced: Sequence[str] = ()) -> None:
        """Write rows of one of sync's own tables, and delete those with the ids ``replaced``, in one transaction."""
        with apart():
            repeated(lambda: self._store(table, rows, replaced))

    def remove(self, table: str, ids: Sequence[str]) -> None:
        """Delete rows of one of sync's own tables."""
        with apart():
            self._remove(table, ids)

    def record_id(self, key: RecordKey) -> str:
        """The id of a record's row in sync's own tables, apart from its base."""
        return digest(self.pair, *key)

    def _count_read(self, epoch: str) -> int:
        with self.adapter.transaction():
            return self.bases.count_read(epoch)

    def _apply(
        self,
        actions: Sequence[MergeAction],
        epoch: str,
        written_from: int,
        ordered: Ordered | None,
        *,
        suspecting: bool,
    ) -> set[str]:
        """Apply the actions. :returns: as :meth:`_write`."""
        with self.adapter.transaction():
            states = self.records.read([action.key for action in actions], epoch)
            if not all(states[action.key].same_as(action.expected) for action in actions):
                raise Conflict("the record has changed since it was read", backend=self.adapter.name)
            return self._write(actions, epoch, written_from, ordered, suspecting=suspecting)

    def _write(
        self,
        actions: Sequence[MergeAction],
        epoch: str,
        written_from: int,
        ordered: Ordered | None = None,
        *,
        suspecting: bool = False,
    ) -> set[str]:
        """Write rows, bases and journal.

        :returns: the tables whose rows are certainly stored as they were sent, by one write.
        """
        steps = self._in_bulk(actions) if ordered is None else self._writes[suspecting].of(ordered)
        as_sent = {step.table for step in steps if self._carry_out(step) and ordered is None}
        self.bases.write(actions, epoch, max(written_from, self.marks.written_from))
        entries = [conflict_row(self.pair, self._names, action.conflict) for action in actions if action.conflict]
        if entries:
            self.adapter.run(Insert(CONFLICTS, entries, returning=False))
        return as_sent

    def _expect_echoes(self, actions: Iterable[MergeAction]) -> None:
        """Expect the entries of rows that were stored as they were sent."""
        for table, members in groupby(actions, key=lambda one: one.key.table):
            written = [(one.key.id, one.expected.row, one.row) for one in members if one.writes and one.row is not None]
            self.echoes.expect_written(table, written)

    def _replace(self, table: str, expected: Record | None, row: Record) -> None:
        with self.adapter.transaction():
            present = self.adapter.run(Get(table, row["id"])).first
            found = None if present is None or expected is None else {name: present[name] for name in expected}
            if (present is None) != (expected is None) or found != expected:
                raise Conflict("another process has moved the checkpoint of this sync", backend=self.adapter.name)
            self.adapter.run(Upsert(table, [row], returning=False, verbatim=True))

    def _store(self, table: str, rows: Sequence[Record], replaced: Sequence[str]) -> None:
        with self.adapter.transaction() if replaced else nullcontext():
            self.adapter.run(Upsert(table, rows, returning=False))
            self._remove(table, replaced)

    def _in_bulk(self, actions: Sequence[MergeAction]) -> Iterator[TableWrite]:
        ordered = sorted((one for one in actions if one.writes), key=lambda action: self._places[action.key.table])
        written = {action.key: action.row for action in ordered if action.row is not None}
        for table, keys in by_table(written):
            yield TableWrite(table, [row for key in keys if (row := written[key])])
        for table, keys in by_table(action.key for action in reversed(ordered) if action.deletes):
            yield TableWrite(table, gone=keys)

    def write_rows(self, table: str, rows: Sequence[Row]) -> bool:
        """Write whole rows, within the caller's unit of work; returns whether they are certainly stored as they are."""
        key = self.schemas[table].key
        by = () if key == ("id",) else key
        return self.adapter.run(Upsert(table, rows, returning=False, verbatim=True, on_conflict=by)).as_sent

    def _carry_out(self, step: TableWrite) -> bool:
        """Write or delete records. :returns: whether they are rows that are certainly stored as they were sent."""
        as_sent = bool(step.rows) and self.write_rows(step.table, step.rows)
        for where in self.records.selecting(step.table, [key.id for key in step.gone]):
            self.adapter.run(Delete(step.table, where=where))
        return as_sent

    def _with_values(self, table: str, columns: tuple[str, ...], values: Sequence[tuple[Any, ...]]) -> Iterator[Row]:
        for where in with_values(columns, list(zip(*values, strict=True))):
            yield from self.adapter.run(Select(table, where=where))

    def _is_taken(self, table: str, unique: Unique, row: Row) -> bool:
        """Whether another row of a table has the unique values of a row."""
        schema = self.schemas[table]
        key = key_of(schema, row)
        for where in with_values(unique.columns, [[row[name]] for name in unique.columns]):
            found = self.adapter.run(Select(table, where=where))
            if found.unreadable or any(key_of(schema, one) != key and applies(unique, one) for one in found):
                return True
        return False

    def _remove(self, table: str, ids: Sequence[str]) -> None:
        for where in with_values(("id",), [ids]):
            self.adapter.run(Delete(table, where=where))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two databases that are synced.

    :ivar name: the same in every process that syncs them.
    :ivar tables: the synced tables, parents first.
    """

    name: str
    tables: tuple[str, ...]
    sides: tuple[Side, Side]

    @classmethod
    def of(cls, first: DatabaseAdapter, second: DatabaseAdapter, tables: tuple[str, ...]) -> Pair:
        """The pair of two adapters, named after them."""
        names = first.name, second.name
        sides = (Side("first", first, names, tables), Side("second", second, names, tables))
        return cls(sides[0].pair, tables, sides)
