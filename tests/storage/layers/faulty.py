"""A place that fails when it is told to: before it has done something, or after."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from typing import ClassVar

from database.core.context import Context
from database.core.errors import DataError
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.settings import ResilienceSettings
from storage.backends.memory import MemoryEntries
from storage.core.backend import StoreBackend
from storage.core.entry import Stored
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageOutcomeUnknown
from storage.core.layer import Layer
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.store import Store

EXAMPLES = int(os.environ.get("STORAGE_EXAMPLES", "20"))
"""Of each random test."""

AT_ONCE = ResilienceSettings(retry_count=0, circuit_breaker_threshold=0)


class Faulty(StoreBackend):
    """Another backend, and its faults.

    :ivar before: called with each operation before it is carried out; what it raises is the answer.
    :ivar after: likewise, when it has been carried out.
    """

    kind: ClassVar[str] = "faulty"

    def __init__(self, backend: StoreBackend | None = None) -> None:
        self.backend = backend or MemoryEntries()
        self.capabilities = self.backend.capabilities
        self.heal()

    def heal(self) -> None:
        self.before: Callable[[Operation], None] = _nothing
        self.after: Callable[[Operation], None] = _nothing

    def execute(self, operation: Operation, context: Context) -> Result:
        self.before(operation)
        result = self.backend.execute(operation, context)
        self.after(operation)
        return result

    @contextmanager
    def down(self, error: Callable[[], DataError] = lambda: StorageConnectionError("it is down")) -> Iterator[None]:
        """Nothing is carried out."""

        def fail(_: Operation) -> None:
            raise error()

        self.before = fail
        try:
            yield
        finally:
            self.heal()

    @contextmanager
    def losing_answers(self) -> Iterator[None]:
        """Everything is carried out, and no write is acknowledged."""

        def lose(operation: Operation) -> None:
            if isinstance(operation, Put | Remove | Batch):
                raise StorageOutcomeUnknown("the answer was lost")

        self.after = lose
        try:
            yield
        finally:
            self.heal()

    def put(self, put: Put, context: Context) -> None:
        raise NotImplementedError

    def fetch(self, fetch: Fetch, context: Context) -> Stored | None:
        raise NotImplementedError

    def remove(self, remove: Remove, context: Context) -> bool:
        raise NotImplementedError

    def scan(self, scan: Scan, context: Context) -> list[Stored]:
        raise NotImplementedError


class Flaky(Faulty):
    """Now and then it is out of reach, or the answer to a put is lost; a store tries again, and notices nothing."""

    kind: ClassVar[str] = "flaky"

    def heal(self) -> None:
        self._calls = count(1)
        self.before = self._refuse
        self.after = self._lose

    def _refuse(self, _: Operation) -> None:
        if next(self._calls) % 20 == 0:
            raise StorageConnectionError("it is out of reach for a moment")

    def _lose(self, operation: Operation) -> None:
        # Of a conditional one it would not be known, if somebody else has written in the meantime.
        if isinstance(operation, Put) and operation.expected is None and next(self._calls) % 20 == 0:
            raise StorageOutcomeUnknown("the answer was lost")


def over(backend: StoreBackend, *layers: Layer, **options: Any) -> Store:
    """A store that tries everything once."""
    return Store(backend, settings=AT_ONCE, layers=layers, **options)


def _nothing(_: Operation) -> None:
    """No fault."""
