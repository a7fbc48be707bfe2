"""Carrying out what a journal has kept, when the store is back."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

from database.core.clock import monotonic
from database.core.context import Context
from database.core.errors import OutcomeUnknown
from database.core.errors import RequestError
from database.core.operations import Batch
from database.core.operations import Operation
from database.resilience.stages import Handler
from storage.core.entry import ABSENT
from storage.core.entry import Stored
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageTimeoutError
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import written
from storage.layers.fallback.journal import Journal
from storage.layers.fallback.journal import Record
from storage.layers.fallback.journal import is_conditional

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 100

Known = dict[str, Stored | None]
"""Entries as operations leave them; None for one that is deleted."""


class Healing:
    """Carries out the records of a journal, one after another.

    Several processes may do so at once. Each write is conditional on what was there before its record was seen to be
    pending. So it does not replace what another process has made of the record, nor what was written after that.

    :param handler: the store.
    :param name: of the store, in messages.
    :param counts: gets the numbers of what was carried out, and of what was refused.
    """

    def __init__(self, journal: Journal, handler: Handler, name: str, counts: Counter[str]) -> None:
        self._journal = journal
        self._handler = handler
        self._name = name
        self._counts = counts

    def carry_out(self, context: Context) -> int:
        """Carry out all that is pending; returns how many operations.

        :raises StorageConnectionError: if the store cannot be reached, or an answer of it was lost.
        :raises StorageTimeoutError: at the deadline of the context. The rest stays pending.
        """
        number = 0
        for record in self._journal.records():
            if monotonic() >= context.deadline:
                raise StorageTimeoutError(
                    f"{self._name} is being brought up to date, and the deadline has passed; try again later"
                )
            self._carry_out(record, context)
            number += 1
        return number

    def _carry_out(self, record: Record, context: Context) -> None:
        try:
            self._send(record, context)
        except OutcomeUnknown as error:
            # It is nobody's own write; what was applied is found when it is tried again.
            raise StorageConnectionError(f"{self._name} could not be brought up to date: {error}") from error
        except RequestError as error:
            if self._journal.has(record):
                logger.error("%s refuses a write that was made while it was out of reach: %s", self._name, error)
                self._journal.refuse(record)
                self._counts["refused"] += 1
            return
        self._journal.remove(record)
        self._counts["carried_out"] += 1

    def _send(self, record: Record, context: Context) -> None:
        for _ in range(_ATTEMPTS):
            operation = self._chained(record.operation, {}, context)
            if operation is None or not self._journal.has(record):
                return
            try:
                self._handler(operation, context)
            except StorageConflictError:
                if is_conditional(record.operation):
                    raise
            else:
                return
        raise StorageTimeoutError(f"{self._name} changes all the time while it is brought up to date")

    def _chained(self, operation: Operation, known: Known, context: Context) -> Operation | None:
        """The operation on condition that the entry is as it is now; None if nothing is left to be deleted."""
        if isinstance(operation, Batch):
            parts = [self._chained(part, known, context) for part in operation.operations]
            left = tuple(part for part in parts if part is not None)
            return Batch(left) if left else None
        (key,) = written(operation)
        present: Stored | None = known[key] if key in known else self._handler(Fetch(key, head=True), context).value
        if isinstance(operation, Put):
            known[key] = operation.entry
            etag = ABSENT if present is None or present.is_past(operation.entry.stored_at) else present.etag
            return Put(operation.entry, etag if operation.expected is None else operation.expected)
        assert isinstance(operation, Remove)
        known[key] = None
        return None if present is None else Remove(key, operation.now, operation.expected or present.etag)
