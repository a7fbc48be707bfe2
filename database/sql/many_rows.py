"""Many rows that one call writes, column by column."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from database.core.operations import Record
from database.core.tables.columnar_rows import Columns

Values = Sequence[Any]


@dataclass(frozen=True, slots=True, eq=False)
class ManyRows:
    """Rows of a table in the form that a driver binds.

    :ivar columns: the values of each column, by its name; at least one row of them.
    :ivar text: the same in the form of the database's own way of loading rows; None if it is not made beforehand.
    :ivar source: the rows from which these were made beforehand; None if they were not.
    """

    columns: Columns
    text: Sequence[str] | None = None
    source: Sequence[Record] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def rows(self) -> list[Values]:
        """The rows, one after the other."""
        return list(zip(*self.columns.values(), strict=True))


LoadText = Callable[[Columns], Sequence[str] | None]
"""Makes the text from which a database loads rows; None if their values are of types that need the driver."""
