"""Reads that the primary cannot answer, answered by the next adapter in order."""

from __future__ import annotations

import logging
from collections.abc import Callable

from database.adapter.base import DatabaseAdapter
from database.adapter.transactions import Transaction
from database.core.context import current_provenance
from database.core.errors import BackendError
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.core.operations import Operation
from database.core.result import Result
from database.failover.read_fallback import may_stand_in
from database.failover.read_fallback import standing_in
from database.failover.state import Failover

logger = logging.getLogger(__name__)

_ELSEWHERE = (Unavailable, TimedOut)
"""After these a read is tried on the next adapter."""

Answer = tuple[Transaction | None, Result]
"""A result, with the transaction that asking for it began, if it did."""

Ask = Callable[[DatabaseAdapter, Operation], Answer]
"""Asks an adapter."""


def alone(adapter: DatabaseAdapter, operation: Operation) -> Answer:
    """Ask outside of any transaction."""
    return None, adapter.run_alone(operation)


def begun(adapter: DatabaseAdapter, operation: Operation) -> Answer:
    """Ask as the first call of a new transaction."""
    return adapter.begin_to_read(operation)


def read(failover: Failover, operation: Operation, ask: Ask) -> Answer:
    """The answer of the primary, or of a stand-in while it has none; the result of a stand-in says so.

    :raises DataError: the primary's own error if no stand-in can answer.
    """
    state = failover.connected()
    primary = state.adapter
    if state.health.away and len(failover.adapters) > 1:
        answer = _elsewhere(failover, primary, operation, ask)
        return ask(primary, operation) if answer is None else answer
    try:
        answer = ask(primary, operation)
    except _ELSEWHERE:
        other = _elsewhere(failover, primary, operation, ask)
        if other is None:
            raise
        return other
    failover.answered()
    return answer


def _elsewhere(failover: Failover, primary: DatabaseAdapter, operation: Operation, ask: Ask) -> Answer | None:
    """The answer of the first other adapter that has one."""
    for name, adapter in failover.adapters.items():
        if adapter is primary or not may_stand_in(adapter, primary, operation):
            continue
        try:
            transaction, result = ask(adapter, operation)
        except (BackendError, Unsupported) as error:
            logger.info("%s cannot answer for %s: %s", name, primary.name, error)
            continue
        result.source, result.stale_for = name, failover.silent_for
        provenance = current_provenance.get()
        if provenance is not None:
            provenance.note(name, failover.silent_for)
        if transaction is not None:
            transaction.put_around(standing_in(name, adapter, primary, failover))
        return transaction, result
    return None
