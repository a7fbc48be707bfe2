"""The base class of layers: stages between a store and its backend."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections import Counter
from typing import ClassVar

from database.resilience.stages import Handler
from storage.core.capabilities import StoreCapabilities


class Layer(ABC):
    """A stage between a store and its backend. It belongs to one store, which calls :meth:`offers`, then
    :meth:`around`, once each.

    :cvar name: in the status of the store.
    :ivar counts: what it has done, by names of its own. Like all metrics, they are incremented without a lock.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        """The capabilities that this stage has if the next one has ``inner``.

        :raises StorageConfigurationError: if the two do not fit together.
        """
        return inner

    @abstractmethod
    def around(self, inner: Handler) -> Handler:
        """The stage around the next one."""

    def close(self) -> None:  # noqa: B027 - some have nothing to do here
        """Close the connections of its own places; the next call opens them again."""
