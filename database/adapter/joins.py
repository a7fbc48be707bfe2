"""Rows of other tables inside the rows that a query selects.

A select fetches the rows, and a second one with an ``in`` filter what belongs to them. So it is the same on every
backend, and costs one read a join, not one a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from dataclasses import replace
from typing import Any

import orjson

from database.core.errors import InvalidQuery
from database.core.kinds.values import JSON
from database.core.operations import Operation
from database.core.operations import Select
from database.core.query.filters import Where
from database.core.query.selection import check_texts
from database.core.query.selection import give_as_text
from database.core.query.validation import MAX_IN
from database.core.query.validation import checked_columns
from database.core.result import Result
from database.core.result import Row
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema

_PORTION = 100
"""Rows that are read at once while their size is unknown, or large."""

_LARGER_PORTION = 1_000
"""Rows that are read at once if those before them were small."""


@dataclass(frozen=True, slots=True)
class Join:
    """The rows of ``table`` whose ``foreign_column`` equals the selected row's ``column``.

    :ivar columns: what to return of them; all for None.
    :ivar name: their key in the selected row; the table's name for None.
    :ivar one: whether there is one at most: the key then has that row or None instead of a list.
    :ivar texts: the integer columns to return as text.
    """

    table: str
    column: str
    foreign_column: str
    columns: tuple[str, ...] | None = None
    name: str | None = None
    one: bool = False
    texts: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Where the rows are in the selected row."""
        return self.name or self.table


def embedded(
    run: Callable[[Operation], Result],
    schema: Schema,
    select: Select,
    joins: Sequence[Join],
    texts: Sequence[str] = (),
    first: Callable[[Operation], Result] | None = None,
) -> Result:
    """The answer to ``select``, in which every row has a list of rows, ordered by id, under each join's key.

    :param run: carries out an operation, in the unit of work if there is one.
    :param texts: the integer columns to return as text.
    :param first: carries out ``select`` itself, if not ``run``.
    :raises NotFound: for an unknown table, before anything is sent.
    :raises InvalidQuery: for unknown columns or such as cannot be compared, and for a table that is joined twice
        or named like a column, before anything is sent.
    """
    table = schema.table(select.table)
    joined = prepared(schema, table, joins)
    check_texts(table, texts)
    # A query may be for related rows only.
    columns = () if joins and select.columns == () else checked_columns(table, select.columns)
    result = (first or run)(replace(select, columns=_with(columns, [join.column for join in joins])))
    for each in joined:
        each.attach(run, result)
    give_as_text(result.rows, texts)
    _remove(result.rows, {join.column for join in joins} - set(columns))
    return result


def prepared(schema: Schema, table: TableSchema, joins: Sequence[Join]) -> list[Joined]:
    """The joins, ready to be carried out. :raises NotFound: :raises InvalidQuery: as :func:`embedded`."""
    joined = [Joined(table, schema.table(join.table), join) for join in joins]
    if len({join.key for join in joins}) != len(joins):
        raise InvalidQuery("a table can be joined once; give further relations to it names, as in name:table(…)")
    return joined


class Budget:
    """What the related rows of one response may take: their number, and their bytes as JSON. A row that belongs to
    several counts for each of them.
    """

    def __init__(self, rows: int, size: int) -> None:
        self._rows = rows
        self._size = size
        self._sizes: dict[int, int] = {}

    def portions(self, run: Callable[[Operation], Result], select: Select) -> Iterator[Result]:
        """Read the rows of ``select`` part by part, so that too many are not all read.

        :raises InvalidQuery: if there are more than may be taken.
        """
        # Rows of an earlier relation may be gone, and others have their places in memory.
        self._sizes.clear()
        count = size = 0
        limit = _PORTION
        while True:
            part = run(replace(select, limit=limit, offset=count))
            read = len(part.rows) + len(part.unreadable)
            count += read
            size += sum(map(self._measure, part.rows))
            if count > self._rows or size > self._size:
                raise self._exceeded(select.table)
            yield part
            if read < limit:
                return
            # Small rows can be read in fewer parts.
            limit = _PORTION if size * _LARGER_PORTION > self._size * count else _LARGER_PORTION

    def take(self, table: str, rows: Sequence[Row]) -> None:
        """Count rows that one row gets. :raises InvalidQuery: if they are too many."""
        self._rows -= len(rows)
        self._size -= sum(map(self._measure, rows))
        if self._rows < 0 or self._size < 0:
            raise self._exceeded(table)

    def _measure(self, row: Row) -> int:
        size = self._sizes.get(id(row))
        if size is None:
            size = self._sizes[id(row)] = len(orjson.dumps(row, default=str))
        return size

    @staticmethod
    def _exceeded(table: str) -> InvalidQuery:
        return InvalidQuery(
            f"the related rows of table {table!r} are too many or too large; select fewer rows or columns, or read the"
            " related rows with a query of their own"
        )


class Joined:
    """A join that fits its tables."""

    def __init__(self, main: TableSchema, other: TableSchema, join: Join) -> None:
        _check(main, other, join)
        check_texts(other, join.texts)
        self._join = join
        self._columns = checked_columns(other, join.columns)
        self._documents = [name for name in self._columns if other.columns[name].kind is JSON]

    def attach(self, run: Callable[[Operation], Result], result: Result, budget: Budget | None = None) -> None:
        """Give every row of ``result`` the rows that belong to it.

        :param budget: what they may take; without one they are not limited.
        :raises InvalidQuery: if they would take more.
        """
        name, column = self._join.key, self._join.column
        belonging = self._found(run, result, budget)
        for row in result.rows:
            found = belonging.get(row[column], ())
            if budget is not None:
                budget.take(self._join.table, found)
            own = [self._own(one) for one in found]
            row[name] = own if not self._join.one else own[0] if own else None

    def _found(self, run: Callable[[Operation], Result], result: Result, budget: Budget | None) -> dict[Any, list[Row]]:
        """All rows that belong to some row of ``result``, by the value that they have in common with it."""
        foreign = self._join.foreign_column
        by_value: defaultdict[Any, list[Row]] = defaultdict(list)
        for values in _chunks(row[self._join.column] for row in result.rows):
            select = Select(self._join.table, _with(self._columns, [foreign]), Where(foreign, "in", values))
            for part in [run(select)] if budget is None else budget.portions(run, select):
                _credit(result, part)
                for row in part.rows:
                    by_value[row[foreign]].append(row)
        return by_value

    def _own(self, found: Row) -> Row:
        """A copy, because rows of the result that have a record in common must not share it."""
        own = {name: found[name] for name in self._columns}
        for name in self._documents:
            own[name] = deepcopy(own[name])
        give_as_text([own], self._join.texts)
        return own


def _check(main: TableSchema, other: TableSchema, join: Join) -> None:
    column, foreign = main.column(join.column), other.column(join.foreign_column)
    if not column.kind.comparable or column.kind is not foreign.kind:
        raise InvalidQuery(
            f"{main.name}.{column.name} ({column.kind.name}) cannot be compared with "
            f"{other.name}.{foreign.name} ({foreign.kind.name})"
        )
    if join.key in main.columns:
        raise InvalidQuery(f"the rows of {join.key!r} would hide the column of that name of {main.name!r}")


def _with(columns: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*columns, *more)))


def _chunks(values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """The distinct values but null, as many at a time as a filter takes.

    At least once: whether a caller may read the other table does not depend on the rows of this one.
    """
    distinct = tuple(dict.fromkeys(value for value in values if value is not None))
    for start in range(0, max(1, len(distinct)), MAX_IN):
        yield distinct[start : start + MAX_IN]


def _credit(result: Result, part: Result) -> None:
    """Say of the whole where its parts come from: it is as stale as the stalest of them."""
    result.source = result.source or part.source
    result.unreadable = [*result.unreadable, *part.unreadable]
    result.stale_for = max((age for age in (result.stale_for, part.stale_for) if age is not None), default=None)


def _remove(rows: Iterable[Row], names: Iterable[str]) -> None:
    for row in rows:
        for name in names:
            del row[name]
