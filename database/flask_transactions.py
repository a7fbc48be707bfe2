"""The unit of work wired into Flask: every request is one transaction, begun late and ended early.

It ends as soon as the view's outcome and status are known, so that the answer is not built while the database
waits. An exception that left the view undoes it, even if an error handler makes that a 200; so does a status
from 400, unless :func:`~database.transaction.commit_anyway` was called. A hook that writes after that begins
another unit, which ends with the last ``after_request``. Streams are committed before their first byte; what
makes them may read, as the request's caller, and open a transaction of its own.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol
from typing import TypeVar
from typing import runtime_checkable

from flask import Flask
from flask import Response
from flask import has_request_context
from flask import request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as WerkzeugResponse

from database.connection_manager import ConnectionManager
from database.core.clock import monotonic
from database.core.context import Context
from database.core.context import active_unit
from database.core.context import current_context
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.transaction import UnitOfWork

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

View = TypeVar("View", bound=Callable[..., Any])
AnswerHook = Callable[[Response], None]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing, so that a request needs no transaction."""
BEGAN = "isthmus.began"
"""Where a server may say in a request's environment at what :func:`monotonic` time the request was complete: its time
is counted from there, so that waiting for a thread is part of it."""
_OPTIONS = "isthmus_transaction"
_HEADERS = (Headers, dict, tuple, list)
_BODIES = (str, bytes, dict, list, Iterator)


@dataclass(frozen=True, slots=True)
class Extension:
    """What ``app.extensions["isthmus"]`` holds."""

    manager: ConnectionManager


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> object: ...


@dataclass(slots=True)
class _Request:
    """The state of one request."""

    unit: UnitOfWork
    answer_hooks: list[AnswerHook]


_current: ContextVar[_Request | None] = ContextVar("isthmus_request", default=None)


class _Stream:
    """The pieces of a streamed answer, made with the request's closed unit and its caller around them.

    Flask asks for them after the request's teardown, when both are gone. The request's deadline is over with it.
    """

    def __init__(self, pieces: Iterable[Any], unit: UnitOfWork, caller: Context) -> None:
        self._pieces = pieces
        self._iterator = iter(pieces)
        self._unit = unit
        self._caller = caller._replace(deadline=math.inf)

    @cached_property
    def _variables(self) -> contextvars.Context:
        variables = contextvars.copy_context()
        variables.run(active_unit.set, self._unit)
        variables.run(current_context.set, self._caller)
        return variables

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._variables.run(next, self._iterator)

    def close(self) -> None:
        """Close the pieces; the response does so when the last one is sent or the client is gone."""
        if isinstance(self._pieces, _Closable):
            self._variables.run(self._pieces.close)

    def __del__(self) -> None:
        # A stream that nobody read to its end or closed: what it still does belongs to the same variables.
        self.close()


def init_app(app: Flask, manager: ConnectionManager) -> None:
    """Make every request of ``app`` a unit of work on ``manager``'s active database.

    Config: ``REQUEST_TIMEOUT``, seconds until a request's database calls give up; 0 for no limit.

    :raises RuntimeError: if the app has a manager already.
    """
    if "isthmus" in app.extensions:
        raise RuntimeError("this app has its data layer already; call init_app once")
    app.extensions["isthmus"] = Extension(manager)
    timeout = float(app.config.get("REQUEST_TIMEOUT", 30.0))
    # Around Flask's own steps instead of among its hooks: it is certain then what runs first and last, and a
    # request that needs no database pays next to nothing.
    app.wsgi_app = _in_unit(app, timeout)  # type: ignore[method-assign, assignment]
    app.dispatch_request = _committing(app, app.dispatch_request)  # type: ignore[method-assign]
    app.handle_user_exception = _rolling_back(app.handle_user_exception)  # type: ignore[method-assign, assignment]
    app.process_response = _ending(app.process_response)  # type: ignore[method-assign, assignment]


def transactional(*, lazy: bool) -> Callable[[View], View]:
    """Say for one view when its unit of work begins.

    By default the first call of a request that may change something begins it, even a read, so that what was
    read still holds when something is written. ``lazy=True`` waits for the first write: for views that do
    slow work between reading and writing.
    """

    def mark(view: View) -> View:
        setattr(view, _OPTIONS, lazy)
        return view

    return mark


def before_answer(hook: AnswerHook) -> None:
    """Call ``hook`` with the finished response, inside the transaction, just before it commits."""
    state = _current.get()
    if state is None:
        raise RuntimeError("there is no request whose answer could be waited for")
    state.answer_hooks.append(hook)


def _in_unit(app: Flask, timeout: float) -> WSGIApplication:
    """The WSGI application inside a unit of work, which is closed when the answer is made."""
    inner = app.wsgi_app
    limit = timeout or math.inf

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        unit = UnitOfWork(lazy=lambda: _is_lazy(app, environ["REQUEST_METHOD"]))
        outer = current_context.get()
        tokens = (
            _current.set(_Request(unit, [])),
            active_unit.set(unit),
            current_context.set(outer.until((environ.get(BEGAN) or monotonic()) + limit)),
        )
        try:
            return inner(environ, start_response)
        finally:
            unit.close()
            _current.reset(tokens[0])
            active_unit.reset(tokens[1])
            current_context.reset(tokens[2])

    return wsgi_app


def _is_lazy(app: Flask, method: str) -> bool:
    view = app.view_functions.get(request.endpoint or "") if has_request_context() else None
    return bool(getattr(view, _OPTIONS, method in SAFE_METHODS))


def _committing(app: Flask, dispatch: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    def dispatch_request() -> ResponseReturnValue:
        answer = dispatch()
        state = _current.get()
        if state is None:
            return answer
        status = _status(answer)
        if status is None or state.answer_hooks:
            answer = app.make_response(answer)
            status = answer.status_code
            for hook in state.answer_hooks:
                hook(answer)
        state.unit.end(success=status < 400)
        return answer

    return dispatch_request


def _rolling_back(handle: Callable[[Exception], Any]) -> Callable[[Exception], Any]:
    def handle_user_exception(error: Exception) -> Any:
        state = _current.get()
        if state is not None:
            try:
                state.unit.end(success=False)
            except DataError as failure:
                # The view wanted its error to be committed anyway: now that is what went wrong.
                return handle(failure)
        return handle(error)

    return handle_user_exception


def _ending(process: Callable[[Response], Response]) -> Callable[[Response], Response]:
    """The last step of a request: every ``after_request`` hook has run, and may have written."""

    def process_response(response: Response) -> Response:
        state = _current.get()
        if state is None:
            return process(response)
        try:
            response = process(response)
            state.unit.end(success=response.status_code < 400)
        except DataError as error:
            if state.unit.committed:
                raise OutcomeUnknown(f"the request's changes were made, and a later hook failed: {error}") from error
            raise
        state.unit.close()
        if response.is_streamed and not response.direct_passthrough:
            response.response = _Stream(response.response, state.unit, current_context.get())
        return response

    return process_response


def _status(answer: ResponseReturnValue) -> int | None:
    """The status that Flask will make of a view's return value; None where only making the response tells."""
    if isinstance(answer, WerkzeugResponse):
        return answer.status_code
    if isinstance(answer, tuple):
        given = answer[1] if len(answer) == 3 or not isinstance(answer[1], _HEADERS) else None
        return _status(answer[0]) if given is None else int(str(given).split(maxsplit=1)[0])
    return 200 if isinstance(answer, _BODIES) else None
