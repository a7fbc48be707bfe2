"""Both sides of a table, read in the order of their keys and compared as canonical text, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from typing import Final

import orjson

from database.core.operations import Select
from database.core.query.filters import after
from database.core.result import Result
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import address
from database.core.tables.keys import checked_key
from database.core.tables.keys import key_of
from database.core.tables.keys import parts_of
from database.core.tables.keys import readable_key
from database.internal_tables import ENTRIES
from database.internal_tables import ENTRY_HEADS
from database.sync.canonical_rows import CanonicalRows
from database.sync.side import Pair
from database.sync.side import Side
from database.unit_of_work import apart

PAGE: Final = 1000
"""The most rows of one side that are read at a time."""

_WITH_BODIES: Final = 50
"""The same of entries of stores, whose bodies may be large."""


@dataclass(frozen=True, slots=True)
class ComparedPage:
    """What a page of both sides says.

    :ivar records: the number of compared records.
    :ivar doubtful: the addresses of those that are not equal, or that cannot be read.
    :ivar nameless: why each row cannot be read whose key cannot be read either.
    :ivar last: the address after which the next page begins; None after the last page.
    """

    records: int
    doubtful: tuple[str, ...]
    nameless: tuple[str, ...]
    last: str | None


class SidePage:
    """The rows of one side: their texts by key, and the keys of those that cannot be read.

    :param columns: those that the texts have; by default all.
    """

    def __init__(
        self, side: Side, table: str, last: Key | None, limit: int, columns: tuple[str, ...] | None = None
    ) -> None:
        schema = side.adapter.schema.table(table)
        if table == ENTRIES and columns is None:
            limit = min(limit, _WITH_BODIES)
        found = _read(side, table, last, limit, columns)
        text = CanonicalRows(schema).text if columns is None else _text
        self.texts = {key_of(schema, row): text(row) for row in found.rows}
        keys = [(readable_key(schema, bad.values), bad) for bad in found.unreadable]
        self.unreadable = {key for key, _ in keys if key is not None}
        self.nameless = [str(bad.error()) for key, bad in keys if key is None]
        full = len(found.rows) + len(found.unreadable) == limit
        self.end = max((*self.texts, *self.unreadable), default=None) if full else None


def compared_page(
    pair: Pair, table: str, behind: str | None, limit: int = PAGE, *, quick: bool = False
) -> ComparedPage:
    """Compare the records of both sides after an address.

    :param behind: None to begin with the first record.
    :param quick: whether the bodies of stores' entries are left out.
    """
    schema = pair.sides[0].adapter.schema.table(table)
    last = None if behind is None else checked_key(schema, behind)
    columns = ENTRY_HEADS if quick and table == ENTRIES else None
    first, second = (SidePage(side, table, last, limit, columns) for side in pair.sides)
    # A full page says nothing about the keys after its last one.
    end = min((part.end for part in (first, second) if part.end is not None), default=None)
    found = {*first.texts, *second.texts, *first.unreadable, *second.unreadable}
    keys = sorted(key for key in found if end is None or key <= end)
    bad = first.unreadable | second.unreadable
    doubtful = [key for key in keys if key in bad or first.texts.get(key) != second.texts.get(key)]
    return ComparedPage(
        len(keys),
        tuple(address(schema, key) for key in doubtful),
        (*first.nameless, *second.nameless),
        None if end is None else address(schema, end),
    )


def different_columns(one: str, other: str) -> Iterator[str]:
    """The columns in which two canonical texts of rows differ."""
    rows: list[dict[str, Any]] = [orjson.loads(text) for text in (one, other)]
    for name, value in rows[0].items():
        # 1 and true are equal in Python.
        if orjson.dumps(value) != orjson.dumps(rows[1].get(name)):
            yield name


def _text(row: Row) -> str:
    """Some columns of a row as text, the same on every backend: those of entries are text, integers and times."""
    return repr(sorted(row.items()))


def _read(side: Side, table: str, last: Key | None, limit: int, columns: tuple[str, ...] | None) -> Result:
    """The rows after a key, sorted by key; those that cannot be read, too."""
    schema = side.adapter.schema.table(table)
    where = None if last is None else after((), parts_of(schema, last), schema.key)
    with apart():
        return side.adapter.run(Select(table, columns, where, limit=limit))
