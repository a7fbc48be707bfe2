"""Transactions of identity's own, which hold whatever the request's answer is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from database.adapters.face import Database
from database.core.context import active_unit
from database.core.context import as_application
from database.core.errors import Conflict
from database.core.errors import SerializationFailure
from database.resilience.repetition import repeated

Answer = TypeVar("Answer")


def atomically(database: Database, work: Callable[[], Answer]) -> Answer:
    """Carry out ``work`` in a transaction of its own, as the service, and again if another one came first.

    It is committed when this returns, and the request's unit of work has no part in it: an answer of 401 does not
    undo it. Not for use while that unit holds a transaction open, which may wait for the same lock.

    :param work: may run several times; what it raises undoes it.
    :raises SerializationFailure: if others came first again and again.
    """
    outer = active_unit.set(None)
    try:
        with as_application():
            return repeated(lambda: _once(database, work))
    finally:
        active_unit.reset(outer)


def _once(database: Database, work: Callable[[], Answer]) -> Answer:
    try:
        with database.transaction():
            return work()
    except Conflict as error:
        # The versions that it expected were read in the same transaction: so even that is a race which it lost.
        raise SerializationFailure(error.message, backend=error.backend, operation=error.operation) from error
