"""``StorageService``: the interface of places for evaluations that an application writes itself."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any


class StorageService(ABC):
    """A place for evaluations, to be subclassed. The storage manager does with it all that it does with its own.

    Data is plain JSON. A method that cannot do its work raises an exception; a ``ConnectionError`` or ``TimeoutError``
    says that the place is out of reach, so that a fallback takes over.
    """

    @abstractmethod
    def store_evaluation(self, eval_id: str, data: dict[str, Any]) -> bool:
        """Store an evaluation, replacing the one that is there; returns whether it is stored."""

    @abstractmethod
    def retrieve_evaluation(self, eval_id: str) -> dict[str, Any] | None:
        """The evaluation as it was stored, or None."""

    @abstractmethod
    def store_events(self, eval_id: str, events: Sequence[Mapping[str, Any]]) -> bool:
        """Store all events of an evaluation, replacing those that are there."""

    @abstractmethod
    def retrieve_events(self, eval_id: str) -> list[dict[str, Any]]:
        """The events of an evaluation in their order; none for an evaluation that is not there."""

    @abstractmethod
    def store_metadata(self, eval_id: str, metadata: dict[str, Any]) -> bool:
        """Store the metadata of an evaluation."""

    @abstractmethod
    def retrieve_metadata(self, eval_id: str) -> dict[str, Any] | None:
        """The metadata of an evaluation, or None."""

    @abstractmethod
    def list_evaluations(self, limit: int = 100, offset: int = 0) -> list[str]:
        """The ids of evaluations, each once."""

    @abstractmethod
    def delete_evaluation(self, eval_id: str) -> bool:
        """Delete an evaluation with its events and metadata; returns whether there was one."""

    @classmethod
    def get_test_suite(cls) -> type:
        """The common tests of all places, for :mod:`unittest`: subclass it, and let ``make()`` return an empty one."""
        from stores.evaluations.places.suite import StorageServiceSuite  # noqa: PLC0415  # it is for tests only

        return StorageServiceSuite
