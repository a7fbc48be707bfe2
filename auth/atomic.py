"""Transactions of identity's own, which hold whatever the request's answer is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from typing import TypeVar

from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_attempt
from tenacity import wait_random_exponential

from database.adapters.face import Database
from database.core.context import active_unit
from database.core.context import as_application
from database.core.errors import Conflict

Answer = TypeVar("Answer")

_ATTEMPTS: Final = 8
_FIRST_WAIT: Final = 0.02
_LONGEST_WAIT: Final = 0.5


def atomically(database: Database, work: Callable[[], Answer]) -> Answer:
    """Carry out ``work`` in a transaction of its own, as the service, and again if another one came first.

    It is committed when this returns, and the request's unit of work has no part in it: an answer of 401 does not
    undo it. Not for use while that unit holds a transaction open, which may wait for the same lock.

    :param work: may run several times; what it raises undoes it.
    :raises Conflict: if others came first again and again.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(Conflict),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(_FIRST_WAIT, _LONGEST_WAIT),
        reraise=True,
    )
    outer = active_unit.set(None)
    try:
        with as_application():
            answer: Answer = attempts(_once, database, work)
            return answer
    finally:
        active_unit.reset(outer)


def _once(database: Database, work: Callable[[], Answer]) -> Answer:
    with database.transaction():
        return work()
