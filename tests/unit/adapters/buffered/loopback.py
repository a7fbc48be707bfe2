"""The smallest backend that takes commits: tables in this process, and the rules that the real ones follow."""

from __future__ import annotations

import threading
from typing import Any
from typing import ClassVar

from database.adapter.backend import Setup
from database.adapter.base import DatabaseAdapter
from database.backends.buffered.backend import BufferedBackend
from database.backends.buffered.request import CommitRequest
from database.backends.buffered.request import Step
from database.backends.memory.tables import Tables
from database.core.capabilities import Capabilities
from database.core.context import Context
from database.core.errors import ConstraintViolated
from database.core.errors import SerializationFailure
from database.core.operations import Get
from database.core.operations import Operation
from database.core.result import Result


class LoopbackBackend(BufferedBackend):
    """Carries out commits on tables in memory.

    :ivar sent: every operation that was transmitted.
    """

    kind: ClassVar[str] = "loopback"
    capabilities = Capabilities(sql="translated", immediate_constraints=False, locks=False, durable=False)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.sent: list[Operation] = []
        self._committing = threading.Lock()
        self._tables = Tables(self.schema)
        self._keys: set[str] = set()

    def transmit(self, operation: Operation, context: Context) -> Result:
        return self.deliver(operation, context)

    def deliver(self, operation: Operation, context: Context) -> Result:
        """What a round trip does; a test may put something around it."""
        self.sent.append(operation)
        with self._committing:
            if isinstance(operation, CommitRequest):
                return self._commit(operation)
            return self._tables.execute(operation)

    def open(self, context: Context) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...

    def describe(self) -> dict[str, Any]:
        return {}

    def _commit(self, request: CommitRequest) -> Result:
        if request.key in self._keys:
            return Result(value=[])
        changed = _Committed(self.schema, self._tables)
        if any(self._tables.execute(Get(seen.table, seen.id)).first != seen.row for seen in request.seen):
            raise SerializationFailure("a record has changed")
        if any(self._tables.execute(part.query).rows != list(part.rows) for part in request.ranges):
            raise SerializationFailure("a range has changed")
        for index, step in enumerate(request.steps):
            changed.take(step, index)
        changed.check()
        self._tables = changed
        self._keys.add(request.key)
        return Result(value=[])


class LoopbackAdapter(DatabaseAdapter):
    """An adapter on that backend."""

    backend_class: ClassVar[type[LoopbackBackend]] = LoopbackBackend
    backend: LoopbackBackend


class _Committed(Tables):
    """The tables with the steps of a commit taken; references are checked at its end."""

    def __init__(self, schema: Any, tables: Tables) -> None:
        super().__init__(schema, tables.copy()._rows)

    def take(self, step: Step, index: int) -> None:
        table = self._schema.table(step.table)
        there = step.id in self._rows[step.table]
        if step.kind == "insert" and there:
            raise ConstraintViolated("there is such a record", constraint=f"{step.table}.id", row=index)
        if step.row is None:
            self._erase(table, step.id)
        else:
            self._check_unique(table, step.row, index)
            self._put(table, step.row)

    def check(self) -> None:
        for table in self._schema:
            for row in self._rows[table.name].values():
                self._check_references(table, row, None)
