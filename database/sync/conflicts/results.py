"""The rows that resolve conflicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from database.core.clock import utc_now
from database.core.errors import InvalidQuery
from database.core.result import Row
from database.core.tables.keys import address_of
from database.core.tables.keys import checked_key
from database.core.tables.keys import parts_of
from database.core.tables.rows import complete_row
from database.core.tables.schema import TableSchema
from database.sync.canonical_rows import CanonicalRows
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import RecordState


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


def with_new_version(table: TableSchema, form: CanonicalRows, state: RecordState, row: Row | None) -> Row | None:
    """The row with a version above those of the rows that it replaces."""
    if row is None or not table.versioned:
        return row
    text = form.text(row)
    replaced = [held.row["version"] for side in SIDES if (held := state.of(side)).row and held.text != text]
    highest = max(replaced, default=0)
    return row if row["version"] > highest else row | {"version": highest + 1}
