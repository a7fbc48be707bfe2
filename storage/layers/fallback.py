"""The fallback: while a store cannot be reached, writes are kept in a journal, and carried out when it is back.

The journal is asked before each operation. As long as something is pending, it is carried out first, so that a store
that is back is never read or changed behind what was acknowledged without it. This holds for all processes that share
the journal.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from threading import RLock
from typing import Any
from typing import ClassVar
from typing import Final

from database.core.clock import monotonic
from database.core.context import Context
from database.core.context import active_unit
from database.core.context import on_its_own
from database.core.errors import DataError
from database.core.errors import Outcome
from database.core.errors import OutcomeUnknown
from database.core.errors import PoolExhausted
from database.core.errors import RequestError
from database.core.errors import Stopped
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.stages import Handler
from storage.core.backend import require_etag
from storage.core.backend import require_expected
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import ABSENT
from storage.core.entry import Stored
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageOutcomeUnknown
from storage.core.errors import StorageTimeoutError
from storage.core.layer import Layer
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import written
from storage.core.store import Store
from storage.core.written import report
from storage.layers.journal import Journal
from storage.layers.journal import Record

logger = logging.getLogger(__name__)

MOST_PENDING: Final = 10_000

_ATTEMPTS: Final = 100

Known = dict[str, Stored | None]
"""Entries as the journal leaves them; None for one that is deleted."""


class Fallback(Layer):
    """Takes writes while the store cannot be reached.

    Only an error that says that nothing was applied leads here; the caller of a write of unknown outcome is told so.
    What the journal knows of a key holds: it is read, and conditions on it are decided. What it does not know is
    refused with the error of the outage: reads, conditional writes and deletions of other keys, listings and queries.
    Inside a transaction everything is refused, because it could not be rolled back.

    :param to: where the writes are kept: a durable store that is shared by all processes that use this one.
    :param most: how many operations are kept at most; then writes are refused, too.
    :param name: of the store itself, for :func:`~storage.core.written.written_to`.
    """

    name: ClassVar[str] = "fallback"

    def __init__(self, to: Store, *, most: int = MOST_PENDING, name: str = "main") -> None:
        super().__init__()
        if not (to.capabilities.durable and to.capabilities.versions):
            raise StorageConfigurationError(
                f"the fallback {to.name} must keep what it acknowledges, and check versions; give it files or a table"
            )
        self._to = to
        self._most = most
        self._primary = name
        self._joins = False
        self._journal = Journal(to)
        self._create_runtime_state()
        rebuild_after_fork(self, Fallback._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._lock = RLock()

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        self._joins = inner.joins
        return inner

    def around(self, inner: Handler) -> Handler:
        self._inner = inner

        def call(operation: Operation, context: Context) -> Result:
            if self._joins and active_unit.get() is not None:
                return inner(operation, context)
            try:
                self._carry_out(context)
                result = inner(operation, context)
            except DataError as error:
                if not is_outage(error):
                    raise
                return self._without(operation, error)
            if written(operation):
                report(self._primary, written=True)
            return result

        return call

    def pending(self) -> int:
        """How many operations are still to be carried out."""
        with on_its_own(), self._lock:
            self._journal.catch_up()
            return len(self._journal)

    def refused(self) -> list[Operation]:
        """Operations that the store has refused when it was back, such as of a value that is too large for it."""
        with on_its_own():
            return [record.operation for record in self._journal.refused()]

    def heal(self) -> int:
        """Carry out what is pending, as the next call of the store does, too; returns how many operations.

        :raises StorageConnectionError: if the store cannot be reached.
        """
        return self._carry_out(Context())

    def close(self) -> None:
        self._to.close()

    # When the store is back

    def _carry_out(self, context: Context) -> int:
        number = 0
        with on_its_own():
            if self._journal.is_empty():
                return 0
            with self._lock:
                for record in self._journal.records():
                    if monotonic() >= context.deadline:
                        raise StorageTimeoutError(
                            f"{self._primary} is being brought up to date, and the deadline has passed; try again later"
                        )
                    self._carry_out_one(record, context)
                    number += 1
        return number

    def _carry_out_one(self, record: Record, context: Context) -> None:
        try:
            self._send(record, context)
        except OutcomeUnknown as error:
            # Nobody's own write: what is applied is found when it is tried again.
            raise StorageConnectionError(f"{self._primary} could not be brought up to date: {error}") from error
        except RequestError as error:
            if self._journal.has(record):
                logger.error("%s refuses a write that was made while it was out of reach: %s", self._primary, error)
                self._journal.refuse(record)
                self.counts["refused"] += 1
            return
        self._journal.remove(record)
        self.counts["carried_out"] += 1

    def _send(self, record: Record, context: Context) -> None:
        """Carry out a record, unless another process has done so.

        Each write is conditional on what was there before the record was seen to be pending. So it does not replace
        what another process has made of it, nor what was written after that.
        """
        for _ in range(_ATTEMPTS):
            operation = self._chained(record.operation, {}, context)
            if operation is None or not self._journal.has(record):
                return
            try:
                self._inner(operation, context)
            except StorageConflictError:
                if _is_conditional(record.operation):
                    raise
            else:
                return
        raise StorageTimeoutError(f"{self._primary} changes all the time while it is brought up to date")

    def _chained(self, operation: Operation, known: Known, context: Context) -> Operation | None:
        """The operation on condition that the entry is as it is now; None if nothing is left to be deleted."""
        if isinstance(operation, Batch):
            parts = [self._chained(part, known, context) for part in operation.operations]
            left = tuple(part for part in parts if part is not None)
            return Batch(left) if left else None
        (key,) = written(operation)
        present: Stored | None = known[key] if key in known else self._inner(Fetch(key, head=True), context).value
        if isinstance(operation, Put):
            known[key] = operation.entry
            etag = ABSENT if present is None or present.is_past(operation.entry.stored_at) else present.etag
            return Put(operation.entry, etag if operation.expected is None else operation.expected)
        assert isinstance(operation, Remove)
        known[key] = None
        return None if present is None else Remove(key, operation.now, operation.expected or present.etag)

    # While the store is out of reach

    def _without(self, operation: Operation, error: DataError) -> Result:
        with on_its_own(), self._lock:
            if isinstance(operation, Fetch):
                return Result(value=self._read(operation, error), source=self._to.name)
            if isinstance(operation, FetchMany):
                found = [self._read(Fetch(key), error) for key in operation.keys]
                return Result(value=[entry for entry in found if entry is not None], source=self._to.name)
            if not written(operation):
                raise error
            value = self._append(operation, error)
        report(self._primary, written=False)
        report(self._to.name, written=True)
        return Result(value=value, source=self._to.name)

    def _read(self, fetch: Fetch, error: DataError) -> Stored | None:
        self._journal.catch_up()
        entry = self._latest(fetch.key, error, [])
        self.counts["read"] += 1
        return entry._replace(body=b"") if entry is not None and fetch.head else entry

    def _append(self, operation: Operation, error: DataError) -> Any:
        while True:
            self._journal.catch_up()
            if len(self._journal) >= self._most:
                raise error
            bases: list[Record] = []
            value = self._decided(operation, {}, error, bases)
            if value is False:
                return value
            record = self._journal.append(operation)
            if record is not None:
                break
        self._confirm(record, bases)
        if len(self._journal) == 1:
            logger.warning(
                "%s is out of reach; its writes are kept in %s until it is back", self._primary, self._to.name
            )
        self.counts["kept"] += 1
        return value

    def _decided(self, operation: Operation, known: Known, error: DataError, bases: list[Record]) -> Any:
        """The value of an operation. :raises StorageConflictError: if its condition does not hold.

        :param bases: gets the records by which that was decided.
        """
        if isinstance(operation, Batch):
            return [self._decided(part, known, error, bases) for part in operation.operations]
        (key,) = written(operation)
        if key not in known and (isinstance(operation, Remove) or _is_conditional(operation)):
            known[key] = self._latest(key, error, bases)
        present = known.get(key)
        if isinstance(operation, Put):
            require_expected(present, operation, self._primary)
            known[key] = operation.entry
            return None
        assert isinstance(operation, Remove)
        require_etag(present, operation, self._primary)
        known[key] = None
        return present is not None and not present.is_past(operation.now)

    def _latest(self, key: str, error: DataError, bases: list[Record]) -> Stored | None:
        """The entry as the journal leaves it. :raises DataError: ``error``, if the journal does not know it."""
        found = self._journal.latest(key)
        if found is None:
            raise error
        record, part = found
        bases.append(record)
        return part.entry if isinstance(part, Put) else None

    def _confirm(self, record: Record, bases: list[Record]) -> None:
        """Make a decided write unconditional, if what it was decided by was still pending when it was added.

        Otherwise another process has reached the store, and may have changed the entry there.
        """
        if not _is_conditional(record.operation):
            return
        if all(self._journal.has(base) for base in bases) and self._journal.replace(record, _decided(record.operation)):
            return
        self._journal.remove(record)
        raise StorageOutcomeUnknown(f"{self._primary} came back while the write was kept for it; read the entry again")


def is_outage(error: DataError) -> bool:
    """Whether the error says that a place is out of reach, and that nothing was applied."""
    if isinstance(error, PoolExhausted | Stopped) or error.outcome is not Outcome.NOT_APPLIED:
        return False
    return isinstance(error, Unavailable | TimedOut)


def _is_conditional(operation: Operation) -> bool:
    if isinstance(operation, Batch):
        return any(map(_is_conditional, operation.operations))
    return isinstance(operation, Put | Remove) and operation.expected is not None


def _decided(operation: Operation) -> Operation:
    """The operation without its conditions."""
    if isinstance(operation, Batch):
        return Batch(tuple(map(_decided, operation.operations)))
    return replace(operation, expected=None) if isinstance(operation, Put | Remove) else operation
