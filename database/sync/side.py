"""One of the two databases: what it holds of records, and steps carried out on it.

Everything runs as the application itself, and in transactions of its own, whoever calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from typing import Final

from database.adapters.base import DatabaseAdapter
from database.changes.feed import Changes
from database.core.context import as_application
from database.core.context import on_its_own
from database.core.errors import Conflict
from database.core.errors import UnreadableRecord
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Record
from database.core.operations import Select
from database.core.operations import Upsert
from database.core.query import Filter
from database.core.query import Where
from database.core.result import Row
from database.resilience.repetition import repeated
from database.sync.decision import Base
from database.sync.decision import Held
from database.sync.decision import Key
from database.sync.decision import SideName
from database.sync.decision import Step
from database.sync.journal import conflict_row
from database.sync.rows import RowForm

RECORDS: Final = "isthmus_sync_records"
CONFLICTS: Final = "isthmus_sync_conflicts"

Faults = dict[Key | str, UnreadableRecord]
"""Why rows cannot be read: a record's by its key, a base's by its id."""


class Side:
    """A database that is kept equal with another one.

    :param pair: names the two, on both sides alike.
    :param tables: those that are kept equal, parents first.
    """

    def __init__(self, name: SideName, adapter: DatabaseAdapter, pair: str, tables: Sequence[str]) -> None:
        self.name = name
        self.adapter = adapter
        self._pair = pair
        self._places = {table: place for place, table in enumerate(tables)}
        self._forms = {table: RowForm(adapter.schema.table(table)) for table in tables}

    def __repr__(self) -> str:
        return f"<Side {self.name}: {self.adapter.name}>"

    def changes(self, cursor: str | None, limit: int) -> Changes:
        """The committed changes behind a cursor; None for the present end."""
        with apart():
            return self.adapter.changes(cursor, limit)

    def page(
        self, table: str, where: Filter | None, last: str, limit: int, columns: tuple[str, ...] | None = None
    ) -> tuple[list[Row], str | None]:
        """Rows behind an id, in the order of their ids, and the last id if more may follow.

        What cannot be read is not among the rows, and hides none of those that follow.
        """
        behind = Where("id", "gt", last)
        with apart():
            found = self.adapter.run(Select(table, columns, behind if where is None else where & behind, limit=limit))
        full = len(found.rows) + len(found.unreadable) == limit
        return found.rows, max(found.ids, default=None) if full else None

    def held(self, keys: Iterable[Key], session: str) -> dict[Key, Held]:
        """What it holds of these records.

        :param session: whose bases count; those of another one are not known.
        """
        with apart():
            return self._held(list(keys), session)

    def apply(self, steps: Sequence[Step], session: str) -> None:
        """Carry out the steps, all or none.

        :raises Conflict: if a record is not as it was found any more.
        :raises RequestError: if the database does not take one of the rows.
        """
        with apart():
            repeated(lambda: self._apply(steps, session))

    def row(self, table: str, row_id: str) -> Row | None:
        """One row by its id."""
        with apart():
            return self.adapter.run(Get(table, row_id)).first

    def replace(self, table: str, known: Record | None, row: Record) -> None:
        """Write a row of sync's own verbatim.

        :param known: what the present row has to say; None if there must be none.
        :raises Conflict: if it says something else.
        """
        with apart():
            repeated(lambda: self._replace(table, known, row))

    def store(self, table: str, rows: Sequence[Record]) -> None:
        """Write rows of sync's own."""
        with apart():
            self.adapter.run(Upsert(table, rows, returning=False))

    def remove(self, table: str, ids: Sequence[str]) -> None:
        """Delete rows of sync's own."""
        with apart():
            self.adapter.run(Delete(table, where=Where("id", "in", ids)))

    def record_id(self, key: Key) -> str:
        """The id under which sync remembers a record."""
        parts = [self._pair, *key]
        return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()

    def _apply(self, steps: Sequence[Step], session: str) -> None:
        with self.adapter.transaction():
            held = self._held([step.key for step in steps], session)
            if not all(held[step.key].same_as(step.found) for step in steps):
                raise Conflict("the record has changed", backend=self.adapter.name)
            self._write_rows([step for step in steps if step.writes])
            self._write_bases(steps, session)
            if entries := [conflict_row(self._pair, step.conflict) for step in steps if step.conflict]:
                self.adapter.run(Insert(CONFLICTS, entries, returning=False))

    def _replace(self, table: str, known: Record | None, row: Record) -> None:
        with self.adapter.transaction():
            present = self.adapter.run(Get(table, row["id"])).first
            shown = None if present is None or known is None else {name: present[name] for name in known}
            if (present is None) != (known is None) or shown != known:
                raise Conflict("another process has gone on with the sync", backend=self.adapter.name)
            self.adapter.run(Upsert(table, [row], returning=False, verbatim=True))

    def _held(self, keys: list[Key], session: str) -> dict[Key, Held]:
        # The bases first: of a row that another process changes meanwhile, the base is then the older one.
        faults: Faults = {}
        bases = self._bases(keys, session, faults)
        rows = self._rows(keys, faults)
        return {
            key: Held(
                rows.get(key),
                self._forms[key.table].text(rows.get(key)),
                bases.get(self.record_id(key)),
                faults.get(key) or faults.get(self.record_id(key)),
            )
            for key in keys
        }

    def _bases(self, keys: list[Key], session: str, faults: Faults) -> dict[str, Base]:
        ids = [self.record_id(key) for key in keys]
        found = self.adapter.run(Select(RECORDS, where=Where("id", "in", ids)))
        faults |= {bad.id: bad.error() for bad in found.unreadable if bad.id is not None}
        return {row["id"]: Base(row["version"], row["row"]) for row in found if row["session"] == session}

    def _rows(self, keys: list[Key], faults: Faults) -> dict[Key, Row]:
        rows: dict[Key, Row] = {}
        for table, members in _by_table(sorted(keys)):
            ids = [key.id for key in members]
            found = self.adapter.run(Select(table, where=Where("id", "in", ids)))
            rows |= {Key(table, row["id"]): row for row in found}
            faults |= {Key(table, bad.id): bad.error() for bad in found.unreadable if bad.id is not None}
        return rows

    def _write_rows(self, steps: Sequence[Step]) -> None:
        ordered = sorted(steps, key=lambda step: self._places[step.key.table])
        written = {step.key: step.row for step in ordered if step.row is not None}
        for table, keys in _by_table(written):
            rows = [row for key in keys if (row := written[key])]
            self.adapter.run(Upsert(table, rows, returning=False, verbatim=True))
        for table, keys in _by_table(step.key for step in reversed(ordered) if step.deletes):
            self.adapter.run(Delete(table, where=Where("id", "in", [key.id for key in keys])))

    def _write_bases(self, steps: Sequence[Step], session: str) -> None:
        rows = [self._base_row(step.key, step.base, session) for step in steps if step.base is not None]
        if rows:
            self.adapter.run(Upsert(RECORDS, rows, returning=False, verbatim=True))
        if gone := [self.record_id(step.key) for step in steps if step.base is None]:
            self.adapter.run(Delete(RECORDS, where=Where("id", "in", gone)))

    def _base_row(self, key: Key, base: Base, session: str) -> Mapping[str, Any]:
        return {
            "id": self.record_id(key),
            "version": base.generation,
            "pair": self._pair,
            "session": session,
            "table_name": key.table,
            "record_id": key.id,
            "row": base.text,
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """Two databases that are kept equal.

    :ivar name: the same wherever they are kept equal.
    :ivar tables: those that are, parents first.
    """

    name: str
    tables: tuple[str, ...]
    sides: tuple[Side, Side]

    @classmethod
    def of(cls, supabase: DatabaseAdapter, convex: DatabaseAdapter, tables: tuple[str, ...]) -> Pair:
        """The pair of two adapters, named after theirs."""
        name = f"{supabase.name}:{convex.name}"
        sides = (Side("supabase", supabase, name, tables), Side("convex", convex, name, tables))
        return cls(name, tables, sides)


@contextmanager
def apart() -> Iterator[None]:
    """Run the block's calls as the application itself, outside of the caller's unit of work."""
    with on_its_own(), as_application():
        yield


def _by_table(keys: Iterable[Key]) -> Iterator[tuple[str, list[Key]]]:
    for table, members in groupby(keys, key=lambda key: key.table):
        yield table, list(members)
