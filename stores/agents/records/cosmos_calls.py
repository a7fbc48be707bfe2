"""Calls of Cosmos DB with the retries and the circuit breaker of every backend."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from typing import Any
from typing import ClassVar
from typing import Final
from typing import TypeVar

from database.core.context import Context
from database.core.context import current_context
from database.core.errors import DataError
from database.core.immutable import immutable
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.pipeline import Pipeline
from database.resilience.settings import ResilienceSettings
from storage.backends.cosmos.account import Item
from storage.backends.cosmos.account import Opening
from storage.backends.cosmos.container import Container
from storage.backends.cosmos.errors import KIND
from storage.core.errors import StorageError
from storage.core.errors import as_storage_error

Answer = TypeVar("Answer")

_AT_ONCE: Final = 1_000


@immutable
class _Call(Operation):
    """A request.

    :param again: whether it may be sent again if its answer is lost.
    """

    kind: ClassVar[str] = "call"
    work: Callable[[], Any]
    again: bool = True

    @property
    def idempotent(self) -> bool:
        return self.again


class CosmosCalls:
    """Calls of one account.

    :param asked: the container by which the circuit breaker finds out whether the account answers again.
    :param settings: timeouts, retries and circuit breaker of the calls.
    """

    def __init__(self, asked: Opening, settings: ResilienceSettings) -> None:
        self._asked = asked
        self._pipeline = Pipeline(KIND, self._execute, settings)

    def call(self, work: Callable[[], Answer], *, again: bool = True) -> Answer:
        """What a request returns. :raises StorageError: if it fails.

        :param again: whether it may be sent again if its answer is lost.
        """
        try:
            answer: Answer = self._pipeline.call(_Call(work, again), current_context.get()).value
        except StorageError:
            raise
        except DataError as error:
            raise as_storage_error(error) from error
        return answer

    def items(self, opening: Opening) -> Iterator[Item]:
        """The items of all partitions of a container, in any order."""
        continuation = None
        while True:
            # Without partial(), the continuation would be that of a later turn.
            items, continuation = self.call(partial(opening.part, _AT_ONCE, continuation))
            yield from items
            if continuation is None:
                return

    def close(self) -> None:
        """End the calls; the connections are closed by their containers."""
        self._pipeline.close()

    def _execute(self, operation: Operation, _: Context) -> Result:
        if isinstance(operation, _Call):
            return Result(value=operation.work())
        # A ping of the circuit breaker.
        Container(self._asked, "").ping()
        return Result()
