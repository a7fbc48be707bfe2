"""The mirror: each write goes to the store and to its copies, and what a copy has missed is repaired.

A write is marked in a durable queue before it begins, and the mark stays until every copy has what the store has. So
nothing that happens in between, not even the end of the process, leaves a difference of which nobody knows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from typing import ClassVar
from typing import Final

from database.core.context import Context
from database.core.context import active_unit
from database.core.context import current_context
from database.core.context import on_its_own
from database.core.errors import DataError
from database.core.errors import Outcome
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.result import Result
from database.resilience.stages import Handler
from database.unit_of_work import UnitOfWork
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import DAMAGED
from storage.core.entry import Stored
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageCorruptError
from storage.core.errors import is_outage
from storage.core.layer import Layer
from storage.core.layer import Repaired
from storage.core.layer import require_one_tenant
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import written
from storage.core.store import Store
from storage.layers.mirror.copies import Copies
from storage.layers.mirror.integrity import Integrity
from storage.layers.mirror.repair_queue import Mark
from storage.layers.mirror.repair_queue import RepairQueue
from storage.layers.written import report

logger = logging.getLogger(__name__)

PATIENCE: Final = 900.0

_ATTEMPTS: Final = 20


class Mirrors(Layer):
    """Keeps copies of all entries in other stores.

    A write is acknowledged when the store itself has it; :func:`~storage.layers.written.written_to` says which copies
    do. One that was not reached gets it by :meth:`repair`. A write in a transaction reaches the copies after its
    commit. While the store is out of reach, or an entry there is damaged, a copy answers reads, unless it may be
    behind.

    :param copies: the other stores by their names.
    :param queue: where writes are marked: a durable store that is shared by all processes that use this one. For a
        store that joins transactions, one of the same database makes both one commit.
    :param name: of the store itself, for :func:`~storage.layers.written.written_to`.
    :param patience: seconds after which no write or transaction is under way any more.
    """

    name: ClassVar[str] = "mirror"

    def __init__(
        self, copies: Mapping[str, Store], queue: Store, *, name: str = "main", patience: float = PATIENCE
    ) -> None:
        super().__init__()
        if not queue.capabilities.durable:
            raise StorageConfigurationError(
                f"the repair queue {queue.name} must be durable; give it files, or a table of the database"
            )
        if not copies or name in copies:
            raise StorageConfigurationError(f"a mirror must have copies, with other names than {name}")
        self._main = name
        self._copies = Copies(name, copies, self._own, self.counts)
        self._queue = RepairQueue(queue, patience)
        self._joins = False

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        require_one_tenant(inner, "a mirror")
        self._joins = inner.joins
        # What a copy cannot take would never be repaired.
        largest = min([inner.largest, *(copy.capabilities.largest for copy in self._copies.stores.values())])
        return replace(super().offers(inner), largest=largest)

    def around(self, inner: Handler) -> Handler:
        self._inner = inner

        def call(operation: Operation, context: Context) -> Result:
            if isinstance(operation, Clear):
                return self._sweep(operation, context) if operation.past else self._write(operation, context)
            if written(operation):
                return self._write(operation, context)
            return inner(operation, context) if isinstance(operation, Ping) else self._read(operation, context)

        return call

    def repair(self) -> Repaired:
        """Bring up to date what copies have missed. It may be called at any time, by any process."""
        done = left = 0
        with on_its_own():
            for mark in self._queue.marks():
                # Before they are compared: what is written after that has a mark of its own.
                is_over = self._queue.is_over(mark)
                if self._copies.make_equal(mark) and is_over:
                    self._queue.release(mark)
                    done += 1
                else:
                    left += 1
        return Repaired(done, left)

    def verify_integrity(self, *, bodies: bool = False, repair: bool = False) -> Integrity:
        """Compare all entries with their copies. Sweep first, or expired entries count as differences.

        :param bodies: compare the bodies, too, and not only the versions.
        :param repair: bring the copies up to date.
        """
        with on_its_own():
            return self._copies.compared(bodies=bodies, repair=repair)

    def places(self) -> Iterable[Store]:
        return (self._queue.store, *self._copies.stores.values())

    def _own(self, operation: Operation) -> Any:
        return self._inner(operation, current_context.get()).value

    # Writes

    def _write(self, operation: Operation, context: Context) -> Result:
        joined = self._joins and active_unit.get() is not None
        prefix = operation.prefix if isinstance(operation, Clear) else None
        with _apart(joined=joined):
            mark = self._queue.mark(written(operation), prefix)
        try:
            result = self._inner(operation, context)
        except DataError as error:
            # Of unknown outcome, it may still be under way.
            if not joined and error.outcome is Outcome.NOT_APPLIED:
                with on_its_own():
                    self._queue.release(mark)
            raise
        report(self._main, written=True)
        if joined:
            self._wait(mark)
        else:
            with on_its_own():
                self._copy(operation, mark)
        return result

    def _wait(self, mark: Mark) -> None:
        """Leave the copies until the transaction has ended; a repair does it, if nobody tells when that is."""
        for name in self._copies.stores:
            report(name, written=False)
        unit = active_unit.get()
        if isinstance(unit, UnitOfWork):
            unit.after_commit(lambda: self._finish(mark))
            unit.after_rollback(lambda: self._finish(mark))

    def _finish(self, mark: Mark) -> None:
        with on_its_own():
            self._end(mark, are_equal=self._copies.make_equal(mark))

    def _end(self, mark: Mark, *, are_equal: bool) -> None:
        if are_equal:
            self._queue.release(mark)
        else:
            self._queue.make_due(mark)

    def _copy(self, operation: Operation, mark: Mark) -> None:
        """Send a write to the copies.

        The last one who writes a copy looks whether the store still has what he wrote. So copies end equal, in whatever
        order several writers reach them.
        """
        outcomes = {self._send(name, copy, operation) for name, copy in self._copies.stores.items()}
        if Outcome.UNKNOWN in outcomes:
            return  # it may still be under way
        is_everywhere = outcomes == {Outcome.APPLIED}
        self._end(mark, are_equal=is_everywhere and (self._is_current(operation) or self._copies.make_equal(mark)))

    def _send(self, name: str, copy: Store, operation: Operation) -> Outcome:
        try:
            for part in _parts(operation, copy.capabilities):
                copy.run(part)
        except DataError as error:
            logger.warning("the copy %s has missed a write, and is repaired later: %s", name, error)
            self.counts["missed"] += 1
            report(name, written=False)
            return error.outcome
        self.counts["copied"] += 1
        report(name, written=True)
        return Outcome.APPLIED

    def _is_current(self, operation: Operation) -> bool:
        """Whether the store still has what an operation has written."""
        if isinstance(operation, Clear):
            return False
        etags = written(operation)
        try:
            heads = {key: self._own(Fetch(key, head=True)) for key in etags}
        except DataError:
            return False
        return etags == {key: head and head.etag for key, head in heads.items()}

    def _sweep(self, clear: Clear, context: Context) -> Result:
        result = self._inner(clear, context)
        with on_its_own():
            for name, copy in self._copies.stores.items():
                self._send(name, copy, clear)
        return result

    # Reads

    def _read(self, operation: Operation, context: Context) -> Result:
        try:
            result = self._inner(operation, context)
        except DataError as error:
            if not is_outage(error) or (self._joins and active_unit.get() is not None):
                raise
            return self._from_copy(operation, error)
        return self._instead_of_damaged(operation, result)

    def _from_copy(self, operation: Operation, error: DataError) -> Result:
        """What a copy has. :raises DataError: ``error``, if none can be reached, or if it may be behind."""
        with on_its_own():
            if self._may_differ(operation):
                raise error
            for name, copy in self._copies.stores.items():
                try:
                    value = copy.run(operation)
                except DataError as unreachable:
                    if not is_outage(unreachable):
                        raise
                else:
                    self.counts["read_from_copy"] += 1
                    return Result(value=value, source=name)
        raise error

    def _may_differ(self, operation: Operation) -> bool:
        keys = _read_keys(operation)
        if keys is None:
            return not self._queue.is_empty()
        return any(mark.covers(key) for mark in self._queue.marks() for key in keys)

    def _instead_of_damaged(self, operation: Operation, result: Result) -> Result:
        """The result with the copy of an entry that is damaged, if there is one that is not."""
        value = result.value
        if isinstance(operation, Fetch) and isinstance(value, Stored) and DAMAGED in value.headers:
            try:
                copy: Stored | None = self._from_copy(operation, StorageCorruptError(value.key, "")).value
            except DataError:
                return result
            if copy is not None and DAMAGED not in copy.headers:
                logger.warning("the entry %.64r is damaged; a copy was read instead", value.key)
                result.value = copy
        return result


def _apart(*, joined: bool) -> AbstractContextManager[None]:
    return nullcontext() if joined else on_its_own()


def _parts(operation: Operation, capabilities: StoreCapabilities) -> Iterator[Operation]:
    """What is sent to a copy: without conditions, which the store has decided."""
    if isinstance(operation, Put | Remove):
        yield replace(operation, expected=None)
    elif isinstance(operation, Batch):
        parts = [part for one in operation.operations for part in _parts(one, capabilities)]
        yield from [Batch(tuple(parts))] if capabilities.batches else parts
    else:
        yield operation


def _read_keys(operation: Operation) -> tuple[str, ...] | None:
    """The keys that an operation reads; None if it finds them itself."""
    if isinstance(operation, Fetch):
        return (operation.key,)
    return operation.keys if isinstance(operation, FetchMany) else None
