"""The rows of both sides of a table, in the order of their keys, a few thousand at a time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import address
from database.core.tables.keys import key_of
from database.core.tables.keys import readable_key
from database.core.tables.schema import TableSchema
from database.sync.bulk.side import BulkSide
from database.sync.chunks import Chunks


@dataclass(frozen=True, slots=True)
class RecordWindow:
    """All records of a table in a range of keys that have a row on either side.

    :ivar rows: of each side, by address, in the order of the keys.
    :ivar unreadable: the addresses of rows that cannot be read.
    :ivar addresses: all of these, in the order of the keys.
    """

    table: str
    rows: tuple[dict[str, Row], dict[str, Row]]
    unreadable: frozenset[str]
    addresses: Sequence[str]


class _Stream:
    """The rows of one side; those that are read and not taken wait."""

    def __init__(self, side: BulkSide, schema: TableSchema, last: Key | None) -> None:
        self._side = side
        self._schema = schema
        self._last = last
        self._waiting: list[tuple[Key, Row | None]] = []
        self.ended = False

    def fill(self, limit: int) -> Key | None:
        """Read a page if no row is waiting. :returns: the key up to which all rows are known; None for all."""
        while not self._waiting and not self.ended:
            self._read(limit)
        return None if self.ended else self._last

    def _read(self, limit: int) -> None:
        found = self._side.rows_behind(self._schema.name, self._last, limit)
        key_in = _key_maker(self._schema)
        self._waiting = [(key_in(row), row) for row in found.rows]
        if found.unreadable:
            keys = [readable_key(self._schema, bad.values) for bad in found.unreadable]
            self._waiting += [(key, None) for key in keys if key is not None]
            self._waiting.sort(key=lambda one: one[0])
        # A full page says nothing about the keys after its last one.
        self.ended = len(found.rows) + len(found.unreadable) < limit or not self._waiting
        if self._waiting:
            self._last = self._waiting[-1][0]

    def take(self, last: Key | None) -> list[tuple[Key, Row | None]]:
        """The waiting rows up to a key, or all; None in the place of one that cannot be read."""
        waiting = self._waiting
        if last is None or not waiting or waiting[-1][0] <= last:
            self._waiting = []
            return waiting
        number = next(place for place, (key, _) in enumerate(waiting) if key > last)
        self._waiting = waiting[number:]
        return waiting[:number]

    def read_again(self, last: Key) -> None:
        """Forget the waiting rows, all of which are behind a key, so that they are read again."""
        if self._waiting:
            self._waiting, self._last, self.ended = [], last, False


def windows(
    sides: tuple[BulkSide, BulkSide],
    schema: TableSchema,
    last: Key | None,
    chunks: Chunks,
    outdated: Callable[[], bool],
) -> Iterator[RecordWindow]:
    """Read the records of a table.

    :param last: the key behind which to begin; None for the first record.
    :param chunks: has the number of rows to read at a time.
    :param outdated: asked after each window: whether changes were followed meanwhile. Rows that were read before may
        not be decided on then: of a record that was deleted, nothing else is left.
    """
    streams = [_Stream(side, schema, last) for side in sides]
    more = True
    while more:
        ends = [end for one in streams if (end := one.fill(chunks.size)) is not None]
        until = min(ends, default=None)
        more = until is not None
        taken = [one.take(until) for one in streams]
        if any(taken):
            yield _window(schema, taken)
        if until is not None and outdated():
            for one in streams:
                one.read_again(until)


def _window(schema: TableSchema, taken: Sequence[list[tuple[Key, Row | None]]]) -> RecordWindow:
    first, second = ({address(schema, key): row for key, row in rows if row is not None} for rows in taken)
    bad = frozenset(address(schema, key) for rows in taken for key, row in rows if row is None)
    keys = [key for key, _ in taken[0]]
    if taken[1]:
        keys = sorted({*keys, *(key for key, _ in taken[1])})
    return RecordWindow(schema.name, (first, second), bad, [address(schema, key) for key in keys])


def _key_maker(schema: TableSchema) -> Any:
    return lambda row: key_of(schema, row)
