"""The answer to an operation."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from database.core.errors import Outcome
from database.core.tables.unreadable import Unreadable

Row = dict[str, Any]
"""A record: column name to str, int, float, bool, None, aware UTC datetime, or JSON value."""


@dataclass(slots=True)
class Result:
    """Rows and what is known about them.

    :ivar rows: the selected or returned rows; for ``Batch`` see ``parts``.
    :ivar count: rows affected by a write; for a select with ``count=True`` the total without limit.
    :ivar source: name of the adapter that answered, set when it was not the primary.
    :ivar stale_for: upper bound, in seconds, on how far the rows may lag behind the primary.
    :ivar returns_rows: for SQL text, whether the statement produces rows at all.
    :ivar parts: the results of a batch's operations, in order.
    :ivar value: what a called function returned.
    :ivar unreadable: the selected or returned rows that hold a value which cannot be read; they are not in ``rows``.
    :ivar stored: of whole rows that a buffered transaction reads, all of them, those that cannot be read among them, in
        the backend's own form, to be compared with later.
    :ivar moments: how many states of the backend the rows may be of; more than one where it took several requests.
    """

    rows: list[Row] = field(default_factory=list)
    count: int | None = None
    source: str | None = None
    stale_for: float | None = None
    outcome: Outcome = Outcome.APPLIED
    returns_rows: bool = True
    parts: Sequence[Result] = ()
    value: Any = None
    unreadable: Sequence[Unreadable] = ()
    stored: Sequence[Mapping[str, Any]] = ()
    moments: int = 1

    @property
    def data(self) -> list[Row]:
        """The rows, under the name that Supabase's client uses."""
        return self.rows

    @property
    def ids(self) -> list[str]:
        """The ids of all rows, those that cannot be read behind the others."""
        return [row["id"] for row in self.rows] + [bad.id for bad in self.unreadable if bad.id is not None]

    @property
    def first(self) -> Row | None:
        """The first row, or None. :raises UnreadableRecord: if the only rows that there are cannot be read."""
        if self.rows:
            return self.rows[0]
        if self.unreadable:
            raise self.unreadable[0].error()
        return None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)
