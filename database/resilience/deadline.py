"""The outermost stage: sets the deadline for all other stages, and the backend and operation of every error."""

from __future__ import annotations

from database.core.clock import Clock
from database.core.context import Context
from database.core.errors import DataError
from database.core.errors import TimedOut
from database.core.operations import Operation
from database.resilience.stages import Answer
from database.resilience.stages import BackendCall


def remaining(context: Context, clock: Clock) -> float:
    """Seconds until the deadline, never negative; ``inf`` without one."""
    return max(0.0, context.deadline - clock())


def bounded(inner: BackendCall[Answer], backend: str, timeout: float, clock: Clock) -> BackendCall[Answer]:
    """The stage: calls ``inner`` with a deadline at most ``timeout`` seconds away.

    :param timeout: in seconds; 0 keeps the caller's deadline.
    :raises TimedOut: if the caller's deadline has already passed; nothing is sent.
    """
    if not timeout:
        return in_time(inner, backend, clock)

    def call(operation: Operation, context: Context) -> Answer:
        try:
            now = clock()
            if now >= context.deadline:
                raise TimedOut("the deadline passed before the call began")
            return inner(operation, context.until(now + timeout))
        except DataError as error:
            _label(error, backend, operation)
            raise

    return call


def in_time(inner: BackendCall[Answer], backend: str, clock: Clock) -> BackendCall[Answer]:
    """The stage for calls with a deadline. :raises TimedOut: if it has already passed; nothing is sent."""

    def call(operation: Operation, context: Context) -> Answer:
        try:
            if clock() >= context.deadline:
                raise TimedOut("the deadline passed before the call began")
            return inner(operation, context)
        except DataError as error:
            _label(error, backend, operation)
            raise

    return call


def _label(error: DataError, backend: str, operation: Operation) -> None:
    if error.backend is None:
        error.backend = backend
    if error.operation is None:
        error.operation = operation.kind
