"""What sync reads and writes of one side in bulk: rows in the order of their keys, and new records."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

from database.core.operations import Insert
from database.core.operations import Select
from database.core.query.filters import after
from database.core.result import Result
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import parts_of
from database.resilience.repetition import repeated
from database.sync.bulk.bases import Faults
from database.sync.side import ATTEMPTS_TOGETHER
from database.sync.side import Side
from database.sync.three_way_merge import Base
from database.unit_of_work import apart


@dataclass(frozen=True, slots=True)
class Addition:
    """New records of a table for one side.

    :ivar addresses: of all of them.
    :ivar rows: inserts them; None if the side has them.
    :ivar bases: inserts their first bases, of this epoch.
    """

    table: str
    addresses: Collection[str]
    epoch: str
    rows: Insert | None
    bases: Insert


class BulkSide:
    """One side. All calls are made as the application itself and outside of the caller's unit of work.

    :ivar side: the same side, record by record.
    :ivar sends_at_once: whether a transaction is one request, whose size is limited.
    """

    def __init__(self, side: Side) -> None:
        self.name = side.name
        # A backend that checks constraints at the commit only receives a transaction as one request.
        self.sends_at_once = not side.adapter.capabilities.immediate_constraints
        self.side = side
        self._adapter = side.adapter

    def rows_behind(self, table: str, last: Key | None, limit: int) -> Result:
        """Read the whole rows after a key, sorted by key, and those that cannot be read."""
        schema = self.side.schemas[table]
        where = None if last is None else after((), parts_of(schema, last), schema.key)
        with apart():
            return self._adapter.run(Select(table, None, where, limit=limit))

    def texts(self, table: str, rows: Sequence[Row]) -> list[str]:
        """The rows as canonical texts."""
        return self.side.forms[table].texts(rows)

    def bases(self, table: str, addresses: Sequence[str], epoch: str, faults: Faults) -> dict[str, Base]:
        """The bases of all records of a range, by address.

        :param faults: gets the errors of those that cannot be read.
        """
        with apart():
            return self.side.bases.of_range(table, addresses, epoch, faults)

    def addition(self, table: str, rows: Sequence[Row], texts: Mapping[str, str], epoch: str) -> Addition:
        """New records of a table for this side.

        :param rows: none to store only the bases.
        :param texts: the rows, by address.
        """
        insert = Insert(table, rows, returning=False, verbatim=True) if rows else None
        return Addition(table, texts.keys(), epoch, insert, self.side.bases.first(table, texts, epoch))

    def prepared(self, addition: Addition) -> Addition:
        """The same, of which as much is done as needs no connection. :raises RequestError: if a row is not valid."""
        prepared = self._adapter.prepared
        rows = None if addition.rows is None else prepared(addition.rows)
        return replace(addition, rows=rows, bases=prepared(addition.bases))

    def add(self, addition: Addition, written_from: int) -> None:
        """Insert records, which must have neither a row nor a base here, with their first bases, in one transaction.

        :param written_from: the number of the read of the other side from which they come.
        :raises RequestError: if the database refuses any of them; then nothing is stored.
        """
        with apart():
            as_sent = repeated(lambda: self._add(addition, written_from), ATTEMPTS_TOGETHER)
        if as_sent:
            self.side.echoes.expect("insert", addition.table, addition.addresses)

    def _add(self, addition: Addition, written_from: int) -> bool:
        with self._adapter.transaction():
            as_sent = addition.rows is not None and self._adapter.run(addition.rows).as_sent
            self.side.bases.add(addition.bases, addition.epoch, written_from)
        return as_sent
