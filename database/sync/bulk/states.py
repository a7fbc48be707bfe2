"""Reads the states of many records on one side: their rows and their bases."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import repeat
from operator import itemgetter
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.core.operations import Select
from database.core.query.filters import Filter
from database.core.query.targets import key_filters
from database.core.result import Row
from database.core.tables.keys import address_of
from database.core.tables.keys import checked_key
from database.core.tables.schema import TableSchema
from database.sync.bulk.bases import Bases
from database.sync.bulk.bases import Faults
from database.sync.bulk.bases import by_table
from database.sync.bulk.bases import marks_of
from database.sync.bulk.marks import Marks
from database.sync.canonical_rows import CanonicalRows
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import SideState

_NO_ROW: Final[tuple[Row | None, str | None]] = (None, None)


class States:
    """The states of the records on one side. All calls are made within the caller's unit of work.

    :ivar schemas: the synced tables, by name.
    :ivar forms: makes the canonical texts of their rows.
    :ivar marks: the side's marks, as they were read with the last states, or alone since.
    """

    def __init__(self, adapter: DatabaseAdapter, tables: Iterable[str], bases: Bases) -> None:
        self._adapter = adapter
        self._bases = bases
        self.schemas: Mapping[str, TableSchema] = {table: adapter.schema.table(table) for table in tables}
        self.marks = Marks()
        self.forms: Mapping[str, CanonicalRows] = {name: CanonicalRows(table) for name, table in self.schemas.items()}

    def read(self, keys: Sequence[RecordKey], epoch: str) -> dict[RecordKey, SideState]:
        """Read the states of these records; bases of other epochs are ignored."""
        # The bases are read first: if another process changes a row meanwhile, its base is then the older one.
        faults: Faults = {}
        ids: dict[RecordKey, str] = {}
        for table, members in by_table(keys):
            ids |= zip(members, self._bases.ids_of(table, [key.id for key in members], epoch), strict=True)
        mark_ids = self._bases.mark_ids(epoch)
        bases = self._bases.read([*ids.values(), *mark_ids], epoch, faults)
        self.marks = marks_of(bases, mark_ids)
        rows = self._rows(keys, faults)
        states = {}
        for key, base_id in ids.items():
            row, text = rows.get(key, _NO_ROW)
            fault = (faults.get(key) or faults.get(base_id)) if faults else None
            states[key] = SideState(row, text, bases.get(base_id), fault)
        return states

    def absent(self, keys: Sequence[RecordKey]) -> set[RecordKey]:
        """The records without a row."""
        found: set[RecordKey] = set()
        for table, members in by_table(sorted(keys)):
            for where in self.selecting(table, members):
                result = self._adapter.run(Select(table, self.schemas[table].key, where))
                found |= {RecordKey(table, address) for address in self.addresses(table, result.rows)}
        return set(keys) - found

    def selecting(self, table: str, keys: Iterable[RecordKey]) -> Iterator[Filter]:
        """The filters that together select these records of a table."""
        schema = self.schemas[table]
        return key_filters(schema, [checked_key(schema, key.id) for key in keys])

    def _rows(self, keys: Sequence[RecordKey], faults: Faults) -> dict[tuple[str, str], tuple[Row, str]]:
        """The rows of these records, with their texts."""
        rows: dict[tuple[str, str], tuple[Row, str]] = {}
        for table, members in by_table(sorted(keys)):
            for where in self.selecting(table, members):
                found = self._adapter.run(Select(table, where=where))
                named = zip(repeat(table), self.addresses(table, found.rows), strict=False)
                with_texts = zip(found.rows, self.forms[table].texts(found.rows), strict=True)
                rows |= zip(named, with_texts, strict=True)
                faults |= {RecordKey(table, bad.id): bad.error() for bad in found.unreadable if bad.id is not None}
        return rows

    def addresses(self, table: str, rows: Iterable[Row]) -> Iterator[str]:
        """The addresses of a table's rows."""
        schema = self.schemas[table]
        return map(itemgetter(*schema.key), rows) if schema.text_key else (address_of(schema, row) for row in rows)
