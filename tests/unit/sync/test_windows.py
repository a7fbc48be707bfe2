"""The rows of both sides in the order of their keys, a few at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database import internal_tables
from database.backends.memory import MemoryAdapter
from database.core.operations import Insert
from database.core.tables.keys import address
from database.core.tables.keys import checked_key
from database.core.tables.keys import key_of
from database.core.tables.schema import Schema
from database.sync.bulk.side import BulkSide
from database.sync.bulk.windows import windows
from database.sync.chunks import Chunks
from database.sync.side import Pair
from tests.contract.tables import metadata

SCHEMA = Schema.of(metadata, internal_tables.metadata)
KEYS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "elements": st.sampled_from([{"symbol": symbol} for symbol in ("Ag", "Au", "b", "é", "\U0001f600", "z")]),
    "lots": st.integers(-12, 12).map(lambda number: {"number": number}),
    "grades": st.tuples(st.sampled_from("ab,"), st.integers(-11, 11)).map(
        lambda parts: {"course": parts[0], "attempt": parts[1]}
    ),
}


@pytest.mark.parametrize("table", KEYS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_each_record_is_in_one_window_and_in_order(table: str, data: st.DataObject) -> None:
    schema = SCHEMA.table(table)
    adapters = MemoryAdapter({}, SCHEMA, "first"), MemoryAdapter({}, SCHEMA, "second")
    held = []
    for adapter in adapters:
        rows = data.draw(st.lists(KEYS[table], unique_by=lambda row: tuple(row.values())))
        if rows:
            adapter.run(Insert(table, [{"name": adapter.name, **row} for row in rows]))
        held.append({key_of(schema, row) for row in rows})
    pair = Pair.of(*adapters, (table,))
    chunks = Chunks(bulk=True)
    chunks.size = data.draw(st.integers(1, 4))
    last = data.draw(st.none() | st.sampled_from(sorted(held[0] | held[1]) or [None]))
    found = list(windows((BulkSide(pair.sides[0]), BulkSide(pair.sides[1])), schema, last, chunks, "epoch"))
    keys = [key for key in sorted(held[0] | held[1]) if last is None or key > last]
    addresses = [one for window in found for one in window.addresses]
    assert addresses == [address(schema, key) for key in keys]
    assert [checked_key(schema, one) for one in addresses] == keys
    for side in (0, 1):
        assert {checked_key(schema, one) for window in found for one in window.rows[side]} == held[side] & set(keys)
    for window in found:
        present = [side for side in (0, 1) if window.rows[side]]
        assert (window.copy is not None) == (len(present) == 1)
        assert window.copy is None or [*window.copy.addresses] == [*window.rows[present[0]]]
    assert all(len(window.addresses) <= 2 * chunks.size for window in found)
