"""The fallback: while a store cannot be reached, writes are kept in a journal, and carried out when it is back.

The journal is asked before each operation. As long as something is pending, it is carried out first, so that a store
that is back is never read or changed behind what was acknowledged without it. This holds for all processes that share
the journal.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from threading import RLock
from typing import Any
from typing import ClassVar
from typing import Final

from database.core.context import Context
from database.core.context import active_unit
from database.core.context import current_context
from database.core.context import on_its_own
from database.core.errors import DataError
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.stages import Handler
from storage.core.backend import require_etag
from storage.core.backend import require_expected
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import Stored
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageOutcomeUnknown
from storage.core.errors import is_outage
from storage.core.layer import Layer
from storage.core.layer import require_one_tenant
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import written
from storage.core.store import Store
from storage.layers.fallback.healing import Healing
from storage.layers.fallback.healing import Known
from storage.layers.fallback.journal import Journal
from storage.layers.fallback.journal import Record
from storage.layers.fallback.journal import is_conditional
from storage.layers.written import report

logger = logging.getLogger(__name__)

MOST_PENDING: Final = 10_000


class Fallback(Layer):
    """Takes writes while the store cannot be reached.

    Only an error that says that nothing was applied leads here; the caller of a write of unknown outcome is told so.
    What the journal knows of a key holds: it is read, and conditions on it are decided. What it does not know is
    refused with the error of the outage: reads, conditional writes and deletions of other keys, listings and queries.
    Inside a transaction everything is refused, because it could not be rolled back.

    :param to: where the writes are kept: a durable store that is shared by all processes that use this one.
    :param most: how many operations are kept at most; then writes are refused, too.
    :param name: of the store itself, for :func:`~storage.layers.written.written_to`.
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
        require_one_tenant(inner, "a fallback")
        self._joins = inner.joins
        return super().offers(inner)

    def around(self, inner: Handler) -> Handler:
        self._healing = Healing(self._journal, inner, self._primary, self.counts)

        def call(operation: Operation, context: Context) -> Result:
            if self._joins and active_unit.get() is not None:
                return inner(operation, context)
            beyond: Handler | None = inner
            try:
                self._heal(context)
                beyond = None
                result = inner(operation, context)
            except DataError as error:
                if not is_outage(error):
                    raise
                return self._without(operation, error, beyond)
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
        return self._heal(current_context.get())

    def places(self) -> Iterable[Store]:
        return (self._to,)

    def _heal(self, context: Context) -> int:
        with on_its_own():
            if self._journal.is_empty():
                return 0
            with self._lock:
                return self._healing.carry_out(context)

    def _without(self, operation: Operation, error: DataError, beyond: Handler | None) -> Result:
        """The answer of the journal.

        :param beyond: reads what the journal does not know, if that was not tried: a mirror behind may have it.
        """
        if isinstance(operation, Fetch):
            return Result(value=self._read(operation, error, beyond), source=self._to.name)
        if isinstance(operation, FetchMany):
            found = [self._read(Fetch(key), error, beyond) for key in operation.keys]
            return Result(value=[entry for entry in found if entry is not None], source=self._to.name)
        if not written(operation):
            raise error
        with on_its_own(), self._lock:
            value = self._append(operation, error)
        report(self._primary, written=False)
        report(self._to.name, written=True)
        return Result(value=value, source=self._to.name)

    def _read(self, fetch: Fetch, error: DataError, beyond: Handler | None) -> Stored | None:
        with on_its_own(), self._lock:
            self._journal.catch_up()
            found = self._journal.latest(fetch.key)
        if found is None:
            if beyond is None:
                raise error
            entry: Stored | None = beyond(fetch, current_context.get()).value
            return entry
        self.counts["read"] += 1
        entry = _left_by(found[1])
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
        if key not in known and (isinstance(operation, Remove) or is_conditional(operation)):
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
        return _left_by(part)

    def _confirm(self, record: Record, bases: list[Record]) -> None:
        """Make a decided write unconditional, if what it was decided by was still pending when it was added.

        Otherwise another process has reached the store, and may have changed the entry there.
        """
        if not is_conditional(record.operation):
            return
        if all(self._journal.has(base) for base in bases) and self._journal.replace(record, _decided(record.operation)):
            return
        self._journal.remove(record)
        raise StorageOutcomeUnknown(f"{self._primary} came back while the write was kept for it; read the entry again")


def _left_by(part: Put | Remove) -> Stored | None:
    return part.entry if isinstance(part, Put) else None


def _decided(operation: Operation) -> Operation:
    """The operation without its conditions."""
    if isinstance(operation, Batch):
        return Batch(tuple(map(_decided, operation.operations)))
    return replace(operation, expected=None) if isinstance(operation, Put | Remove) else operation
