"""The outermost stage: one deadline for everything below it, and a name on every error that leaves."""

from __future__ import annotations

from database.core.clock import Clock
from database.core.context import Context
from database.core.errors import DataError
from database.core.errors import TimedOut
from database.core.operations import Operation
from database.resilience.stages import Answer
from database.resilience.stages import Step


def remaining(context: Context, clock: Clock) -> float:
    """Seconds until the deadline, never negative; ``inf`` without one."""
    return max(0.0, context.deadline - clock())


def bounded(inner: Step[Answer], backend: str, timeout: float, clock: Clock) -> Step[Answer]:
    """The stage: calls ``inner`` with a deadline at most ``timeout`` seconds away.

    :param timeout: in seconds; 0 leaves the caller's own deadline alone.
    :raises TimedOut: if the caller's deadline has passed already; nothing is sent.
    """
    if not timeout:
        return in_time(inner, backend, clock)

    def call(operation: Operation, context: Context) -> Answer:
        try:
            now = clock()
            if now >= context.deadline:
                raise TimedOut("the deadline had passed before the call began")
            return inner(operation, context.until(now + timeout))
        except DataError as error:
            _sign(error, backend, operation)
            raise

    return call


def in_time(inner: Step[Answer], backend: str, clock: Clock) -> Step[Answer]:
    """The stage for calls whose deadline is set already. :raises TimedOut: if it has passed; nothing is sent."""

    def call(operation: Operation, context: Context) -> Answer:
        try:
            if clock() >= context.deadline:
                raise TimedOut("the deadline had passed before the call began")
            return inner(operation, context)
        except DataError as error:
            _sign(error, backend, operation)
            raise

    return call


def _sign(error: DataError, backend: str, operation: Operation) -> None:
    if error.backend is None:
        error.backend = backend
    if error.operation is None:
        error.operation = operation.kind
