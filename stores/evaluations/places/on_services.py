"""Evaluations in a ``StorageService`` of the application: with as much certainty as it gives.

Changes of this process wait for each other. Several processes may overwrite each other's changes, because the interface
has no versions.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from threading import RLock
from typing import Any
from typing import Final
from typing import TypeVar

from database.core.clock import not_before
from database.core.clock import utc_now
from database.core.query.evaluation import Document
from database.core.query.evaluation import selector
from database.core.query.evaluation import sort
from database.core.query.steps import Steps
from database.core.result import Row
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageError
from storage.core.errors import StorageTimeoutError
from storage.core.keys import without_nul
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
from stores.evaluations.places.service import StorageService

_EMPTY: Final[Row] = dict.fromkeys((*HEADS, *TEXTS.values()))
_TIMES: Final = ("created_at", "updated_at", "started_at", "completed_at")
_PAGE: Final = 100
_METRICS: Final = "metrics"

_Answer = TypeVar("_Answer")


class EvaluationsInService(EvaluationRecords):
    """The rows of evaluations as dictionaries of JSON; metrics are in the metadata of the service.

    :param service: what keeps them.
    """

    def __init__(self, service: StorageService, inline: int = INLINE) -> None:
        self._service = service
        self.inline = inline
        self._lock = RLock()

    def insert(self, row: Row, event: Row) -> Row:
        with self._lock:
            if self.get(row["id"]) is not None:
                raise exists(row["id"])
            self._store_events(row["id"], [event])
            return self._store({**_EMPTY, **row, "version": 1})

    def get(self, id: str, *, texts: bool = True) -> Row | None:
        data = self._asked(lambda: self._service.retrieve_evaluation(id))
        return None if data is None else _row(data)

    def change(self, row: Row, changes: Mapping[str, Any], event: Row | None) -> Row:
        with self._lock:
            present = self.get(row["id"])
            if present is None or present["etag"] != row["etag"]:
                raise changed(row["id"])
            if event is not None:
                self._store_events(row["id"], [*self._events(row["id"]), event])
            now = not_before(utc_now(), present["updated_at"])
            return self._store({**present, **changes, "version": present["version"] + 1, "updated_at": now})

    def remove(self, id: str) -> Row | None:
        with self._lock:
            row = self.get(id)
            return row if row is not None and self._asked(lambda: self._service.delete_evaluation(id)) else None

    def append(self, series: Series, row: Row) -> None:
        id_ = row["evaluation_id"]
        with self._lock:
            if self.get(id_) is None:
                raise missing(id_)
            present = [one for one in self._all(series, id_) if one["id"] != row["id"]]
            if series == "events":
                self._store_events(id_, [*present, row])
            else:
                metrics = [_as_json(one) for one in (*present, row)]
                self._stored(lambda: self._service.store_metadata(id_, {_METRICS: metrics}))

    def appended(self, series: Series, id: str, after: str | None, limit: int, name: str | None = None) -> list[Row]:
        rows = self._all(series, id)
        found = [row for row in rows if (after is None or row["id"] > after) and name in {None, row.get("metric_name")}]
        return sorted(found, key=lambda row: str(row["id"]))[:limit]

    def find(self, filters: EvaluationFilters, after: Position | None, limit: int) -> Sequence[Row]:
        rows = sort(self._matching(filters, after), NEWEST, Steps())[:limit]
        return [{name: row[name] for name in (*HEADS, "etag")} for row in rows]

    def count(self, filters: EvaluationFilters) -> int:
        return sum(1 for _ in self._matching(filters))

    def tally(self, filters: EvaluationFilters) -> list[tuple[str, int | None, int]]:
        return [(row["status"], row["runtime_ms"], 1) for row in self._matching(filters)]

    def _matching(self, filters: EvaluationFilters, after: Position | None = None) -> Iterator[Row]:
        fits = selector(condition(filters, after), Steps())
        for id_ in self._ids():
            row = self.get(id_)
            if row is not None and fits({**row, "id": without_nul(id_), "metadata": Document(row["metadata"])}):
                yield row

    def _ids(self) -> Iterator[str]:
        offset = 0
        while ids := self._asked(lambda: self._service.list_evaluations(_PAGE, offset)):  # noqa: B023  # called at once
            yield from ids
            offset += len(ids)

    def _all(self, series: Series, id_: str) -> list[Row]:
        if series == "events":
            return self._events(id_)
        known = self._asked(lambda: self._service.retrieve_metadata(id_)) or {}
        return [_from_json(one, ("timestamp",)) for one in known.get(_METRICS, ())]

    def _events(self, id_: str) -> list[Row]:
        return [_from_json(one, ("timestamp",)) for one in self._asked(lambda: self._service.retrieve_events(id_))]

    def _store_events(self, id_: str, events: Sequence[Row]) -> None:
        self._stored(lambda: self._service.store_events(id_, [_as_json(event) for event in events]))

    def _store(self, row: Row) -> Row:
        data = _as_json({name: value for name, value in row.items() if name != "etag"})
        self._stored(lambda: self._service.store_evaluation(row["id"], data))
        return _row(data)

    def _stored(self, call: Callable[[], bool]) -> None:
        if self._asked(call) is False:
            raise StorageConnectionError(f"{type(self._service).__name__} has stored nothing, and does not say why")

    def _asked(self, call: Callable[[], _Answer]) -> _Answer:
        try:
            return call()
        except StorageError:
            raise
        except TimeoutError as error:
            raise StorageTimeoutError(f"{type(self._service).__name__} did not answer in time") from error
        except OSError as error:
            raise StorageConnectionError(f"{type(self._service).__name__} is out of reach") from error


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _from_json(data: Mapping[str, Any], times: Sequence[str]) -> Row:
    given = {name: datetime.fromisoformat(data[name]) for name in times if data.get(name) is not None}
    return {**data, **given}


def _row(data: Mapping[str, Any]) -> Row:
    row = _from_json(data, _TIMES)
    return {**row, "etag": str(row["version"])}
