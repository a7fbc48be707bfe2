"""A transaction without a backend's help: it reads, works on a replica of what it read, and commits in one request."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import Protocol

from database.adapters.buffered.replica import Point
from database.adapters.buffered.replica import Replica
from database.adapters.buffered.request import CommitRequest
from database.adapters.buffered.request import Range
from database.adapters.session import Session
from database.adapters.translation import run_sql
from database.core.checks import MAX_IN
from database.core.checks import checked_filter
from database.core.checks import checked_id
from database.core.checks import checked_order
from database.core.checks import checked_range
from database.core.clock import utc_now
from database.core.context import Context
from database.core.errors import ConstraintViolated
from database.core.errors import TransactionError
from database.core.operations import Batch
from database.core.operations import Call
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query import Where
from database.core.records import complete_rows
from database.core.result import Result
from database.core.schema import Schema
from database.core.schema import new_id
from database.core.targets import target
from database.resilience.policy import Handler


class Deferred:
    """The answer of a function that runs when its transaction commits.

    :ivar value: what it returned. :raises TransactionError: before the commit, and after a rollback.
    """

    def __init__(self) -> None:
        self._values: list[Any] = []

    @property
    def value(self) -> Any:
        if not self._values:
            raise TransactionError("the function runs when the transaction commits; there is no answer yet")
        return self._values[0]

    def settle(self, value: Any) -> None:
        """Note what the function returned."""
        self._values = [value]


class CallInside(Protocol):
    """How a backend lets a function take part in a transaction."""

    def __call__(self, session: BufferedSession, operation: Call, context: Context, /) -> Result:
        """Run the function, or defer it. :raises Unsupported: if it cannot take part."""


class BufferedSession(Session):
    """Sees the backend as it was when it first looked, and its own changes; nobody sees those before the commit.

    The commit validates every record and every query that the session has read. A session that changed nothing
    sends nothing and validates nothing: its reads are of different moments.

    :param schema: the tables.
    :param send: one round trip to the backend: ``Get``, ``Select``, ``Ping``, ``Call`` and :class:`CommitRequest`.
    :param call: what becomes of a function that is called inside.
    """

    def __init__(self, schema: Schema, send: Handler, call: CallInside) -> None:
        self._schema = schema
        self._send = send
        self._call = call
        self._key = new_id()
        self._replica = Replica(schema)
        self._points: dict[str, tuple[Point, int]] = {}
        self._looked_up: dict[tuple[str, str], None] = {}
        self._ranges: list[Range] = []
        self._deferred: list[tuple[Call, Deferred]] = []
        self._loaders: dict[type[Operation], Callable[[Any, Context], None]] = {
            Get: lambda operation, context: self._load_records(operation.table, [operation.id], context),
            Select: self._load_selected,
            Upsert: self._load_upserted,
            Update: self._load_targeted,
            Delete: self._load_targeted,
        }

    @property
    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._replica.steps or self._deferred)

    def execute(self, operation: Operation, context: Context) -> Result:
        if isinstance(operation, Batch):
            parts = [self.execute(part, context) for part in operation.operations]
            return Result(parts=parts, count=sum(part.count or 0 for part in parts))
        if isinstance(operation, Sql):
            return run_sql(operation, self._schema, lambda part: self.execute(part, context))
        if isinstance(operation, Call):
            return self._call(self, operation, context)
        if isinstance(operation, Ping):
            return self._send(operation, context)
        if load := self._loaders.get(type(operation)):
            load(operation, context)
        return self._replica.execute(operation, context.deadline)

    def read(self, operation: Operation, context: Context) -> Result:
        """Ask the backend itself, past the replica."""
        return self._send(operation, context)

    def defer(self, call: Call) -> Deferred:
        """Run a function at commit, after the changes made so far."""
        answer = Deferred()
        self._deferred.append((call, answer))
        return answer

    def savepoint(self, name: str) -> None:
        self._points[name] = self._replica.point(), len(self._deferred)

    def release(self, name: str) -> None:
        del self._points[name]

    def rollback_to(self, name: str) -> None:
        point, deferred = self._points[name]
        self._replica.go_back(point)
        del self._deferred[deferred:]

    def commit(self, context: Context) -> None:
        try:
            self.flush(context)
        except ConstraintViolated as error:
            error.row = None  # it counts the transaction's changes, which no caller can see
            raise

    def flush(self, context: Context) -> None:
        """Send the commit; again with the same key if it is called again."""
        if not self.changed:
            return
        answer = self._send(self._request(), context)
        for (_, deferred), value in zip(self._deferred, answer.value or (), strict=False):
            deferred.settle(value)

    def rollback(self) -> None:
        """Nothing to do: the backend has not heard of the transaction."""

    def _request(self) -> CommitRequest:
        written = {(step.table, step.id): None for step in self._replica.steps}
        return CommitRequest(
            self._key,
            self._replica.seen(self._looked_up | written),
            tuple(self._ranges),
            tuple(self._replica.steps),
            tuple(call for call, _ in self._deferred),
        )

    def _load_selected(self, operation: Select, context: Context) -> None:
        table = self._schema.table(operation.table)
        order = checked_order(table, () if operation.group else operation.order)
        query = Select(table.name, None, checked_filter(table, operation.where), order, self._reach(operation))
        if all(known.query != query for known in self._ranges):
            rows = self._send(query, context).rows
            self._ranges.append(Range(query, tuple(rows)))
            self._replica.load(table, rows)

    def _reach(self, operation: Select) -> int | None:
        """How many rows to load: those up to the last one wanted, and one more for each that may be gone here."""
        limit = checked_range("limit", operation.limit)
        if limit is None or operation.count or operation.group:
            return None
        return limit + (checked_range("offset", operation.offset) or 0) + len(self._replica.changed(operation.table))

    def _load_upserted(self, operation: Upsert, context: Context) -> None:
        complete_rows(self._schema.table(operation.table), operation.rows, utc_now())
        self._load_records(operation.table, [row["id"] for row in operation.rows if "id" in row], context)

    def _load_targeted(self, operation: Update | Delete, context: Context) -> None:
        table = self._schema.table(operation.table)
        where = target(table, operation)
        if operation.id is not None:
            self._load_records(table.name, [operation.id], context)
        else:
            self._replica.load(table, self._send(Select(table.name, where=where), context).rows)

    def _load_records(self, table: str, ids: Iterable[str], context: Context) -> None:
        schema = self._schema.table(table)
        wanted = dict.fromkeys(checked_id(record_id) for record_id in ids)
        self._looked_up |= {(table, record_id): None for record_id in wanted}
        unknown = [record_id for record_id in wanted if not self._replica.knows(table, record_id)]
        for start in range(0, len(unknown), MAX_IN):
            chunk = unknown[start : start + MAX_IN]
            one = len(chunk) == 1
            query = Get(table, chunk[0]) if one else Select(table, where=Where("id", "in", tuple(chunk)))
            self._replica.load(schema, self._send(query, context).rows)
            for record_id in chunk:
                if not self._replica.knows(table, record_id):
                    self._replica.load_absence(table, record_id)
