"""One identity on whose behalf a buffered transaction reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from database.backends.buffered.replica import Loaded
from database.backends.buffered.replica import Place
from database.backends.buffered.replica import Replica
from database.backends.buffered.request import Range
from database.backends.buffered.request import Reservation
from database.backends.buffered.request import Seen
from database.backends.buffered.request import Step
from database.backends.memory.constraints import referrers
from database.core.context import Context
from database.core.context import Identity
from database.core.errors import PermissionDenied
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Record
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import by_key
from database.core.query.targets import conflict_columns
from database.core.query.targets import key_filters
from database.core.query.targets import target
from database.core.query.targets import with_values
from database.core.query.validation import checked_get
from database.core.query.validation import checked_select
from database.core.result import Result
from database.core.tables.access_rules import is_caller
from database.core.tables.keys import Key
from database.core.tables.keys import checked_key
from database.core.tables.keys import key_of
from database.core.tables.keys import readable_key
from database.core.tables.rows import check_rows
from database.core.tables.rows import check_values
from database.core.tables.rows import known_values
from database.core.tables.rows import without_number
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import together
from database.resilience.stages import Handler


class Party:
    """One identity's view of the backend: the rows that it has read itself, plus all changes of the transaction.

    :param identity: the caller; None if the context names none.
    :param steps: the changes that all parties of the transaction have made, in order.
    :param number: index of this party in the transaction.
    :ivar moments: number of points in time at which this party has read from the backend.
    """

    def __init__(
        self,
        schema: Schema,
        send: Handler,
        identity: Identity | None,
        steps: list[Step],
        number: int,
        *,
        loads_referrers: bool = False,
        makes_defaults: bool = False,
    ) -> None:
        self.identity = identity
        self.moments = 0
        self.ranges: list[Range] = []
        self._schema = schema
        self._send = send
        self._steps = steps
        self._number = number
        self._loads_referrers = loads_referrers
        self._replica = Replica(schema, steps, number, makes_defaults=makes_defaults)
        self._looked_up: dict[Place, None] = {}
        self._loaders: dict[type[Operation], Callable[[Any, Context], None]] = {
            Get: self._load_record,
            Select: self._load_selected,
            Insert: self._reserve_numbers,
            Upsert: self._load_upserted,
            Update: self._load_updated,
            Delete: self._load_deleted,
        }

    def execute(self, operation: Operation, context: Context) -> Result:
        """Load the rows that an operation needs and execute it on the replica."""
        self._refuse_foreign_changes(operation)
        self._replica.catch_up()
        if load := self._loaders.get(type(operation)):
            load(operation, context)
        return self._replica.execute(operation, context.deadline)

    def undo_removed_steps(self) -> None:
        """Undo the steps that a rollback to a savepoint has removed."""
        self._replica.undo_removed_steps()

    def seen(self) -> tuple[Seen, ...]:
        """The records that were looked up by id or changed, as they were when loaded."""
        written = {(step.table, step.id): None for step in self._steps if step.party == self._number}
        return self._replica.seen(self._looked_up | written)

    @property
    def takes_part(self) -> bool:
        """Whether the commit contains any read or change of this party."""
        return any(step.party == self._number for step in self._steps) or bool(self.ranges or self.seen())

    def _refuse_foreign_changes(self, operation: Operation) -> None:
        """Refuse to show a caller another party's changes if only the backend knows which rows this caller may see."""
        name: str = getattr(operation, "table", "")
        if not is_caller(self.identity) or name not in self._schema or self._schema.table(name).rules.declared:
            return
        theirs = {step.id for step in self._steps if step.table == name and step.party != self._number}
        about = _named(self._schema.table(name), operation) if theirs else None
        if theirs and (about is None or not theirs.isdisjoint(about)):
            raise PermissionDenied(
                f"table {name!r} declares no access rules and another identity has changed it in this transaction; "
                "only the database can decide which of these changes the caller may see: use a separate transaction"
            )

    def _load_record(self, operation: Get, context: Context) -> None:
        query = checked_get(self._schema.table(operation.table), operation)
        self._load_records(query.table, [query.id], context)

    def _load_selected(self, operation: Select, context: Context) -> None:
        table = self._schema.table(operation.table)
        query = checked_select(table, operation)
        order = by_key(table.key) if query.group else query.order
        self._load_range(table, Select(table.name, None, query.where, order, self._reach(query)), context)

    def _load_range(self, table: TableSchema, query: Select, context: Context) -> None:
        if all(known.query != query for known in self.ranges):
            rows = self._read(query, context)
            self.ranges.append(Range(query, tuple([row.stored for row in rows]), self._number))
            self._replica.load(table, rows)

    def _read(self, query: Operation, context: Context) -> list[Loaded]:
        """All rows, including those with unreadable values: they exist, so they must not count as absent."""
        result = self._send(query, context)
        self.moments += result.moments
        rows = together(result.rows, result.unreadable)
        spoiled = {one.place for one in result.unreadable}
        stored = zip(rows, result.stored or rows, strict=True)
        return [Loaded(row, as_it_is, place in spoiled) for place, (row, as_it_is) in enumerate(stored)]

    def _reach(self, query: Select) -> int | None:
        """How many rows to load: up to the last one wanted, plus one for each row changed here, which may drop out."""
        if query.limit is None or query.count or query.group:
            return None
        return query.limit + (query.offset or 0) + len(self._replica.changed(query.table))

    def _load_upserted(self, operation: Upsert, context: Context) -> None:
        table = self._schema.table(operation.table)
        by = conflict_columns(table, operation)
        check_rows(table, operation.rows)
        self._reserve_numbers(operation, context)
        if by == table.key:
            given = [key for row in operation.rows if (key := readable_key(table, row)) is not None]
            self._load_records(operation.table, [checked_key(table, key) for key in given], context)
            return
        # A range, because a row with one of the values must not come in unnoticed.
        for where in with_values(by, [known_values(table, operation.rows, name) for name in by]):
            self._load_range(table, Select(table.name, where=where, order=by_key(table.key)), context)

    def _reserve_numbers(self, operation: Insert | Upsert, context: Context) -> None:
        """Have the backend make the keys of the records that are without."""
        table = self._schema.table(operation.table)
        if not table.numbered:
            return
        check_rows(table, operation.rows)
        if missing := without_number(table, operation.rows):
            self._replica.reserved = self._send(Reservation(table.name, missing), context).value

    def _load_updated(self, operation: Update, context: Context) -> None:
        check_values(self._schema.table(operation.table), operation.values)
        self._load_targeted(operation, context)

    def _load_targeted(self, operation: Update | Delete, context: Context) -> None:
        table = self._schema.table(operation.table)
        where = target(table, operation)
        if operation.id is not None:
            self._load_records(table.name, [checked_key(table, operation.id)], context)
        else:
            # A range, so that the commit fails if another row has come to match meanwhile.
            self._load_range(table, Select(table.name, where=where, order=by_key(table.key)), context)

    def _load_deleted(self, operation: Delete, context: Context) -> None:
        self._load_targeted(operation, context)
        if not self._loads_referrers:
            return
        table = self._schema.table(operation.table)
        found = self._replica.execute(Select(table.name, where=target(table, operation)), context.deadline)
        self._load_referrers(table, _values(found), context)

    def _load_referrers(self, table: TableSchema, records: Sequence[Record], context: Context) -> None:
        """Load the rows that are deleted or changed with records of a table, and those that go with these."""
        waiting = [(table, records)]
        seen = {(table.name, key_of(table, record)) for record in records}
        while waiting:
            parent, records = waiting.pop()
            acting = [one for one in referrers(self._schema, parent.name) if one.action in {"CASCADE", "SET NULL"}]
            for reference in acting:
                table, fresh = reference.table, []
                values = [[record.get(name) for record in records] for name in reference.others]
                for where in with_values(reference.columns, values):
                    query = Select(table.name, where=where, order=by_key(table.key))
                    self._load_range(table, query, context)
                    found = _values(self._replica.execute(query, context.deadline))
                    fresh += [record for record in found if (table.name, key_of(table, record)) not in seen]
                if fresh and reference.action == "CASCADE":
                    seen |= {(table.name, key_of(table, record)) for record in fresh}
                    waiting.append((table, fresh))

    def _load_records(self, table: str, keys: Iterable[Key], context: Context) -> None:
        schema = self._schema.table(table)
        wanted = dict.fromkeys(keys)
        self._looked_up |= {(table, key): None for key in wanted}
        unknown = [key for key in wanted if not self._replica.knows(table, key)]
        one = len(unknown) == 1
        queries: Iterable[Get | Select]
        queries = (
            [Get(table, unknown[0])] if one else [Select(table, where=where) for where in key_filters(schema, unknown)]
        )
        for query in queries:
            self._replica.load(schema, self._read(query, context))
        for key in unknown:
            if not self._replica.knows(table, key):
                self._replica.load_absence(table, key)


def _values(result: Result) -> list[Record]:
    """The readable values of all rows whose keys can be read."""
    return [*result.rows, *[bad.values for bad in result.unreadable if bad.id is not None]]


def _named(table: TableSchema, operation: Operation) -> list[Key] | None:
    """The keys of the records that an operation targets; None if it selects them by a filter."""
    if getattr(operation, "on_conflict", ()) not in {(), table.key}:
        return None
    if isinstance(operation, Insert | Upsert):
        rows: Sequence[Any] = operation.rows
        return [readable_key(table, row) for row in rows if isinstance(row, Mapping)]
    given = getattr(operation, "id", None)
    return None if given is None else [checked_key(table, given)]
