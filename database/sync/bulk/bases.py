"""The bases that one side stores: for each record the row that both sides agreed on last. Its marks are beside them.

In an epoch that this version has begun, the id of a base begins with a digest of pair, epoch and table, and ends with
the record's address. So a first load adds them in the order of the index, the bases of a range of records are found by
one range of ids, and those of another epoch are never in the way. Epochs of before go on with a digest of all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from itertools import groupby
from operator import itemgetter
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.core.errors import UnreadableRecord
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.core.query.targets import with_values
from database.core.result import Result
from database.core.tables.columnar_rows import ColumnarRows
from database.core.tables.schema import new_id
from database.sync.bulk.marks import Marks
from database.sync.three_way_merge import Base
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import RecordKey

RECORDS: Final = "isthmus_sync_records"

_ORDERED: Final = ".2"
"""The end of the name of an epoch whose ids of bases are in the order of the records."""

_DIGITS: Final = 24
_LONGEST: Final = 255
_PAGE: Final = 1000
_COLUMNS: Final = ("id", "version", "epoch", "row")

_READS: Final = RecordKey("", "reads")
_WRITTEN_FROM: Final = RecordKey("", "written_from")
"""In place of a record's table and address: the rows of the marks. Their number is in place of the generation."""

Faults = dict[str, UnreadableRecord]
"""The errors of unreadable bases, by their ids."""


@dataclass(slots=True)
class Agreed:
    """Records with their new bases, column by column.

    :ivar texts: the agreed rows as canonical texts; None for one that there is not.
    """

    tables: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    generations: list[int] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)

    def add(self, key: RecordKey, base: Base) -> None:
        """Add a record."""
        self.tables.append(key.table)
        self.addresses.append(key.id)
        self.generations.append(base.generation)
        self.texts.append(base.text)


def new_epoch() -> str:
    """The name of a new epoch."""
    return new_id() + _ORDERED


def digest(*parts: str) -> str:
    """A digest of texts, of 64 characters."""
    return hashlib.sha256("".join([f"{len(part)}:{part}" for part in parts]).encode()).hexdigest()


class Bases:
    """The bases of a pair on one side. All calls are made within the caller's unit of work.

    :param text_keys: the synced tables whose rows are in the order of their addresses.
    """

    def __init__(self, adapter: DatabaseAdapter, pair: str, text_keys: Iterable[str]) -> None:
        self._adapter = adapter
        self._pair = pair
        self._text_keys = frozenset(text_keys)
        self._beginnings: dict[tuple[str, str], str] = {}

    def id_of(self, key: RecordKey, epoch: str) -> str:
        """The id of a record's base."""
        return self.ids_of(key.table, (key.id,), epoch)[0]

    def ids_of(self, table: str, addresses: Iterable[str], epoch: str) -> list[str]:
        """The ids of the bases of records of one table."""
        if not epoch.endswith(_ORDERED):
            return [digest(self._pair, table, one) for one in addresses]
        beginning = self._beginning(epoch, table)
        most = _LONGEST - len(beginning)
        return [beginning + one if len(one) <= most else f"{beginning[:-1]}#{digest(one)}" for one in addresses]

    def read(self, ids: Iterable[str], epoch: str, faults: Faults) -> dict[str, Base]:
        """The bases with these ids.

        :param faults: gets the errors of those that cannot be read.
        """
        bases: dict[str, Base] = {}
        for where in with_values(("id",), [list(ids)]):
            bases |= _taken(self._adapter.run(Select(RECORDS, _COLUMNS, where)), epoch, faults)
        return bases

    def of_range(self, table: str, addresses: Sequence[str], epoch: str, faults: Faults) -> dict[str, Base]:
        """The bases of these records, by address, perhaps with others.

        :param addresses: all records from the first to the last one of a range, in the order of their keys.
        """
        beginning = self._beginning(epoch, table)
        if table in self._text_keys and self._are_in_ids(addresses, beginning, epoch):
            found = self._between(beginning + addresses[0], beginning + addresses[-1], epoch, faults)
            return {base_id.removeprefix(beginning): base for base_id, base in found.items()}
        ids = dict(zip(self.ids_of(table, addresses, epoch), addresses, strict=True))
        return {ids[base_id]: base for base_id, base in self.read(ids, epoch, faults).items()}

    def write(self, actions: Sequence[MergeAction], epoch: str, written_from: int) -> None:
        """Store the new bases of these records, and the mark of the read from which they are written."""
        agreed = Agreed()
        for one in actions:
            if one.base is not None:
                agreed.add(one.key, one.base)
        self.replace(agreed, epoch, written_from)
        self.remove([self.id_of(one.key, epoch) for one in actions if one.base is None])

    def replace(self, agreed: Agreed, epoch: str, written_from: int) -> None:
        """The same for records of which none is without a base."""
        agreed.add(_WRITTEN_FROM, Base(written_from, None))
        self._store(agreed, epoch)

    def mark_ids(self, epoch: str) -> tuple[str, str]:
        """The ids under which :meth:`read` finds the marks."""
        return self.id_of(_READS, epoch), self.id_of(_WRITTEN_FROM, epoch)

    def marks(self, epoch: str) -> Marks:
        """The marks. :raises UnreadableRecord: if another program has changed one."""
        ids, faults = self.mark_ids(epoch), Faults()
        found = self.read(ids, epoch, faults)
        for fault in faults.values():
            raise fault
        return marks_of(found, ids)

    def count_read(self, epoch: str) -> int:
        """Count one more read of this side. :returns: its number."""
        number = self.marks(epoch).reads + 1
        counted = Agreed()
        counted.add(_READS, Base(number, None))
        self._store(counted, epoch)
        return number

    def add(self, first: Insert, epoch: str, written_from: int) -> None:
        """Store the first bases of records, and the mark of the read from which they are written.

        :param first: as :meth:`first` makes it.
        :raises ConstraintViolated: if one of them has a base.
        """
        self.write((), epoch, max(written_from, self.marks(epoch).written_from))
        self._adapter.run(first)

    def first(self, table: str, texts: Mapping[str, str], epoch: str) -> Insert:
        """What stores the first bases of records.

        :param texts: the agreed rows, by address.
        """
        number = len(texts)
        agreed = Agreed([table] * number, [*texts], [1] * number, [*texts.values()])
        return Insert(RECORDS, self._rows(agreed, epoch), returning=False, verbatim=True)

    def remove(self, ids: Sequence[str]) -> None:
        """Delete the bases with these ids."""
        for where in with_values(("id",), [ids]):
            self._adapter.run(Delete(RECORDS, where=where))

    def _between(self, first: str, last: str, epoch: str, faults: Faults) -> dict[str, Base]:
        bases: dict[str, Base] = {}
        behind = Where("id", "gte", first)
        while True:
            page = self._adapter.run(Select(RECORDS, _COLUMNS, behind & Where("id", "lte", last), limit=_PAGE))
            bases |= _taken(page, epoch, faults)
            if len(ids := page.ids) < _PAGE:
                return bases
            behind = Where("id", "gt", max(ids))

    @staticmethod
    def _are_in_ids(addresses: Sequence[str], beginning: str, epoch: str) -> bool:
        """Whether the ids of these records' bases end with their addresses."""
        return epoch.endswith(_ORDERED) and 0 < max(map(len, addresses), default=0) <= _LONGEST - len(beginning)

    def _beginning(self, epoch: str, table: str) -> str:
        if (epoch, table) not in self._beginnings:
            self._beginnings[epoch, table] = digest(self._pair, epoch, table)[:_DIGITS] + ":"
        return self._beginnings[epoch, table]

    def _store(self, agreed: Agreed, epoch: str) -> None:
        self._adapter.run(Upsert(RECORDS, self._rows(agreed, epoch), returning=False, verbatim=True))

    def _rows(self, agreed: Agreed, epoch: str) -> ColumnarRows:
        ids: list[str] = []
        for table, members in groupby(zip(agreed.tables, agreed.addresses, strict=True), key=itemgetter(0)):
            ids += self.ids_of(table, [one for _, one in members], epoch)
        return ColumnarRows(
            {
                "id": ids,
                "version": agreed.generations,
                "pair": [self._pair] * len(ids),
                "epoch": [epoch] * len(ids),
                "table_name": agreed.tables,
                "record_id": agreed.addresses,
                "row": agreed.texts,
            }
        )


def _taken(page: Result, epoch: str, faults: Faults) -> dict[str, Base]:
    faults |= {bad.id: bad.error() for bad in page.unreadable if bad.id is not None}
    return {row["id"]: Base(row["version"], row["row"]) for row in page if row["epoch"] == epoch}


def marks_of(found: dict[str, Base], ids: tuple[str, str]) -> Marks:
    """Take the marks out of what was found."""
    reads, written_from = [found.pop(one, None) for one in ids]
    return Marks(reads.generation if reads else 0, written_from.generation if written_from else 0)


def by_table(keys: Iterable[RecordKey]) -> Iterable[tuple[str, list[RecordKey]]]:
    """The records of each table that stand together."""
    for table, members in groupby(keys, key=itemgetter(0)):
        yield table, list(members)
