"""The base class of layers: stages between a store and its backend."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections import Counter
from dataclasses import replace
from typing import ClassVar

from database.core.clock import monotonic
from database.resilience.metrics import Metrics
from database.resilience.stages import Handler
from storage.core.capabilities import StoreCapabilities
from storage.core.errors import StorageConfigurationError


class Layer(ABC):
    """A stage between a store and its backend. It belongs to one store, which calls :meth:`offers`, then
    :meth:`around`, once each.

    :cvar name: in the status of the store.
    :ivar metrics: of the operations that reach it.
    :ivar counts: what it has done, by names of its own. Like all metrics, they are incremented without a lock.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.metrics = Metrics(monotonic)
        self.counts: Counter[str] = Counter()

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        """The capabilities that this stage has if the next one has ``inner``.

        Bodies in parts pass only a layer that says so: the others know of them neither what to change nor what to
        forget.

        :raises StorageConfigurationError: if the two do not fit together.
        """
        return replace(inner, uploads=False)

    @abstractmethod
    def around(self, inner: Handler) -> Handler:
        """The stage around the next one."""

    def close(self) -> None:  # noqa: B027 - some have nothing to do here
        """Close the connections of its own places; the next call opens them again."""


def require_one_tenant(inner: StoreCapabilities, what: str) -> None:
    """Refuse a layer that would show the entries of one tenant to another, or could not read them itself.

    :raises StorageConfigurationError: if the next stage has several tenants.
    """
    if inner.tenants:
        raise StorageConfigurationError(
            f"{what} must be behind the encryption of several tenants, which keeps their entries apart; move it there"
        )
