"""Unreadable rows: another program stored a value that does not have the type of its column.

Such a row does not make the others unavailable: a result contains the readable rows and names the unreadable ones.
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
from database.core.kinds.values import TIMESTAMP
from database.core.tables.keys import address
from database.core.tables.keys import readable_key
from database.core.tables.schema import TableSchema

logger = logging.getLogger(__name__)

UNDECODABLE: Final = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)
"""The exceptions that decoding raises for a value that does not have its column's type."""

_REMEMBERED: Final = 10_000


def _below(_: Any) -> bool:
    return True


def _above(_: Any) -> bool:
    return False


class ForeignValue:
    """A stored value that does not have its column's type, in the backend's own format, so that it can be sent back.

    It differs from every valid value of the column, but can be ordered among them, so that its row can be sorted.

    :ivar wire: the value in the backend's format.
    :param below: whether the backend sorts it before a given valid value; True or False if that holds for all.
    :param rank: the sort key among foreign values; by default the text of the value.
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
    """A row that cannot be returned, because one of its values cannot be read.

    :ivar id: the address of the record; None if it was not selected, or cannot be read itself.
    :ivar column: the first column whose value cannot be read.
    :ivar reason: what is wrong with the value, without the value.
    :ivar place: index of the row in the result, counting readable and unreadable rows.
    :ivar values: the values that can be read, by column.
    :ivar row: all columns, with a :class:`ForeignValue` for each unreadable one; empty if the caller does not need it.
    """

    table: str
    id: str | None
    column: str
    reason: str
    place: int
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    row: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def error(self) -> UnreadableRecord:
        """The error for a request of this record alone."""
        return UnreadableRecord(self.table, self.id, self.column, self.reason)

    def shown(self) -> dict[str, str | None]:
        """The JSON object that describes it in responses."""
        return {"id": self.id, "column": self.column, "reason": self.reason}


def parted(schema: TableSchema, rows: Iterable[Mapping[str, Any]]) -> tuple[list[Any], list[Unreadable]]:
    """Split rows into readable ones and those with a :class:`ForeignValue`, or with null in a required column."""
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
    """Undo :func:`parted`: all rows in their original order."""
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
    """Describe a row whose ``column`` cannot be read, and log it; each record is logged once.

    :param values: the values that can be read, by column.
    :param row: see :class:`Unreadable`.
    """
    key = readable_key(schema, values)
    record_id = None if key is None else address(schema, key)
    kind = schema.column(column).kind
    wanted = "a timestamp in the years 1 to 9999" if kind is TIMESTAMP else f"of type {kind.name}"
    found = Unreadable(schema.name, record_id, column, f"the stored value is not {wanted}", place, values, row or {})
    if _is_first_report((schema.name, record_id, column)):
        logger.error("%s", found.error())
    return found


_reported: OrderedDict[tuple[str, str | None, str], None] = OrderedDict()


def _is_first_report(key: tuple[str, str | None, str]) -> bool:
    if key in _reported:
        return False
    _reported[key] = None
    if len(_reported) > _REMEMBERED:
        with suppress(KeyError):  # another thread was faster
            _reported.popitem(last=False)
    return True
