"""The rows that resolve conflicts."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import Final

from database.core.clock import LEAP
from database.core.clock import utc_now
from database.core.errors import InvalidQuery
from database.core.kinds.calendar import LocalTimestamp
from database.core.kinds.calendar import clock
from database.core.kinds.values import Timestamp
from database.core.result import Row
from database.core.tables.keys import address_of
from database.core.tables.keys import checked_key
from database.core.tables.keys import parts_of
from database.core.tables.rows import complete_row
from database.core.tables.schema import TableSchema
from database.sync.canonical_rows import CanonicalRows
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import RecordState

_CHANGED_AT: Final = "changed_at"
_TIMES: Final = (Timestamp, LocalTimestamp)
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


def row_of(table: TableSchema, record_id: str, made: Mapping[str, Any] | None, who: str) -> Row | None:
    """The row that somebody has made for a record, completed. :raises InvalidQuery: if it is not one of the record.

    :param who: has made it, in messages.
    """
    if made is None:
        return None
    parts = zip(table.key, parts_of(table, checked_key(table, record_id)), strict=True)
    row = complete_row(table, {**dict(parts), **made}, utc_now())
    if address_of(table, row) != record_id:
        raise InvalidQuery(f"{who} must not change the key of the row")
    return row


def above_replaced(table: TableSchema, form: CanonicalRows, state: RecordState, row: Row | None) -> Row | None:
    """The row with a version above those of the rows that it replaces, and a time that is not before theirs.

    Without a version, the time is after theirs.
    """
    if row is None:
        return None
    row = _not_before(table, row, _replaced(form, state, row))
    if table.versioned:
        # By its time, the row may have become another one than that of either side.
        highest = max((one["version"] for one in _replaced(form, state, row)), default=0)
        row = row if row["version"] > highest else row | {"version": highest + 1}
    return row


def _replaced(form: CanonicalRows, state: RecordState, row: Row) -> list[Row]:
    text = form.text(row)
    return [held.row for side in SIDES if (held := state.of(side)).row and held.text != text]


def _not_before(table: TableSchema, row: Row, replaced: Iterable[Row]) -> Row:
    if "updated_at" not in table.managed:
        return row
    believed = utc_now() + LEAP
    times = [one["updated_at"] for one in replaced if _BEGINNING < stamp(table, one) <= believed]
    if not times:
        return row
    last, own = max(times), stamp(table, row)
    if own <= believed and (own > _in_utc(last) or (table.versioned and own == _in_utc(last))):
        return row
    kind = table.columns["updated_at"].kind
    return row | {"updated_at": last if table.versioned else clock(kind, _in_utc(last) + timedelta(microseconds=1))}


def stamp(table: TableSchema, row: Row) -> datetime:
    """When a row was changed, as far as the table says it: otherwise the beginning of time."""
    name = _time_column(table)
    time: datetime | None = None if name is None else row[name]
    return _BEGINNING if time is None else _in_utc(time)


def check_time_column(table: TableSchema) -> None:
    """Refuse a column of times that is none, or is not needed. :raises ValueError: names it."""
    name = table.source.info.get(_CHANGED_AT)
    if name is None:
        return
    where = f'info["{_CHANGED_AT}"] of table {table.name}'
    if "updated_at" in table.managed:
        raise ValueError(f"{where} is not used, because the table has updated_at; leave it out")
    if name not in table.columns or not isinstance(table.columns[name].kind, _TIMES):
        raise ValueError(f"{where} names {name!r}, which is no column of times")


def _time_column(table: TableSchema) -> str | None:
    """The column with the time of the last change; None if the table has none."""
    return "updated_at" if "updated_at" in table.managed else table.source.info.get(_CHANGED_AT)


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
