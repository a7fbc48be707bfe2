"""The result of an operation."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from database.core.errors import NotFound
from database.core.errors import SeveralRows
from database.core.tables.keys import address_of
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import Unreadable

Row = dict[str, Any]
"""A record: column name to str, int, float, bool, None, aware UTC datetime, or JSON value."""


@dataclass(slots=True)
class Result:
    """The rows of an operation, and facts about them.

    :ivar rows: the selected or returned rows; for ``Batch`` see ``parts``.
    :ivar count: rows affected by a write; for a select with ``count=True`` the total without limit.
    :ivar source: the name of the fallback database that answered; None if the primary did.
    :ivar stale_for: with ``source``, an upper bound in seconds on how far the rows may lag behind the primary.
    :ivar returns_rows: for SQL text, whether the statement produces rows at all.
    :ivar parts: the results of a batch's operations, in order.
    :ivar value: the return value of a called function.
    :ivar unreadable: the selected or returned rows that hold a value which cannot be read; they are not in ``rows``.
    :ivar stored: for whole rows read by a buffered transaction, every row, readable or not, in the backend's own
        format; the commit compares them with the rows of that moment.
    :ivar moments: how many snapshots of the backend the rows may come from: more than 1 if the read took several
        requests.
    :ivar as_sent: whether all rows of a verbatim write are stored as they were sent, with no other effect.
    :ivar table: the table of the rows, if its key is not a text ``id``.
    """

    rows: list[Row] = field(default_factory=list)
    count: int | None = None
    source: str | None = None
    stale_for: float | None = None
    returns_rows: bool = True
    parts: Sequence[Result] = ()
    value: Any = None
    unreadable: Sequence[Unreadable] = ()
    stored: Sequence[Mapping[str, Any]] = ()
    moments: int = 1
    as_sent: bool = False
    table: TableSchema | None = field(default=None, compare=False, repr=False)

    @property
    def data(self) -> Any:
        """The rows, under the name that Supabase's client uses; of a :class:`SingleResult` the row."""
        return self.rows

    @property
    def ids(self) -> list[str]:
        """The addresses of all rows, which are their ids in most tables: first the readable ones, then the others."""
        table = self.table
        readable = [row["id"] if table is None else address_of(table, row) for row in self.rows]
        return readable + [bad.id for bad in self.unreadable if bad.id is not None]

    @property
    def first(self) -> Row | None:
        """The first row, or None. :raises UnreadableRecord: if there are rows, but none that can be read."""
        if self.rows:
            return self.rows[0]
        if self.unreadable:
            raise self.unreadable[0].error()
        return None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class SingleResult(Result):
    """The result of a query for one row at most."""

    __slots__ = ()

    @classmethod
    def of(cls, result: Result, table: str, *, required: bool) -> SingleResult:
        """The same result, if it has no more rows than it may have.

        :param required: whether it must have a row.
        :raises NotFound: if it has none and must.
        :raises SeveralRows: if it has more than one.
        :raises UnreadableRecord: if its row cannot be read.
        """
        found = len(result.rows) + len(result.unreadable)
        if found > 1:
            raise SeveralRows(f"the query of table {table!r} selects several rows, but must select one")
        single = cls(result.rows, result.count, result.source, result.stale_for, unreadable=result.unreadable)
        single.table = result.table
        if single.data is None and required:
            raise NotFound(f"the query of table {table!r} selects no row, but must select one")
        return single

    @property
    def data(self) -> Row | None:
        """The row, or None."""
        return self.first
