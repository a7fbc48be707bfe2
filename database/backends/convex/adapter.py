"""A Convex deployment as a backend."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import ClassVar
from urllib.parse import urlsplit

from database.adapter.access_control import AccessRules
from database.adapter.backend import Setup
from database.adapter.base import DatabaseAdapter
from database.backends.buffered.backend import BufferedBackend
from database.backends.buffered.request import CommitRequest
from database.backends.buffered.request import Encoder
from database.backends.buffered.request import Reservation
from database.backends.buffered.request import Validation
from database.backends.buffered.session import BufferedSession
from database.backends.convex.changes import ChangeReader
from database.backends.convex.client import ConvexClient
from database.backends.convex.client import checked_arguments
from database.backends.convex.codec import encode
from database.backends.convex.codec import plain
from database.backends.convex.errors import FunctionReplaced
from database.backends.convex.errors import function_error
from database.backends.convex.errors import internal_error
from database.backends.convex.errors import unknown_function
from database.backends.convex.functions import API_SPEC
from database.backends.convex.functions import RECORD_FUNCTIONS
from database.backends.convex.functions import DeployedFunctions
from database.backends.convex.functions import FunctionListing
from database.backends.convex.functions import Kind
from database.backends.convex.functions import RecordFunction
from database.backends.convex.functions import function_path
from database.backends.convex.functions import lists_records
from database.backends.convex.identity import Authorization
from database.backends.convex.limits import MAX_DEPTH
from database.backends.convex.limits import check_commit
from database.backends.convex.reading import ConvexReader
from database.backends.convex.record_functions import record_operation
from database.backends.convex.record_functions import record_value
from database.changes.feed import ReadChanges
from database.core.capabilities import Capabilities
from database.core.context import Context
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import Unsupported
from database.core.immutable import immutable
from database.core.operations import Call
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import QueryCall
from database.core.operations import Select
from database.core.result import Result
from database.core.tables.access_rules import is_caller
from database.resilience.stages import Handler

_DEFAULT_CONNECTIONS = 16


@immutable
class _ListFunctions(Operation):
    """Requests the list of the deployment's functions and their kinds."""

    kind: ClassVar[str] = "functions"
    reads: ClassVar[bool] = True


class ConvexBackend(BufferedBackend):
    """Reads and commits through the deployment's internal functions with the deploy key, and calls the application's
    functions with the caller's token.
    """

    kind: ClassVar[str] = "convex"
    loads_referrers = True
    capabilities = Capabilities(
        sql="translated",
        calls=True,
        immediate_constraints=False,
        changes=True,
        json_depth=MAX_DEPTH,
        json_number_types=False,
        locks=False,
    )
    config_keys: ClassVar[frozenset[str]] = frozenset({"url", "key", "user_token", "functions"})

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._url = str(self.config.get("url") or "")
        if urlsplit(self._url).scheme not in {"http", "https"}:
            raise TypeError("ConvexAdapter needs the deployment's URL: set 'url' to an http:// or https:// address")
        self._client = ConvexClient(self._url, self.settings.max_concurrency or _DEFAULT_CONNECTIONS)
        self._authorization = Authorization(self.config.get("key"), self.config.get("user_token"))
        self._functions = DeployedFunctions(self.config.get("functions") or {})
        self._access = AccessRules(self)
        self._encoder = Encoder(self.schema, encode)
        reader = ConvexReader(self.schema, self._encoder, self._ask)
        self._handlers: dict[type[Operation], Callable[[Any, Context], Result]] = {
            Ping: self._ping,
            Get: reader.get,
            Select: reader.select,
            ReadChanges: ChangeReader(self._ask).read,
            CommitRequest: self._commit,
            Validation: self._commit,
            Reservation: self._reserve,
            Call: self._call_function,
            QueryCall: self._call_function,
            _ListFunctions: self._list_functions,
        }

    def transmit(self, operation: Operation, context: Context) -> Result:
        handler = self._handlers.get(type(operation))
        if handler is None:
            raise Unsupported(operation.kind, backend=self.name)
        return handler(operation, context)

    def function_inside(self, session: BufferedSession, operation: Call, context: Context) -> Result:
        """Call a function inside a transaction.

        A query runs on the deployment as long as the transaction has no changes, which it could not see. A record
        function, made by ``recordFunctions``, becomes an operation of the transaction. Any other mutation runs when
        the transaction commits, and its ``value`` is a :class:`~database.core.deferred.Deferred`.
        """
        call, kind = self._resolve(session.read, operation, context)
        if call.reads and not session.changed:
            return session.read(call, context)
        function = self._functions.record(call.function)
        if function is not None and function.table in self.schema:
            return self._join(session, call, function, context)
        if is_caller(context.identity) and self._functions.internal(call.function):
            # The commit has the deploy key and could run it, but the caller may not call internal functions.
            raise unknown_function(call.function)
        if kind == "mutation":
            own = Call(call.function, checked_arguments(call.function, call.arguments))
            return Result(value=session.defer(own, context.identity), returns_rows=False)
        raise self._not_inside(call, kind)

    def _join(self, session: BufferedSession, call: Call, function: RecordFunction, context: Context) -> Result:
        operation = record_operation(call, function)
        if is_caller(context.identity):
            operation = self._access.permitted(operation, context.identity).operation
        result = session.join(call, operation, context)
        return Result(value=record_value(function, self.schema.table(function.table), result), returns_rows=False)

    def _not_inside(self, call: Call, kind: str | None) -> DataError:
        if kind is None:
            return unknown_function(call.function)
        reason = (
            "a query of the application does not see the transaction's uncommitted changes: call it before the first "
            "change, or read the tables, which include the changes"
            if call.reads
            else "an action cannot be rolled back with the transaction: call it after the commit"
        )
        detail = f"{call.function} cannot be called at this point of a transaction: {reason}"
        return Unsupported("calls", backend=self.name, detail=detail)

    def enforces_access(self, operation: Operation) -> bool:
        """Only for function calls, which carry the caller's token; rows are read with the deploy key."""
        return isinstance(operation, Call)

    def open(self, context: Context) -> None:
        """Nothing to do: the first requests open the connections."""

    def close(self) -> None:
        self._client.close()

    def abandon(self) -> None:
        """Nothing to abandon: the forked child gets its own client."""

    def describe(self) -> dict[str, Any]:
        return {"url": self._url}

    def _carry_out(self, send: Handler, operation: Operation, context: Context) -> Result:
        if type(operation) is Call:
            operation, _ = self._resolve(send, operation, context)
        return super()._carry_out(send, operation, context)

    def _resolve(self, send: Handler, operation: Call, context: Context) -> tuple[Call, Kind | None]:
        """Look up a function: the call with its path, as a ``QueryCall`` if it is a query, and the function's kind."""
        path = function_path(operation.function)
        if not isinstance(operation.arguments, Mapping):
            raise InvalidQuery(f"the arguments of {path} must be a mapping of names to values")
        kind = self._functions.kind(path, lambda: send(_ListFunctions(), context).value)
        return (QueryCall if kind == "query" else Call)(path, operation.arguments), kind

    # Round trips

    def _ping(self, _: Ping, context: Context) -> Result:
        # The cheapest call that verifies the deploy key and that the functions are deployed.
        self._ask("get", {"table": next(iter(self.schema)).name, "id": ""}, context)
        return Result()

    def _commit(self, request: CommitRequest, context: Context) -> Result:
        check_commit(request, self.schema)
        identity = context.identity
        arguments = {
            **self._encoder.commit(request, identity.subject if identity else None),
            "calls": [{"path": call.function, "args": dict(call.arguments)} for call in request.calls],
        }
        if request.joined:
            arguments["joined"] = list(request.joined)
        try:
            answer = self._client.call(
                "mutation",
                "isthmus:commit",
                arguments,
                context,
                authorization=self._authorization.acting(identity) if request.calls else self._authorization.admin(),
                reads=request.reads,
                failed=internal_error,
            )
        except FunctionReplaced:
            self._functions.forget()
            raise
        return Result(value=[plain(value) for value in answer["values"]])

    def _reserve(self, operation: Reservation, context: Context) -> Result:
        answer = self._client.call(
            "mutation",
            "isthmus:reserve",
            {"table": operation.table, "count": operation.count},
            context,
            authorization=self._authorization.admin(),
            reads=operation.reads,
            failed=internal_error,
        )
        first = plain(answer)
        return Result(value=range(first, first + operation.count))

    def _call_function(self, call: Call, context: Context) -> Result:
        value = self._client.call(
            self._functions.known(call.function) or f"run/{call.function.replace(':', '/')}",
            call.function,
            call.arguments,
            context,
            authorization=self._authorization.caller(context.identity),
            reads=call.reads,
            failed=function_error,
        )
        return Result(value=plain(value), returns_rows=False)

    def _list_functions(self, _: _ListFunctions, context: Context) -> Result:
        spec = self._query(API_SPEC, {}, context)
        records = self._query(RECORD_FUNCTIONS, {}, context) if lists_records(spec) else ()
        return Result(value=FunctionListing(spec, records))

    def _ask(self, function: str, arguments: Mapping[str, Any], context: Context) -> Any:
        return self._query(f"isthmus:{function}", arguments, context)

    def _query(self, path: str, arguments: Mapping[str, Any], context: Context) -> Any:
        authorization = self._authorization.admin()
        return self._client.call(
            "query", path, arguments, context, authorization=authorization, reads=True, failed=internal_error
        )


class ConvexAdapter(DatabaseAdapter):
    """Adapter for a deployment of the functions in ``database/convex_functions``.

    :param config: ``url``; ``key``, the deploy key; ``user_token``, the caller's token where the context has no
        identity; ``functions``, a mapping of function paths to kinds, for functions that are called as declared,
        without asking the deployment for their kinds; and the keys common to all adapters.
    """

    backend_class: ClassVar[type[ConvexBackend]] = ConvexBackend
    backend: ConvexBackend


def create_convex_adapter(config: Mapping[str, Any]) -> ConvexAdapter:
    """Create an adapter from a configuration as :class:`ConvexAdapter` takes it."""
    return ConvexAdapter(config)
