"""How many records are read and written together."""

from __future__ import annotations

from database.sync.chunks import CHARACTERS
from database.sync.chunks import FIRST
from database.sync.chunks import LARGEST
from database.sync.chunks import Chunks


def test_chunks_of_small_rows_grow_to_the_largest() -> None:
    chunks, sizes = Chunks(bulk=True), []
    for chunk in chunks.of(range(5_000)):
        sizes.append(len(chunk))
        chunks.note(len(chunk), 100 * len(chunk))
    assert sizes[:4] == [FIRST, 400, LARGEST, LARGEST]
    assert sum(sizes) == 5_000


def test_where_a_transaction_is_one_request_they_do_not_grow() -> None:
    chunks = Chunks(bulk=False)
    chunks.note(FIRST, 0)
    assert chunks.size == FIRST


def test_large_rows_make_them_shrink_and_small_ones_grow_again() -> None:
    chunks = Chunks(bulk=True)
    chunks.note(FIRST, FIRST * CHARACTERS // 10)
    assert chunks.size == 10
    chunks.note(10, 10 * CHARACTERS * 2)
    assert chunks.size == 1
    chunks.note(1, 0)
    assert chunks.size == 4
