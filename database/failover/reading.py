"""Sends reads to the primary, and to the next adapter in order if the primary cannot answer."""

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
"""The errors after which a read is tried on the next adapter."""

ReadResult = tuple[Transaction | None, Result]
"""A result, and the transaction that the read has begun, if any."""

SendRead = Callable[[DatabaseAdapter, Operation], ReadResult]
"""Sends a read to an adapter."""


def alone(adapter: DatabaseAdapter, operation: Operation) -> ReadResult:
    """Read outside of any transaction."""
    return None, adapter.run_alone(operation)


def begun(adapter: DatabaseAdapter, operation: Operation) -> ReadResult:
    """Read as the first call of a new transaction."""
    return adapter.begin_to_read(operation)


def read(failover: Failover, operation: Operation, send: SendRead) -> ReadResult:
    """Read from the primary, or from a fallback if the primary cannot answer; a fallback's result has its ``source``.

    :raises DataError: the primary's error, if no fallback can answer.
    """
    state = failover.connected()
    primary = state.adapter
    if state.health.away and len(failover.adapters) > 1:
        found = _read_fallback(failover, primary, operation, send)
        return send(primary, operation) if found is None else found
    try:
        found = send(primary, operation)
    except _ELSEWHERE:
        other = _read_fallback(failover, primary, operation, send)
        if other is None:
            raise
        return other
    failover.answered()
    return found


def _read_fallback(
    failover: Failover, primary: DatabaseAdapter, operation: Operation, send: SendRead
) -> ReadResult | None:
    """Read from the first fallback that can answer; None if there is none."""
    for name, adapter in failover.adapters.items():
        if adapter is primary or not may_stand_in(adapter, primary, operation):
            continue
        try:
            transaction, result = send(adapter, operation)
        except (BackendError, Unsupported) as error:
            logger.info("the fallback %s cannot answer a read for %s: %s", name, primary.name, error)
            continue
        result.source, result.stale_for = name, failover.silent_for
        provenance = current_provenance.get()
        if provenance is not None:
            provenance.note(name, failover.silent_for)
        if transaction is not None:
            transaction.put_around(standing_in(name, adapter, primary, failover))
        return transaction, result
    return None
