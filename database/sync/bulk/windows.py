"""The rows of both sides of a table, in the order of their keys, a few thousand at a time."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from database.core.errors import RequestError
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import address
from database.core.tables.keys import readable_key
from database.core.tables.schema import TableSchema
from database.sync.bulk.side import Addition
from database.sync.bulk.side import BulkSide
from database.sync.chunks import Chunks


@dataclass(frozen=True, slots=True)
class RecordWindow:
    """All records of a table in a range of keys that have a row on either side.

    :ivar rows: of each side, by address, in the order of the keys.
    :ivar texts: the same rows as canonical texts.
    :ivar unreadable: the addresses of rows that cannot be read.
    :ivar addresses: all of these, in the order of the keys.
    :ivar copy: if only one side has rows: all of them, prepared for the other one; None if they are not valid there.
    """

    table: str
    rows: tuple[dict[str, Row], dict[str, Row]]
    texts: tuple[dict[str, str], dict[str, str]]
    unreadable: frozenset[str]
    addresses: Sequence[str]
    copy: Addition | None


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
        self._waiting = [*zip(map(itemgetter(*self._schema.key), found.rows), found.rows, strict=True)]
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


def windows(
    sides: tuple[BulkSide, BulkSide], schema: TableSchema, last: Key | None, chunks: Chunks, epoch: str
) -> Iterator[RecordWindow]:
    """Read the records of a table.

    :param last: the key behind which to begin; None for the first record.
    :param chunks: has the number of rows to read at a time.
    """
    streams = [_Stream(side, schema, last) for side in sides]
    more = True
    while more:
        ends = [end for one in streams if (end := one.fill(chunks.size)) is not None]
        until = min(ends, default=None)
        more = until is not None
        taken = [one.take(until) for one in streams]
        if any(taken):
            yield _window(sides, schema, taken, epoch)


def _window(
    sides: tuple[BulkSide, BulkSide], schema: TableSchema, taken: Sequence[list[tuple[Key, Row | None]]], epoch: str
) -> RecordWindow:
    first, second = ({address(schema, key): row for key, row in rows if row is not None} for rows in taken)
    bad = frozenset(address(schema, key) for rows in taken for key, row in rows if row is None)
    texts = [
        dict(zip(rows, side.texts(schema.name, list(rows.values())), strict=True))
        for side, rows in zip(sides, (first, second), strict=True)
    ]
    addresses, copy = [*first, *second], None
    if bad or (first and second):
        addresses = [address(schema, key) for key in sorted({key for rows in taken for key, _ in rows})]
    if bool(first) != bool(second):
        source, target = (0, sides[1]) if first else (1, sides[0])
        copy = _prepared(target, schema.name, (first or second).values(), texts[source], epoch)
    return RecordWindow(schema.name, (first, second), (texts[0], texts[1]), bad, addresses, copy)


def _prepared(
    target: BulkSide, table: str, rows: Collection[Row], texts: dict[str, str], epoch: str
) -> Addition | None:
    try:
        return target.prepared(target.addition(table, list(rows), texts, epoch))
    except RequestError:
        return None
