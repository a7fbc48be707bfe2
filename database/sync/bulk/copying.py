"""Copies what one side has changed to the other one, many records at a time.

That is all there is to do for a record if the other side has the row that both agreed on last, or if both never agreed
on any and only one has a row. If anything else has to be done for one of the records, nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from database.core.errors import RequestError
from database.core.result import Row
from database.resilience.repetition import repeated
from database.sync.bulk.bases import Agreed
from database.sync.bulk.bases import by_table
from database.sync.bulk.marks import seemingly_restored
from database.sync.bulk.read_ahead import read_meanwhile
from database.sync.bulk.states import TableStates
from database.sync.chunks import FIRST
from database.sync.chunks import Chunks
from database.sync.progress import Progress
from database.sync.side import ATTEMPTS_TOGETHER
from database.sync.side import Side
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import SideName
from database.sync.three_way_merge import newest_base
from database.sync.three_way_merge import next_generation
from database.unit_of_work import apart

ByTable = Mapping[str, TableStates]
"""The states of records on one side."""


class NotSimple(Exception):
    """Records need more than changes that are copied from one side to the other."""


@dataclass(slots=True)
class PlannedCopies:
    """Rows that are to be written on one side.

    :ivar written: by table; for each record its address, the row that is there, and the new one.
    :ivar agreed: their new bases.
    """

    written: dict[str, list[tuple[str, Row | None, Row]]] = field(default_factory=dict)
    agreed: Agreed = field(default_factory=Agreed)

    def add(self, table: str, addresses: Sequence[str], changed: TableStates, present: TableStates) -> None:
        """Decide about records of one table. :raises NotSimple: if one of them needs more than a copy."""
        if changed.faults or present.faults:
            raise NotSimple
        written, agreed = [], self.agreed
        for one in addresses:
            text, old = changed.texts.get(one), present.texts.get(one)
            bases = changed.bases.get(one), present.bases.get(one)
            base = newest_base(*bases)
            last = None if base is None else base.text
            if text is None or old != last or (base is None and any(bases)):
                raise NotSimple
            if text == old:
                continue
            written.append((one, present.rows.get(one), changed.rows[one]))
            agreed.tables.append(table)
            agreed.addresses.append(one)
            agreed.generations.append(next_generation(*bases))
            agreed.texts.append(text)
        if written:
            self.written.setdefault(table, []).extend(written)


class Copying:
    """Copies changes between two sides.

    :param chunks: is told how large the rows were.
    """

    def __init__(self, sides: tuple[Side, Side], chunks: Chunks, progress: Progress) -> None:
        self._sides = sides
        self._chunks = chunks
        self._progress = progress

    def carry_out(self, source: SideName, keys: Sequence[RecordKey], epoch: str) -> int | None:
        """Copy changes of one side to the other one, which is read in the transaction that writes it, and only there.

        :param keys: of changed records, parents first.
        :returns: the number of copied records; None if they need more than that. Then nothing was written.
        :raises BackendError: if a side does not respond.
        """
        given, target = self._sides if source == "first" else reversed(self._sides)

        def copy() -> tuple[PlannedCopies, list[str]]:
            with target.adapter.transaction(reads=True):
                present = target.records.of_tables(keys, epoch)
                copies = self._decided(keys, changed(), present)
                return copies, self._write(copies, given, target, epoch) if copies.written else []

        try:
            with read_meanwhile(lambda: given.table_states(keys, epoch), large=len(keys) > FIRST) as changed, apart():
                copies, as_sent = repeated(copy, ATTEMPTS_TOGETHER)
        except (NotSimple, RequestError):
            return None
        for table in as_sent:
            target.echoes.expect_written(table, copies.written[table])
        self._count(keys, copies, target)
        return sum(map(len, copies.written.values()))

    def _decided(self, keys: Sequence[RecordKey], changed: ByTable, present: ByTable) -> PlannedCopies:
        """What is to be copied. :raises NotSimple: if that is not all."""
        if seemingly_restored(self._sides):
            raise NotSimple
        copies, characters = PlannedCopies(), 0
        for table, members in by_table(keys):
            copies.add(table, [key.id for key in members], changed[table], present[table])
            characters += sum(sum(map(len, one[table].texts.values())) for one in (changed, present))
        self._chunks.note(len(keys), characters)
        return copies

    @staticmethod
    def _write(copies: PlannedCopies, given: Side, target: Side, epoch: str) -> list[str]:
        """Write rows and bases. :returns: the tables whose rows are certainly stored as they were sent."""
        # The transaction has read only, so it holds no lock that another process may wait for.
        written_from = max(given.count_read(epoch), target.marks.written_from)
        rows = {table: [row for _, _, row in written] for table, written in copies.written.items()}
        as_sent = [table for table, members in rows.items() if target.write_rows(table, members)]
        target.bases.replace(copies.agreed, epoch, written_from)
        return as_sent

    def _count(self, keys: Sequence[RecordKey], copies: PlannedCopies, target: Side) -> None:
        self._progress.count_compared(keys)
        for table, rows in copies.written.items():
            self._progress.count(table, f"copied_to_{target.name}", len(rows))
