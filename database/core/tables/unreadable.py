"""Rows that another program wrote with a value that is none of its column's kind.

Such a row costs itself and no other: a result has the rows that can be read, and names the others.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

from database.core.errors import UnreadableRecord
from database.core.tables.schema import TableSchema
from database.core.tables.values import TIMESTAMP

logger = logging.getLogger(__name__)

UNDECODABLE: Final = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)
"""What decoding a value raises that is none of its column's kind."""

_REMEMBERED: Final = 10_000


def _below(_: Any) -> bool:
    return True


def _above(_: Any) -> bool:
    return False


class ForeignValue:
    """A stored value that is none of its column's kind, in the backend's own form, in which it can be given back.

    It is equal to none of its column's values, and has a place among them, so that rows with it can be sorted.

    :ivar wire: as the backend has it.
    :param below: whether it comes before a value of the column, as the backend sorts; True and False for all of them.
    :param rank: its place among others of its kind; by default that of its text.
    """

    __slots__ = ("_below", "_rank", "_text", "wire")

    def __init__(
        self, wire: Any, below: Callable[[Any], bool] | bool = False, rank: tuple[Any, ...] | None = None
    ) -> None:
        self.wire = wire
        self._below = below if callable(below) else (_below if below else _above)
        self._text = repr(wire)
        self._rank = (self._text,) if rank is None else rank

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForeignValue) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __lt__(self, other: Any) -> bool:
        return bool(self._rank < other._rank if isinstance(other, ForeignValue) else self._below(other))

    def __le__(self, other: Any) -> bool:
        return self == other or bool(self < other)

    def __gt__(self, other: Any) -> bool:
        return not self <= other

    def __ge__(self, other: Any) -> bool:
        return not self < other


_SUSPICIOUS: Final = frozenset({ForeignValue, type(None)})


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be shown.

    :ivar id: the record's; None if it was not asked for, or is what cannot be read.
    :ivar column: the first whose value cannot be read.
    :ivar reason: what is wrong with the value, without the value.
    :ivar place: index of the row in the result, good and bad rows counted.
    :ivar values: of the columns that can be read.
    :ivar row: all columns, with a :class:`ForeignValue` for each that cannot be read; empty where nobody needs it.
    """

    table: str
    id: str | None
    column: str
    reason: str
    place: int
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    row: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def error(self) -> UnreadableRecord:
        """The error for who asked for this record alone."""
        return UnreadableRecord(self.table, self.id, self.column, self.reason)

    def shown(self) -> dict[str, str | None]:
        """As answers name it."""
        return {"id": self.id, "column": self.column, "reason": self.reason}


def parted(schema: TableSchema, rows: Iterable[Mapping[str, Any]]) -> tuple[list[Any], list[Unreadable]]:
    """The rows that can be read, and those with a :class:`ForeignValue`, or nothing where something has to be."""
    good: list[Any] = []
    bad: list[Unreadable] = []
    for place, row in enumerate(rows):
        column = _unread(schema, row)
        if column is None:
            good.append(row)
        else:
            values = {name: value for name, value in row.items() if type(value) is not ForeignValue and name != column}
            bad.append(unreadable(schema, column, values, place, row))
    return good, bad


def together(rows: Iterable[dict[str, Any]], bad: Sequence[Unreadable]) -> list[dict[str, Any]]:
    """The rows as :func:`parted` was given them."""
    whole = list(rows)
    for one in bad:
        whole.insert(one.place, dict(one.row))
    return whole


def _unread(schema: TableSchema, row: Mapping[str, Any]) -> str | None:
    """The first column that cannot be read."""
    types = set(map(type, row.values()))
    if types.isdisjoint(_SUSPICIOUS):
        return None
    columns = schema.columns
    return next(
        (
            name
            for name, value in row.items()
            if type(value) is ForeignValue or (value is None and name in columns and not columns[name].nullable)
        ),
        None,
    )


def unreadable(
    schema: TableSchema, column: str, values: Mapping[str, Any], place: int, row: Mapping[str, Any] | None = None
) -> Unreadable:
    """A row that cannot be shown because of ``column``; the log tells of each record once.

    :param values: of the columns that can be read.
    :param row: see :class:`Unreadable`.
    """
    record_id = values.get("id")
    kind = schema.column(column).kind
    what = "timestamp in the years 1 to 9999" if kind is TIMESTAMP else f"value of the kind {kind.name}"
    found = Unreadable(schema.name, record_id, column, f"the stored value is no {what}", place, values, row or {})
    if _is_news((schema.name, record_id, column)):
        logger.error("%s", found.error())
    return found


_told: OrderedDict[tuple[str, str | None, str], None] = OrderedDict()


def _is_news(key: tuple[str, str | None, str]) -> bool:
    if key in _told:
        return False
    _told[key] = None
    if len(_told) > _REMEMBERED:
        with suppress(KeyError):  # another thread was faster
            _told.popitem(last=False)
    return True
