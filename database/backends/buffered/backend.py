"""The base of backends that know reads and commits, and no open transactions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

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
    """Carries out every operation by round trips of its own kind, each with the whole pipeline around it.

    A write on its own is a transaction of one operation: it reads what it changes, commits, and begins anew if
    somebody else was faster. Its commit has a key, so it is made at most once even if an answer is lost.
    """

    @abstractmethod
    def transmit(self, operation: Operation, context: Context) -> Result:
        """One round trip for ``Get``, ``Select``, ``Call``, ``Ping`` or a
        :class:`~database.backends.buffered.request.CommitRequest`, whose result's ``value`` lists what its calls
        returned.
        """

    def function_inside(self, session: BufferedSession, operation: Call, context: Context) -> Result:
        """A function called inside a transaction. :raises Unsupported: unless the backend can have it take part."""
        raise Unsupported(
            "calls", backend=self.name, detail=f"a function cannot take part in a transaction on {self.name}"
        )

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
        # The session's round trips pass through the pipeline one by one.
        return self._bounded(handler)

    def begin(self, stages: Stages, context: Context, *, reads: bool) -> Session:
        stages.pipeline.hold(context)
        return self._session(stages.pipeline.inside(stages.handler))

    def _bounded(self, handler: Handler) -> Handler:
        return bounded(handler, self.name, self.settings.timeout, monotonic)

    def _session(self, send: Handler) -> BufferedSession:
        return BufferedSession(self.schema, send, self.function_inside, tells_apart=self.capabilities.row_security)

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
            if not isinstance(operation, Insert | Upsert):
                error.row = None
            raise

    def _transact(self, send: Handler, operation: Operation, context: Context) -> Result:
        """Carry out ``operation`` as a transaction, which begins anew if another one came first."""

        def attempt() -> Result:
            session = self._session(send)
            result = session.execute(operation, context)
            session.flush(context)
            return _settled(result) if isinstance(operation, Batch) else result

        return repeated(attempt, deadline=context.deadline, times_out=True)


def _settled(result: Result) -> Result:
    """With what the functions have returned by now."""
    if isinstance(result.value, Deferred):
        return replace(result, value=result.value.value)
    return replace(result, parts=[_settled(part) for part in result.parts]) if result.parts else result
