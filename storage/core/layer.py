"""The base class of layers: stages between a store and its backend."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import ClassVar

from database.core.clock import monotonic
from database.resilience.metrics import Metrics
from database.resilience.stages import Handler
from storage.core.capabilities import StoreCapabilities
from storage.core.errors import StorageConfigurationError

if TYPE_CHECKING:
    from storage.core.store import Store


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair has done.

    :ivar done: writes whose copies are equal now.
    :ivar left: writes that may be under way, or whose copies could not be reached.
    """

    done: int
    left: int


class Layer(ABC):
    """A stage between a store and its backend. It belongs to one store, which calls :meth:`offers`, then
    :meth:`around`, once each.

    :cvar name: in the status of the store.
    :cvar needs_whole: whether it needs whole entries also where a value is all that is read.
    :ivar metrics: of the operations that reach it.
    :ivar counts: what it has done, by names of its own. Like all metrics, they are incremented without a lock.
    """

    name: ClassVar[str]
    needs_whole: ClassVar[bool] = True

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

    def places(self) -> Iterable[Store]:
        """The stores in which it keeps entries itself."""
        return ()

    def repair(self) -> Repaired | None:
        """Make up for what it has left to be done later; None if it never leaves anything. It is called regularly."""
        return None

    def close(self) -> None:
        """Close the connections of its own places; the next call opens them again."""
        for place in self.places():
            place.close()


def layers_within(store: Store) -> Iterator[tuple[Store, Layer]]:
    """The layers of a store, and those of the stores in which they keep entries, each with its store."""
    for layer in store.layers:
        yield store, layer
        for place in layer.places():
            yield from layers_within(place)


def require_one_tenant(inner: StoreCapabilities, what: str) -> None:
    """Refuse a layer that would show the entries of one tenant to another, or could not read them itself.

    :raises StorageConfigurationError: if the next stage has several tenants.
    """
    if inner.tenants:
        raise StorageConfigurationError(
            f"{what} must be behind the encryption of several tenants, which keeps their entries apart; move it there"
        )
