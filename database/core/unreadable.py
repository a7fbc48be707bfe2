"""Rows that another program wrote with a value that is none of its column's kind.

Such a row costs itself and no other: a result has the rows that can be read, and names the others.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final

from database.core.errors import UnreadableRecord
from database.core.schema import TableSchema
from database.core.values import TIMESTAMP

logger = logging.getLogger(__name__)

UNDECODABLE: Final = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)
"""What decoding a value raises that is none of its column's kind."""

_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be shown.

    :ivar id: the record's; None if it was not asked for, or is what cannot be read.
    :ivar column: the first whose value cannot be read.
    :ivar reason: what is wrong with the value, without the value.
    :ivar place: index of the row in the result, good and bad rows counted.
    :ivar values: of the columns that can be read.
    """

    table: str
    id: str | None
    column: str
    reason: str
    place: int
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def error(self) -> UnreadableRecord:
        """The error for who asked for this record alone."""
        return UnreadableRecord(self.table, self.id, self.column, self.reason)

    def shown(self) -> dict[str, str | None]:
        """As answers name it."""
        return {"id": self.id, "column": self.column, "reason": self.reason}


def unreadable(schema: TableSchema, column: str, values: Mapping[str, Any], place: int) -> Unreadable:
    """A row that cannot be shown because of ``column``; the log tells of each record once.

    :param values: of the columns that can be read.
    """
    record_id = values.get("id")
    kind = schema.column(column).kind
    what = "timestamp in the years 1 to 9999" if kind is TIMESTAMP else f"value of the kind {kind.name}"
    found = Unreadable(schema.name, record_id, column, f"the stored value is no {what}", place, values)
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
