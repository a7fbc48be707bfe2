"""``FlexibleStorageManager``: evaluations in a primary place, with a fallback for its outages, and a cache."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from storage.core.errors import StorageConfigurationError
from storage.core.store import PREVIEW
from storage.core.store import Store
from stores.evaluations.core import Evaluations
from stores.evaluations.manager.cache import EvaluationCache
from stores.evaluations.manager.documents import document_of
from stores.evaluations.manager.documents import event_document
from stores.evaluations.manager.documents import metric_document
from stores.evaluations.manager.either import awaitable
from stores.evaluations.manager.fallback import EvaluationsWithFallback
from stores.evaluations.manager.journal import EvaluationJournal
from stores.evaluations.manager.storages import DatabaseStorage
from stores.evaluations.manager.storages import EvaluationStorage
from stores.evaluations.manager.storages import storage_of
from stores.evaluations.meaning.values import OutputKind
from stores.evaluations.places.on_stores import EvaluationsInStore
from stores.evaluations.places.records import INLINE

if TYPE_CHECKING:
    from stores.evaluations.manager.configuration import StorageConfig


class FlexibleStorageManager:
    """Evaluations, as the README of Crucible's storage describes them.

    Each method may be called, or awaited where an event loop runs. It raises an exception of
    :class:`~stores.evaluations.core.Evaluations` if it cannot do its work.

    :param primary_storage: where evaluations are; the application's own database by default.
    :param fallback_storage: keeps what is written while the primary is out of reach. Processes that share the primary
        must share the fallback, which must be durable. Without one, the error of the outage is raised.
    :param cache_storage: keeps what was read and written lately, for five minutes.
    :param blobs: for outputs of more than 1 MiB; by default the first of the primary and the fallback that is no
        database, or the primary's own database.
    """

    INLINE_THRESHOLD: Final = INLINE
    PREVIEW_SIZE: Final = PREVIEW

    def __init__(
        self,
        primary_storage: object = None,
        fallback_storage: object = None,
        cache_storage: object = None,
        *,
        blobs: Store | None = None,
    ) -> None:
        primary = DatabaseStorage() if primary_storage is None else storage_of(primary_storage)
        fallback = None if fallback_storage is None else _store_of(fallback_storage, "fallback_storage")
        cache = None if cache_storage is None else EvaluationCache(_store_of(cache_storage, "cache_storage"))
        self._records = EvaluationsWithFallback(
            primary.records,
            None if fallback is None else EvaluationsInStore(fallback),
            None if fallback is None else EvaluationJournal(fallback),
            cache,
        )
        self.evaluations = Evaluations(self._records, blobs or _blobs(primary, fallback))

    @classmethod
    def from_config(cls, config: StorageConfig) -> FlexibleStorageManager:
        """The manager that a configuration describes."""
        return config.manager()

    @awaitable
    def create_evaluation(self, eval_id: str, code: str, **metadata: Any) -> bool:
        """Store a new evaluation, which is queued. :raises StorageConflictError: if there is one with this id."""
        self.evaluations.create(eval_id, code, metadata)
        return True

    @awaitable
    def update_evaluation(
        self,
        eval_id: str,
        status: str | None = None,
        output: str | bytes | None = None,
        error: str | bytes | None = None,
        **metadata: Any,
    ) -> bool:
        """Change what is given. :raises WrongStep: if the status must not follow the present one."""
        self.evaluations.update(eval_id, status=status, output=output, error=error, metadata=metadata)
        return True

    @awaitable
    def get_evaluation(self, eval_id: str) -> dict[str, Any] | None:
        """The evaluation, or None."""
        found = self.evaluations.get(eval_id)
        return None if found is None else document_of(found)

    @awaitable
    def delete_evaluation(self, eval_id: str) -> bool:
        """Delete an evaluation with its events, metrics and outputs; returns whether there was one."""
        return self.evaluations.delete(eval_id)

    @awaitable
    def get_output(self, eval_id: str, kind: OutputKind = "output") -> bytes:
        """The whole output, or error output, however large it is."""
        return b"".join(self.evaluations.output(eval_id, kind).chunks)

    @awaitable
    def list_evaluations(self, limit: int = 100, offset: int = 0, status: str | None = None) -> list[dict[str, Any]]:
        """Evaluations without their codes and outputs, the newest first."""
        return [document_of(one) for one in islice(self.evaluations.every(status=status), offset, offset + limit)]

    @awaitable
    def search_evaluations(self, text: str, limit: int = 100, **filters: Any) -> list[dict[str, Any]]:
        """Evaluations with a text in their id, code or outputs; the other filters are those of ``Evaluations.page``."""
        page = self.evaluations.page(text=text, limit=limit, **filters)
        return [document_of(one) for one in page.evaluations]

    @awaitable
    def count_evaluations(self, status: str | None = None) -> int:
        """How many there are, of one status or of all."""
        return self.evaluations.count(status=status)

    @awaitable
    def get_statistics(self, since: datetime | None = None, until: datetime | None = None) -> dict[str, Any]:
        """Their number, statuses, success rate and runtimes."""
        return self.evaluations.statistics(since=since, until=until)

    @awaitable
    def add_event(self, eval_id: str, event_type: str, message: str, **metadata: Any) -> bool:
        """Append an event."""
        self.evaluations.add_event(eval_id, event_type, message, metadata)
        return True

    @awaitable
    def get_events(self, eval_id: str) -> list[dict[str, Any]]:
        """All events, in their order."""
        return [event_document(event) for event in self.evaluations.all_events(eval_id)]

    @awaitable
    def record_metric(self, eval_id: str, name: str, value: float, unit: str | None = None) -> bool:
        """Append a metric."""
        self.evaluations.record_metric(eval_id, name, value, unit)
        return True

    @awaitable
    def get_metrics(self, eval_id: str, name: str | None = None) -> list[dict[str, Any]]:
        """All metrics, or those of one name, in their order."""
        return [metric_document(one) for one in self.evaluations.all_metrics(eval_id, name)]

    @awaitable
    def get_aggregates(self, eval_id: str) -> dict[str, dict[str, float]]:
        """By name of the metric: ``count``, ``min``, ``max``, ``mean``, ``sum`` and ``last``."""
        return self.evaluations.aggregates(eval_id)

    @awaitable
    def heal(self) -> int:
        """Carry out now what was written during an outage; returns how many writes that were.

        It is done before the next call that reaches the primary, anyway.
        """
        return self._records.heal()

    @awaitable
    def pending(self) -> int:
        """How many writes wait for the primary."""
        journal = self._records.journal
        return 0 if journal is None else journal.pending()

    @awaitable
    def refused(self) -> list[dict[str, Any]]:
        """Writes of an outage that the primary did not take later, each with the ``reason``."""
        journal = self._records.journal
        return [] if journal is None else journal.refused()


def _store_of(place: object, parameter: str) -> Store:
    store = storage_of(place).store
    if store is None:
        raise StorageConfigurationError(
            f"{parameter} must be a DatabaseStorage, a FileStorage, an InMemoryStorage or any other store, because a"
            " StorageService of your own has no atomic writes"
        )
    return store


def _blobs(primary: EvaluationStorage, fallback: Store | None) -> Store | None:
    places: Iterator[Store | None] = iter((primary.store, fallback))
    outside = (one for one in places if one is not None and not one.capabilities.joins and one.capabilities.durable)
    return next(outside, primary.store)
