"""``table()``: queries written the way Supabase's client writes them, for every backend.

>>> adapter.table("molecules").select("id, name").eq("formula", "H2O").order("name").limit(10).execute()
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal
from typing import Self

from database.adapter.following import FollowableQuery
from database.adapter.following import Runner
from database.adapter.joins import Join
from database.adapter.joins import embedded
from database.adapter.relations import related
from database.core.errors import InvalidQuery
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Record
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Nulls
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.selection import EVERYTHING
from database.core.query.selection import Relation
from database.core.query.selection import read_selection
from database.core.result import Result
from database.core.result import SingleResult
from database.core.tables.schema import Schema

logger = logging.getLogger(__name__)

Rows = Record | Sequence[Record]


class TableQuery(FollowableQuery):
    """One query on one table; nothing is sent before :meth:`execute`.

    Without another verb it selects. Filters are joined by *and*; :meth:`where` takes any
    :class:`~database.core.query.filters.Filter`.
    """

    # What few queries have costs the others nothing.
    _write: Insert | Upsert | Update | Delete | None = None
    _columns: tuple[str, ...] | None = None
    _limit: int | None = None
    _offset: int | None = None
    _count = False
    _lock = False
    _single: Literal["one", "one or none"] | None = None
    _group: tuple[str, ...] = ()
    _joins: tuple[Join, ...] = ()
    _relations: tuple[Relation, ...] = ()
    _texts: tuple[str, ...] = ()
    _taken = False
    """Whether the query was executed, or its operation taken."""

    def __init__(self, runner: Runner, table: str) -> None:
        self._runner = runner
        self._table = table
        self._filters: list[Filter] = []
        self._order: list[Order] = []

    def __del__(self) -> None:
        if self._write is not None and not self._taken:
            message = "the %s on table %s was never executed; end the query with .execute()"
            logger.warning(message, self._write.kind, self._table)

    # Verbs

    def select(self, *columns: str, count: bool | str | None = False) -> Self:
        """Choose columns, as arguments or in one comma-separated text; all for none or ``"*"``.

        ``amount::text`` gives an integer as text. ``experiments(name)`` puts related rows of another table into every
        row, by the foreign key that is declared between the two: a list, ordered by id, of the rows that refer to this
        one, or the row that this one refers to, or None. See :mod:`database.core.query.selection`.

        :param count: True or ``"exact"`` to count all rows that match as well.
        """
        if count not in (None, False, True, "exact"):
            raise InvalidQuery('count must be True or "exact"')
        selection = read_selection(",".join(columns)) if columns else EVERYTHING
        self._columns, self._texts, self._relations = selection.columns, selection.texts, selection.relations
        self._count = bool(count)
        return self

    def insert(self, rows: Rows, *, returning: bool = True) -> Self:
        """Insert one row or several, all or none."""
        return self._writing(Insert(self._table, _as_list(rows), returning))

    def upsert(
        self,
        rows: Rows,
        *,
        on_conflict: str | Sequence[str] = (),
        ignore_duplicates: bool = False,
        returning: bool = True,
    ) -> Self:
        """Insert rows, or update the given columns of those that exist, all or none.

        :param on_conflict: the column by which a row is found to exist, or several, as :meth:`select` takes them; they
            must be declared unique together. The table's key by default. An existing row keeps its key, and a row with
            a null in one of these columns is new.
        :param ignore_duplicates: leave existing rows as they are; only the inserted ones are returned and counted.
        :raises InvalidQuery: by :meth:`execute`, for columns that are not declared unique.
        """
        by = _names([on_conflict] if isinstance(on_conflict, str) else on_conflict) if on_conflict else ()
        if by is None:
            raise InvalidQuery("on_conflict must name columns, not '*'")
        operation = Upsert(self._table, _as_list(rows), returning, on_conflict=by, ignore_duplicates=ignore_duplicates)
        return self._writing(operation)

    def update(self, values: Record, *, returning: bool = True, expected_version: int | None = None) -> Self:
        """Change the rows that the filters select; refused without a filter.

        :param expected_version: the version that the one row must have.
        :raises Conflict: by :meth:`execute`, if it has another one.
        """
        operation = Update(self._table, values, returning=returning, expected_version=expected_version)
        return self._writing(operation)

    def delete(self, *, returning: bool = True, expected_version: int | None = None) -> Self:
        """Take away the rows that the filters select; refused without a filter.

        :param expected_version: as for :meth:`update`.
        """
        return self._writing(Delete(self._table, returning=returning, expected_version=expected_version))

    # Order and range

    def order(self, column: str, direction: str = "asc", *, desc: bool = False, nulls: Nulls | None = None) -> Self:
        """Sort by a column, after the ones named before; the table's key is the last one by itself.

        :param direction: ``"asc"`` or ``"desc"``; ``desc=True`` says the same.
        """
        if direction not in {"asc", "desc"}:
            raise InvalidQuery("a direction is 'asc' or 'desc'")
        self._order.append(Order(column, desc or direction == "desc", nulls))
        return self

    def limit(self, count: int) -> Self:
        """Return at most ``count`` rows."""
        self._limit = count
        return self

    def offset(self, count: int) -> Self:
        """Leave out the first ``count`` rows."""
        self._offset = count
        return self

    def range(self, first: int, last: int) -> Self:
        """Return the rows from the place ``first`` to the place ``last``, both included; the first place is 0."""
        if type(first) is not int or type(last) is not int or not 0 <= first <= last:
            raise InvalidQuery("range must have two integers: the place of the first row and that of the last one")
        return self.offset(first).limit(last - first + 1)

    def single(self) -> Self:
        """Have exactly one row: ``data`` of the result is that row.

        :raises NotFound: by :meth:`execute`, if there is none.
        :raises SeveralRows: by :meth:`execute`, if there are several.
        """
        self._single = "one"
        return self

    def maybe_single(self) -> Self:
        """Have one row or none: ``data`` of the result is that row, or None.

        :raises SeveralRows: by :meth:`execute`, if there are several.
        """
        self._single = "one or none"
        return self

    def lock(self) -> Self:
        """Inside a transaction, keep others from changing the rows of the result until the end, and wait for who does.

        :raises InvalidQuery: by :meth:`execute`, outside of a transaction and for groups.
        :raises Unsupported: by :meth:`execute`, where the backend has no locks.
        """
        self._lock = True
        return self

    # Tables and groups

    def join(self, table: str, column: str, foreign_column: str, columns: str | Sequence[str] | None = None) -> Self:
        """Put the rows of ``table`` whose ``foreign_column`` equals this table's ``column`` into every row.

        They are a list under the name of ``table``, ordered by id, and empty where nothing matches or ``column``
        is null. A second read fetches them: outside a transaction the two are not of one moment.

        :param columns: what to return of ``table``, as :meth:`select` takes it.
        :raises InvalidQuery: by :meth:`execute`, for columns that are unknown or cannot be compared with each other,
            a table that is joined twice or named like a column of this one, a group, or a verb that writes.
        """
        names = None if columns is None else _names([columns] if isinstance(columns, str) else columns)
        self._joins += (Join(table, column, foreign_column, names),)
        return self

    def group_by(self, *columns: str) -> Self:
        """Count the matching rows for each combination of the columns' values, in which null is a value, too.

        The result has one row for each, with the columns and ``count``; filters choose the rows that are counted,
        :meth:`order`, :meth:`limit` and :meth:`offset` are about the groups.

        :param columns: as :meth:`select` takes them; they are added to the ones named before.
        :raises InvalidQuery: without a column; and by :meth:`execute` for JSON, a column named ``count``, and
            selected or sorting columns that are not grouped by.
        """
        names = _names(columns)
        if names is None:
            raise InvalidQuery("group_by takes the columns to group by")
        self._group += names
        return self

    # Result

    def execute(self) -> Result:
        """Send the query. :raises InvalidQuery: if its parts do not go together."""
        self._taken = True
        if self._write is not None:
            return self._read(self._change(self._write))
        if self._is_plain:
            return self._read(self._selection())
        schema = self._runner.adapter.schema
        joins = self._every_join(schema)
        return embedded(self._runner.run, schema, self._selection(), joins, self._texts, self._read)

    def _read(self, operation: Operation) -> Result:
        """Carry out the query itself, without related rows."""
        result = self._runner.run(operation)
        return result if self._single is None else SingleResult.of(result, self._table, required=self._single == "one")

    def operation(self) -> Operation:
        """The finished operation, for a batch or for :meth:`~database.adapter.base.DatabaseAdapter.run`.

        :raises InvalidQuery: if the query's parts do not go together, or are more than one operation.
        """
        self._taken = True
        if self._write is not None:
            return self._change(self._write)
        if not self._is_plain:
            raise InvalidQuery("a query with related rows or ::text is no single operation and can only be executed")
        return self._selection()

    @property
    def _is_plain(self) -> bool:
        """Whether one operation gives the whole result."""
        return not (self._joins or self._relations or self._texts)

    def _every_join(self, schema: Schema) -> tuple[Join, ...]:
        return (*self._joins, *related(schema, schema.table(self._table), self._relations))

    def _followed(self) -> Select:
        if self._write is not None:
            raise InvalidQuery(f"{self._write.kind} has no result that could be followed")
        if self._count or self._lock or self._single:
            raise InvalidQuery(
                "a subscription delivers rows and no total count; it locks nothing, and its result is never single"
            )
        return self._selection()

    def _selection(self) -> Select:
        if self._group and (self._joins or self._relations or self._texts):
            raise InvalidQuery("a group has no related rows, and none of its columns can be selected as ::text")
        return Select(
            self._table,
            self._columns,
            self._condition(),
            tuple(self._order),
            # A second row is enough to know that there are several.
            2 if self._single and self._limit is None else self._limit,
            self._offset,
            count=self._count,
            group=self._group,
            lock=self._lock,
        )

    def _change(self, write: Insert | Upsert | Update | Delete) -> Operation:
        where = self._condition()
        if self._order or self._limit is not None or self._offset is not None:
            raise InvalidQuery(f"{write.kind} takes no order, limit or offset")
        if self._group or not self._is_plain or self._lock or self._single:
            raise InvalidQuery(f"{write.kind} takes no group, join, lock or single")
        if isinstance(write, Insert | Upsert):
            if where is not None:
                raise InvalidQuery(f"{write.kind} takes no filter")
            return self._by_key(write) if isinstance(write, Upsert) and not write.on_conflict else write
        if where is None:
            raise InvalidQuery(f"{write.kind} without a filter would reach the whole table")
        if write.expected_version is not None:
            return self._of_one(write, where)
        if isinstance(write, Update):
            return Update(write.table, write.values, where=where, returning=write.returning)
        return Delete(write.table, where=where, returning=write.returning)

    def _of_one(self, write: Update | Delete, where: Filter) -> Update | Delete:
        """The operation on the one record whose key the filters give."""
        parts = where.parts if isinstance(where, And) else (where,)
        given = {part.column: part.value for part in parts if isinstance(part, Where) and part.operator == "eq"}
        key = self._runner.adapter.schema.table(self._table).key
        if len(parts) != len(given) or given.keys() != set(key):
            wanted = "".join([f".eq({name!r}, …)" for name in key])
            raise InvalidQuery(f"expected_version needs the key of the record, and no other filter: {wanted}")
        return replace(write, id=given)

    def _by_key(self, write: Upsert) -> Upsert:
        """The operation with the columns of the key, so that it is known whether the rows have it."""
        schema = self._runner.adapter.schema
        key = schema.table(self._table).key if self._table in schema else ("id",)
        return write if key == ("id",) else replace(write, on_conflict=key)

    def _writing(self, operation: Insert | Upsert | Update | Delete) -> Self:
        if self._write is not None:
            raise InvalidQuery(f"a query has one verb; this one is already {self._write.kind}")
        self._write = operation
        return self


def _names(columns: Iterable[str]) -> tuple[str, ...] | None:
    """Columns, one or several to a text; None, which is all of them, for none or ``"*"``."""
    names = tuple([name.strip() for text in columns for name in text.split(",")])
    return None if names in {(), ("*",)} else names


def _as_list(rows: Rows) -> Sequence[Record]:
    return [rows] if isinstance(rows, Mapping) else rows
