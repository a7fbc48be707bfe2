"""Base class of backends that support reads and atomic commits, but no interactive transactions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

from database import translation
from database.adapter.backend import Backend
from database.adapter.backend import Stages
from database.adapter.transactions import Session
from database.backends.buffered.session import BufferedSession
from database.core.clock import monotonic
from database.core.context import Context
from database.core.deferred import Deferred
from database.core.errors import ConstraintViolated
from database.core.errors import Unsupported
from database.core.operations import Batch
from database.core.operations import Call
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Sql
from database.core.operations import Upsert
from database.core.operations import reads_only
from database.core.result import Result
from database.resilience.deadline import bounded
from database.resilience.repetition import repeated
from database.resilience.stages import Handler


class BufferedBackend(Backend):
    """Executes every operation as one or more round trips; each passes through the whole pipeline.

    A write outside a transaction is a transaction of one operation: it reads the rows it changes, commits, and is
    retried after a conflict. The commit has an idempotency key, so it is applied at most once even if a response is
    lost.
    """

    loads_referrers: ClassVar[bool] = False
    """Whether rows that go with a deleted one are deleted here, because the backend itself does not."""

    makes_defaults: ClassVar[bool] = False
    """Whether the backend makes the defaults that only a SQL database can make, at the commit."""

    @abstractmethod
    def transmit(self, operation: Operation, context: Context) -> Result:
        """Make one round trip for ``Get``, ``Select``, ``Call``, ``Ping`` or a
        :class:`~database.backends.buffered.request.CommitRequest`. The ``value`` of a commit's result lists the return
        values of its calls, and its ``rows`` are the tables and addresses of records that were stored in another form
        than they were sent.
        """

    def function_inside(self, session: BufferedSession, operation: Call, context: Context) -> Result:
        """Call a function inside a transaction. :raises Unsupported: unless the backend can include it in one."""
        raise Unsupported("calls", backend=self.name, detail=f"{self.name} cannot call a function inside a transaction")

    def execute(self, operation: Operation, context: Context) -> Result:
        return self._carry_out(self.transmit, operation, context)

    def open_session(self, context: Context) -> Session:
        return self._session(self.transmit)

    @property
    def handler(self) -> Handler:
        return self.transmit

    def call_through(self, stages: Stages) -> Handler:
        send = stages.pipeline.call

        def call(operation: Operation, context: Context) -> Result:
            self.refuse_unsupported(operation)
            return self._carry_out(send, operation, context)

        return self._bounded(call)

    def call_inside(self, stages: Stages, handler: Handler) -> Handler:
        # Each round trip of the session passes through the pipeline separately.
        return self._bounded(handler)

    def begin(self, stages: Stages, context: Context, *, reads: bool) -> Session:
        stages.pipeline.hold(context)
        return self._session(stages.pipeline.inside(stages.handler))

    def _bounded(self, handler: Handler) -> Handler:
        return bounded(handler, self.name, self.settings.timeout, monotonic)

    def _session(self, send: Handler) -> BufferedSession:
        return BufferedSession(
            self.schema,
            send,
            self.function_inside,
            tells_apart=self.capabilities.row_security,
            loads_referrers=self.loads_referrers,
            makes_defaults=self.makes_defaults,
        )

    def _carry_out(self, send: Handler, operation: Operation, context: Context) -> Result:
        if isinstance(operation, Call):
            return send(operation, context)
        if not reads_only(operation):
            return self._write(send, operation, context)
        if isinstance(operation, Sql):
            return translation.run_sql(operation, self.schema, lambda part: self._carry_out(send, part, context))
        if isinstance(operation, Batch):
            return self._transact(send, operation, context)
        return send(operation, context)

    def _write(self, send: Handler, operation: Operation, context: Context) -> Result:
        try:
            return self._transact(send, operation, context)
        except ConstraintViolated as error:
            if not isinstance(operation, Insert | Upsert) or getattr(operation, "ignore_duplicates", False):
                error.row = None
            raise

    def _transact(self, send: Handler, operation: Operation, context: Context) -> Result:
        """Execute ``operation`` in a transaction, retried if it conflicts with another one."""

        def attempt() -> Result:
            session = self._session(send)
            result = session.execute(operation, context)
            session.flush(context)
            return _settled(result) if isinstance(operation, Batch) else result

        return repeated(attempt, deadline=context.deadline, times_out=True)


def _settled(result: Result) -> Result:
    """The result with each deferred value replaced by the function's return value."""
    if isinstance(result.value, Deferred):
        return replace(result, value=result.value.value)
    return replace(result, parts=[_settled(part) for part in result.parts]) if result.parts else result
