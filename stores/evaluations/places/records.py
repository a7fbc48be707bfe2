"""The interface of the places where evaluations are kept. Rows have the columns of the declared tables."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from typing import Final
from typing import Literal

from config.evaluations import LARGEST_INLINE
from database.core.result import Row
from stores.evaluations.meaning.values import EvaluationFilters

Series = Literal["events", "metrics"]
"""What is appended to an evaluation, and never changed."""

INLINE: Final = LARGEST_INLINE
"""The largest code, output or error, in bytes, that is kept in a record."""

TEXTS: Final = {"code": "code", "output": "output_preview", "error": "error_preview"}
"""The columns of texts, which a listing leaves out."""

HEADS: Final = (
    *("id", "created_at", "updated_at", "version", "code_hash", "status", "started_at", "completed_at", "runtime_ms"),
    *("code_size", "code_s3_key", "output_size", "output_type", "output_s3_key"),
    *("error_size", "error_type", "error_s3_key", "metadata"),
)
"""All other columns."""

LOCATIONS: Final = tuple(f"{text}_s3_key" for text in TEXTS)
"""The columns that say where the rest of a text is; null for one that is there as a whole."""

Position = tuple[datetime, str]
"""The creation time and the id of an evaluation, by which a listing goes on."""


class EvaluationRecords(ABC):
    """A place for evaluations, their events and their metrics.

    A row has ``etag`` besides its columns, which names its version.

    :ivar inline: the largest text of one column, in bytes.
    """

    inline: int = INLINE

    @abstractmethod
    def insert(self, row: Row, event: Row) -> Row:
        """Store a new evaluation with its first event, both or none; returns it.

        :raises StorageConflictError: if there is one with this id.
        """

    @abstractmethod
    def get(self, id: str, *, texts: bool = True) -> Row | None:
        """The evaluation, or None.

        :param texts: with the columns of :data:`TEXTS`.
        """

    @abstractmethod
    def change(self, row: Row, changes: Mapping[str, Any], event: Row | None) -> Row:
        """Change columns of an evaluation, and append an event, both or none; returns it as it is then.

        :param row: as it was read.
        :raises StorageConflictError: if it has been changed or deleted since.
        """

    @abstractmethod
    def remove(self, id: str) -> Row | None:
        """Delete an evaluation with its events and metrics; returns it as it was, or None."""

    @abstractmethod
    def append(self, series: Series, row: Row) -> None:
        """Append an event or a metric.

        :raises StorageNotFoundError: if there is no such evaluation.
        """

    @abstractmethod
    def appended(self, series: Series, id: str, after: str | None, limit: int, name: str | None = None) -> list[Row]:
        """The events or metrics of an evaluation, in the order of their ids.

        :param after: only those behind this id.
        :param name: only metrics of this name.
        """

    @abstractmethod
    def find(self, filters: EvaluationFilters, after: Position | None, limit: int) -> Sequence[Row]:
        """Evaluations, the newest first, without their texts.

        :param after: only those behind this one.
        """

    def locations(self, ids: Collection[str]) -> set[str]:
        """The locations of all blobs that the evaluations with these ids name."""
        rows = (self.get(id_, texts=False) for id_ in ids)
        return {row[name] for row in rows if row is not None for name in LOCATIONS if row[name] is not None}

    @abstractmethod
    def count(self, filters: EvaluationFilters) -> int:
        """How many evaluations there are."""

    @abstractmethod
    def tally(self, filters: EvaluationFilters) -> Iterable[tuple[str, int | None, int]]:
        """How many evaluations have each status and runtime in milliseconds."""
