"""What is appended to an evaluation, and never changed: events and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from database.core.result import Row
from storage.core.making import WallClock
from stores.evaluations.meaning.checks import MAX_PAGE
from stores.evaluations.meaning.checks import checked_id
from stores.evaluations.meaning.checks import checked_limit
from stores.evaluations.meaning.checks import log_parts
from stores.evaluations.meaning.checks import stored_metadata
from stores.evaluations.meaning.errors import changed
from stores.evaluations.meaning.errors import missing
from stores.evaluations.meaning.rows import event_of
from stores.evaluations.meaning.rows import metric_of
from stores.evaluations.meaning.rows import new_event
from stores.evaluations.meaning.rows import new_metric
from stores.evaluations.meaning.statistics import aggregates_of
from stores.evaluations.meaning.values import EvaluationEvent
from stores.evaluations.meaning.values import EvaluationMetric
from stores.evaluations.places.records import EvaluationRecords
from stores.evaluations.places.records import Series


class Appending:
    """The events and metrics of evaluations.

    :param records: where they are kept.
    :param clock: the time of day.
    """

    def __init__(self, records: EvaluationRecords, clock: WallClock) -> None:
        self.records = records
        self._clock = clock

    def add_event(
        self,
        id: str,
        type: str,
        message: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> EvaluationEvent:
        """Append an event.

        :param type: 1 to 64 characters.
        :param message: 65,536 characters at most.
        """
        row = new_event(checked_id(id), type, message, self._clock(), stored_metadata(metadata))
        self.records.append("events", row)
        return event_of(row)

    def logs(self, id: str, text: str) -> list[EvaluationEvent]:
        """Append text as events of the type ``log``, several if it is long."""
        return [self.add_event(id, "log", part) for part in log_parts(text)]

    def events(self, id: str, *, after: str | None = None, limit: int = MAX_PAGE) -> list[EvaluationEvent]:
        """The events, those of one writer in the order in which they were appended.

        :param after: only those behind the event with this id.
        :param limit: how many at most, from 1 to 1,000.
        """
        return [event_of(row) for row in self._appended("events", id, after, limit)]

    def all_events(self, id: str) -> Iterator[EvaluationEvent]:
        """All events, read as they are needed."""
        return map(event_of, self._all_appended("events", id))

    def record_metric(self, id: str, name: str, value: float, unit: str | None = None) -> EvaluationMetric:
        """Append a metric: a finite number, such as ``("memory", 12.5, "MiB")``."""
        row = new_metric(checked_id(id), name, value, unit, self._clock())
        self.records.append("metrics", row)
        return metric_of(row)

    def metrics(
        self,
        id: str,
        *,
        name: str | None = None,
        after: str | None = None,
        limit: int = MAX_PAGE,
    ) -> list[EvaluationMetric]:
        """The metrics in their order; the parameters are those of :meth:`events`."""
        return [metric_of(row) for row in self._appended("metrics", id, after, limit, name)]

    def all_metrics(self, id: str, name: str | None = None) -> Iterator[EvaluationMetric]:
        """All metrics, or those of one name, read as they are needed."""
        return map(metric_of, self._all_appended("metrics", id, name))

    def aggregates(self, id: str) -> dict[str, dict[str, float]]:
        """By name of the metric: ``count``, ``min``, ``max``, ``mean``, ``sum`` and ``last``."""
        return aggregates_of(self._all_appended("metrics", id))

    def _current(self, id: str, *, texts: bool = False, expected: str | None = None) -> Row:
        row = self.records.get(checked_id(id), texts=texts)
        if row is None:
            raise missing(id)
        if expected is not None and row["etag"] != expected:
            raise changed(id)
        return row

    def _appended(
        self,
        series: Series,
        id: str,
        after: str | None,
        limit: int,
        name: str | None = None,
    ) -> list[Row]:
        rows = self.records.appended(series, checked_id(id), after, checked_limit(limit), name)
        if not rows:
            self._current(id)
        return rows

    def _all_appended(self, series: Series, id: str, name: str | None = None) -> Iterator[Row]:
        after = None
        while rows := self._appended(series, id, after, MAX_PAGE, name):
            yield from rows
            after = rows[-1]["id"]
