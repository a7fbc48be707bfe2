"""Evaluations in the declared tables of a database. A write joins the unit of work of its request."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from typing import Final

from database.adapter.interface import Database
from database.core.context import active_unit
from database.core.context import as_application
from database.core.errors import Conflict
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import NotFound
from database.core.errors import OutcomeUnknown
from database.core.errors import SerializationFailure
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Filter
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.targets import with_values
from database.core.result import Result
from database.core.result import Row
from database.purging import delete_in_parts
from storage.core.keys import with_nul
from storage.core.keys import without_nul
from stores.declaration import require_tables
from stores.evaluations.meaning.errors import changed
from stores.evaluations.meaning.errors import exists
from stores.evaluations.meaning.errors import missing
from stores.evaluations.meaning.values import EvaluationFilters
from stores.evaluations.places.conditions import NEWEST
from stores.evaluations.places.conditions import condition
from stores.evaluations.places.records import HEADS
from stores.evaluations.places.records import INLINE
from stores.evaluations.places.records import LOCATIONS
from stores.evaluations.places.records import EvaluationRecords
from stores.evaluations.places.records import Position
from stores.evaluations.places.records import Series
from stores.evaluations.tables import EVALUATIONS
from stores.evaluations.tables import EVENTS
from stores.evaluations.tables import METRICS
from stores.evaluations.tables import TABLES

_TABLES: Final[Mapping[Series, str]] = {"events": EVENTS, "metrics": METRICS}
_CONVEX_INLINE: Final = 150 << 10
"""Of each of three texts: a document of Convex has 1 MiB of JSON at most."""


class EvaluationsInTables(EvaluationRecords):
    """The tables of :mod:`stores.evaluations.tables`. They are read and written as the application.

    :param database: the application's connection manager, or one adapter.
    :param inline: the largest text of a column in bytes; by default as much as all of the databases take.
    :raises ConfigurationError: if the application does not declare the tables.
    """

    def __init__(self, database: Database, inline: int | None = None) -> None:
        self.database = database
        self.inline = _inline(database) if inline is None else inline
        require_tables("evaluations", database, dict.fromkeys(TABLES, ()))

    def insert(self, row: Row, event: Row) -> Row:
        id_ = row["id"]
        # A refused insert would end the unit of work that it is in, or be known at the end only.
        if active_unit.get() is not None and self.get(id_, texts=False) is not None:
            raise exists(id_)
        new = _without_nul(row, "id")
        batch = Batch((Insert(EVALUATIONS, [new]), Insert(EVENTS, [_without_nul(event, "evaluation_id")], False)))
        try:
            return _read(self._run(batch).parts[0].rows[0])
        except ConstraintViolated as error:
            if error.kind is not ConstraintKind.UNIQUE:
                raise
            raise exists(id_) from error
        except OutcomeUnknown as unknown:
            return self._inserted(row, unknown)

    def get(self, id: str, *, texts: bool = True) -> Row | None:
        row = self._run(Get(EVALUATIONS, without_nul(id), None if texts else HEADS)).first
        return None if row is None else _read(row)

    def change(self, row: Row, changes: Mapping[str, Any], event: Row | None) -> Row:
        update = Update(EVALUATIONS, changes, without_nul(row["id"]), expected_version=row["version"])
        events = () if event is None else (Insert(EVENTS, [_without_nul(event, "evaluation_id")], False),)
        try:
            rows = self._run(Batch((update, *events))).parts[0].rows
        except SerializationFailure:
            raise
        except (Conflict, ConstraintViolated, NotFound) as error:
            raise changed(row["id"]) from error
        if not rows:
            raise changed(row["id"])
        return _read(rows[0])

    def remove(self, id: str) -> Row | None:
        row = self.get(id)
        if row is None:
            return None
        # In parts, because databases limit the rows of a deletion; an evaluation that is left may be deleted again.
        for table in (EVENTS, METRICS):
            with as_application():
                delete_in_parts(self.database, table, Where("evaluation_id", "eq", without_nul(id)))
        return row if self._run(Delete(EVALUATIONS, without_nul(id))).count else None

    def append(self, series: Series, row: Row) -> None:
        try:
            # Not an insert: this one may be sent again if its answer is lost.
            self._run(Upsert(_TABLES[series], [_without_nul(row, "evaluation_id")], returning=False))
        except ConstraintViolated as error:
            if error.kind is not ConstraintKind.FOREIGN_KEY:
                raise
            raise missing(row["evaluation_id"]) from error

    def appended(self, series: Series, id: str, after: str | None, limit: int, name: str | None = None) -> list[Row]:
        where: Filter = Where("evaluation_id", "eq", without_nul(id))
        if after is not None:
            where &= Where("id", "gt", after)
        if name is not None:
            where &= Where("metric_name", "eq", name)
        rows = self._run(Select(_TABLES[series], None, where, (Order("id"),), limit)).rows
        return [_with_nul(row, "evaluation_id") for row in rows]

    def find(self, filters: EvaluationFilters, after: Position | None, limit: int) -> Sequence[Row]:
        select = Select(EVALUATIONS, HEADS, condition(filters, after), NEWEST, limit)
        return [_read(row) for row in self._run(select).rows]

    def locations(self, ids: Collection[str]) -> set[str]:
        found: set[str] = set()
        for where in with_values(("id",), [[without_nul(id_) for id_ in ids]]):
            result = self._run(Select(EVALUATIONS, LOCATIONS, where))
            for bad in result.unreadable:
                # What it names is not known, and would be taken for lost.
                raise bad.error()
            found.update(row[name] for row in result.rows for name in LOCATIONS)
        return found

    def count(self, filters: EvaluationFilters) -> int:
        select = Select(EVALUATIONS, ("id",), condition(filters), limit=0, count=True)
        return self._run(select).count or 0

    def tally(self, filters: EvaluationFilters) -> Iterator[tuple[str, int | None, int]]:
        grouped = Select(EVALUATIONS, None, condition(filters), group=("status", "runtime_ms"))
        for row in self._run(grouped).rows:
            yield row["status"], row["runtime_ms"], row["count"]

    def _run(self, operation: Operation) -> Result:
        # Who may use evaluations is decided above.
        with as_application():
            return self.database.run(operation)

    def _inserted(self, row: Row, unknown: OutcomeUnknown) -> Row:
        """The new evaluation, if it is there although the answer was lost."""
        found = None
        with suppress(DataError):
            found = self.get(row["id"])
        if found is None or (found["created_at"], found["code_hash"]) != (row["created_at"], row["code_hash"]):
            raise unknown
        return found


def _inline(database: Database) -> int:
    adapters = getattr(database, "adapters", {"": database}).values()
    return _CONVEX_INLINE if any(getattr(one, "kind", "") == "convex" for one in adapters) else INLINE


def _without_nul(row: Row, column: str) -> Row:
    return {**row, column: without_nul(row[column])}


def _with_nul(row: Row, column: str) -> Row:
    row[column] = with_nul(row[column])
    return row


def _read(row: Row) -> Row:
    row["etag"] = str(row["version"])
    return _with_nul(row, "id")
