"""Reads the states of many records on one side: their rows and their bases, table by table."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from itertools import chain
from operator import itemgetter
from typing import TypeVar

from database.adapter.base import DatabaseAdapter
from database.core.errors import UnreadableRecord
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
from database.sync.three_way_merge import Base
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import SideState

Found = TypeVar("Found")


@dataclass(slots=True)
class TableStates:
    """The states of records of one table, by their addresses. A record without a row or a base has none in them.

    :ivar texts: the rows as canonical texts.
    :ivar faults: why the row or the base of a record cannot be read.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    bases: dict[str, Base] = field(default_factory=dict)
    faults: dict[str, UnreadableRecord] = field(default_factory=dict)

    def of(self, address: str) -> SideState:
        """The state of one record."""
        fault = self.faults.get(address) if self.faults else None
        return SideState(self.rows.get(address), self.texts.get(address), self.bases.get(address), fault)


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
        tables = self.of_tables(keys, epoch)
        return {key: tables[key.table].of(key.id) for key in keys}

    def of_tables(self, keys: Iterable[RecordKey], epoch: str) -> dict[str, TableStates]:
        """Read the same, table by table."""
        # The bases are read first: if another process changes a row meanwhile, its base is then the older one.
        addresses: dict[str, list[str]] = {}
        for table, members in by_table(keys):
            addresses.setdefault(table, []).extend([key.id for key in members])
        found = self._with_bases(addresses, epoch)
        for table, states in found.items():
            self._add_rows(table, addresses[table], states)
        return found

    def _with_bases(self, addresses: Mapping[str, Sequence[str]], epoch: str) -> dict[str, TableStates]:
        """The states without the rows; reads the marks, too."""
        faults: Faults = {}
        mark_ids = self._bases.mark_ids(epoch)
        ids = {table: self._bases.ids_of(table, members, epoch) for table, members in addresses.items()}
        bases = self._bases.read([*chain.from_iterable(ids.values()), *mark_ids], epoch, faults)
        self.marks = marks_of(bases, mark_ids)
        return {
            table: TableStates(bases=_named(own, members, bases), faults=_named(own, members, faults))
            for (table, members), own in zip(addresses.items(), ids.values(), strict=True)
        }

    def absent(self, keys: Sequence[RecordKey]) -> set[RecordKey]:
        """The records without a row."""
        found: set[RecordKey] = set()
        for table, members in by_table(sorted(keys)):
            for where in self.selecting(table, [key.id for key in members]):
                result = self._adapter.run(Select(table, self.schemas[table].key, where))
                found |= {RecordKey(table, address) for address in self.addresses(table, result.rows)}
        return set(keys) - found

    def selecting(self, table: str, addresses: Iterable[str]) -> Iterator[Filter]:
        """The filters that together select these records of a table."""
        schema = self.schemas[table]
        return key_filters(schema, [checked_key(schema, one) for one in addresses])

    def _add_rows(self, table: str, addresses: Sequence[str], states: TableStates) -> None:
        for where in self.selecting(table, sorted(addresses)):
            found = self._adapter.run(Select(table, where=where))
            named = [*self.addresses(table, found.rows)]
            states.rows.update(zip(named, found.rows, strict=True))
            states.texts.update(zip(named, self.forms[table].texts(found.rows), strict=True))
            states.faults |= {bad.id: bad.error() for bad in found.unreadable if bad.id is not None}

    def addresses(self, table: str, rows: Iterable[Row]) -> Iterator[str]:
        """The addresses of a table's rows."""
        schema = self.schemas[table]
        return map(itemgetter(*schema.key), rows) if schema.text_key else (address_of(schema, row) for row in rows)


def _named(ids: Sequence[str], addresses: Sequence[str], found: Mapping[str, Found]) -> dict[str, Found]:
    """What was found by the ids of bases, by the addresses of their records."""
    if not found:
        return {}
    return {
        one: value for base_id, one in zip(ids, addresses, strict=True) if (value := found.get(base_id)) is not None
    }
