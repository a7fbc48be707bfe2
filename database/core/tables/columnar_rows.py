"""Rows that are kept column by column."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import overload

Columns = dict[str, Sequence[Any]]
"""Column name to its values, one per row."""


class ColumnarRows(Sequence[dict[str, Any]]):
    """Many rows that are made column by column, and are mostly written so, too. Each row is made when it is asked for.

    :ivar columns: at least one, all of one length.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> ColumnarRows: ...

    def __getitem__(self, place: int | slice) -> dict[str, Any] | ColumnarRows:
        if isinstance(place, slice):
            return ColumnarRows({name: values[place] for name, values in self.columns.items()})
        return {name: values[place] for name, values in self.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = tuple(self.columns)
        return (dict(zip(names, values, strict=True)) for values in zip(*self.columns.values(), strict=True))
