"""Evaluations in any store: memory, files, Redis, S3, Cosmos DB and all others.

An evaluation is one entry, and each of its events and metrics another one, so that nobody overwrites those of others.
The events of its status are part of the evaluation's own entry, with which they are written. A listing reads the
metadata of all evaluations.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from typing import Final

from database.core.clock import not_before
from database.core.clock import utc_now
from database.core.context import as_application
from database.core.query.evaluation import Document
from database.core.query.evaluation import selector
from database.core.query.evaluation import sort
from database.core.query.steps import Steps
from database.core.result import Row
from database.core.tables.schema import new_id
from storage.core.entry import Entry
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageNotFoundError
from storage.core.keys import without_nul
from storage.core.store import Store
from stores.evaluations.meaning.errors import changed
from stores.evaluations.meaning.errors import exists
from stores.evaluations.meaning.errors import missing
from stores.evaluations.meaning.values import EvaluationFilters
from stores.evaluations.places.conditions import NEWEST
from stores.evaluations.places.conditions import condition
from stores.evaluations.places.records import HEADS
from stores.evaluations.places.records import INLINE
from stores.evaluations.places.records import TEXTS
from stores.evaluations.places.records import EvaluationRecords
from stores.evaluations.places.records import Position
from stores.evaluations.places.records import Series

_PREFIX: Final = "evaluations/"
_SERIES: Final[tuple[Series, ...]] = ("events", "metrics")
_EMPTY: Final[Row] = dict.fromkeys((*HEADS, *TEXTS.values()))
_ATTEMPTS: Final = 5


class EvaluationsInStore(EvaluationRecords):
    """Entries of a store; other entries may be there, too.

    :param store: where they are.
    :param inline: the largest text that is in the entry of its evaluation, in bytes.
    """

    def __init__(self, store: Store, inline: int = INLINE) -> None:
        self.store = store
        # An entry has three of them, each of at most twice as many bytes of JSON.
        self.inline = min(inline, store.capabilities.largest // 8)

    @as_application()
    def insert(self, row: Row, event: Row) -> Row:
        new = {**_EMPTY, **row, "version": 1, "uid": new_id(), "history": [event]}
        try:
            return self._put(new, if_absent=True)
        except StorageConflictError as error:
            raise exists(row["id"]) from error

    @as_application()
    def adopt(self, row: Row) -> Row:
        """Keep a copy of an evaluation of another place, without what was appended there.

        :raises StorageConflictError: if there is one already.
        """
        own = {**_EMPTY, **row, "uid": new_id(), "history": [], "copied": True}
        try:
            return self._put(own, if_absent=True)
        except StorageConflictError as error:
            raise changed(row["id"]) from error

    def is_complete(self, id: str) -> bool:
        """Whether an evaluation is here with all that was ever appended to it."""
        row = self.get(id)
        return row is not None and not row.get("copied")

    @as_application()
    def get(self, id: str, *, texts: bool = True) -> Row | None:
        try:
            return _row(self.store.entry(_PREFIX + id))
        except StorageNotFoundError:
            return None

    @as_application()
    def change(self, row: Row, changes: Mapping[str, Any], event: Row | None) -> Row:
        history = row["history"] if event is None else [*row["history"], event]
        now = not_before(utc_now(), row["updated_at"])
        new = {**row, **changes, "version": row["version"] + 1, "updated_at": now, "history": history}
        try:
            return self._put(new, expected=row["etag"])
        except StorageConflictError as error:
            raise changed(row["id"]) from error

    @as_application()
    def remove(self, id: str) -> Row | None:
        for _ in range(_ATTEMPTS):
            row = self.get(id)
            if row is None:
                return None
            # First what nobody would find without the evaluation.
            self._clear(row)
            try:
                self.store.delete(_PREFIX + id, expected=row["etag"])
            except StorageConflictError:
                continue
            self._clear(row)
            return row
        raise changed(id)

    @as_application()
    def append(self, series: Series, row: Row) -> None:
        of = self.get(row["evaluation_id"])
        if of is None:
            raise missing(row["evaluation_id"])
        self.store.put(f"{_within(series, of)}{row['id']}", row)

    @as_application()
    def appended(self, series: Series, id: str, after: str | None, limit: int, name: str | None = None) -> list[Row]:
        of = self.get(id)
        if of is None:
            return []
        prefix = _within(series, of)
        entries = self.store.found({}, prefix=prefix, after=None if after is None else prefix + after, at_once=limit)
        rows = (entry.value for entry in entries if name is None or entry.value["metric_name"] == name)
        found = list(islice(rows, limit))
        if series == "events":
            found += [event for event in of["history"] if after is None or event["id"] > after]
        return sorted(found, key=lambda row: str(row["id"]))[:limit]

    @as_application()
    def find(self, filters: EvaluationFilters, after: Position | None, limit: int) -> Sequence[Row]:
        rows = sort(self._matching(filters, after), NEWEST, Steps())[:limit]
        whole = (self.get(row["id"]) for row in rows)
        return [{name: row[name] for name in (*HEADS, "etag")} for row in whole if row is not None]

    @as_application()
    def count(self, filters: EvaluationFilters) -> int:
        return sum(1 for _ in self._matching(filters))

    @as_application()
    def tally(self, filters: EvaluationFilters) -> list[tuple[str, int | None, int]]:
        return [(row["status"], row["runtime_ms"], 1) for row in self._matching(filters)]

    def _matching(self, filters: EvaluationFilters, after: Position | None = None) -> Iterator[Row]:
        """The heads of the evaluations that are meant, in any order."""
        fits = selector(condition(filters, after), Steps())
        needs_all = filters.text or filters.metadata
        for entry in self.store.found({}, prefix=_PREFIX) if needs_all else self.store.heads(_PREFIX):
            head = _head(entry)
            seen = {**head, "id": without_nul(head["id"])}
            if needs_all:
                texts = {column: entry.value[column] for column in TEXTS.values()}
                seen |= {**texts, "metadata": Document(entry.value["metadata"])}
            if fits(seen):
                yield head

    def _clear(self, row: Row) -> None:
        for series in _SERIES:
            self.store.clear(_within(series, row))

    def _put(self, row: Row, *, expected: str | None = None, if_absent: bool = False) -> Row:
        value = {name: part for name, part in row.items() if name != "etag"}
        about = {"status": row["status"], "created_at": row["created_at"].isoformat(), "runtime_ms": row["runtime_ms"]}
        put = self.store.put(_PREFIX + row["id"], value, metadata=about, expected=expected, if_absent=if_absent)
        return {**value, "etag": put.etag}


def _within(series: Series, row: Row) -> str:
    # Not the id: a later evaluation that has it has none of these, and no id is the beginning of another one.
    return f"{series}/{row['uid']}/"


def _row(entry: Entry) -> Row:
    return {**entry.value, "etag": entry.etag}


def _head(entry: Entry) -> Row:
    about = entry.metadata
    return {
        "id": entry.key.removeprefix(_PREFIX),
        "status": about["status"],
        "created_at": datetime.fromisoformat(about["created_at"]),
        "runtime_ms": about["runtime_ms"],
    }
