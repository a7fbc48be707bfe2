"""The unit of work wired into Flask: every request is one transaction, begun late and ended early.

A request that changes nothing by its method only reads, and its transaction keeps nobody from writing.
It ends as soon as the view's outcome and status are known, so that the answer is not built while the database
waits. An exception that left the view undoes it, even if an error handler makes that a 200; so does a status
from 400, unless :func:`~database.unit_of_work.commit_anyway` was called. A hook that writes after that begins
another unit, which ends with the last ``after_request``. Streams are committed before their first byte; what
makes them may read, as the request's caller, and open a transaction of its own.

A view whose transaction ends because another one came first may be carried out anew, in a fresh unit of work.
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
from database.core.context import Identity
from database.core.context import Provenance
from database.core.context import active_unit
from database.core.context import current_context
from database.core.context import current_provenance
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.extension import Isthmus
from database.flask_attempts import Start
from database.resilience.repetition import ATTEMPTS
from database.resilience.repetition import repeated
from database.unit_of_work import Beginning
from database.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

View = TypeVar("View", bound=Callable[..., Any])
AnswerHook = Callable[[Response], None]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing, so that a view may be carried out anew without being asked."""
BEGAN = "isthmus.began"
"""Where a server may say in a request's environment at what :func:`monotonic` time the request was complete: its time
is counted from there, so that waiting for a thread is part of it."""
_OPTIONS = "isthmus_transaction"
_HEADERS = (Headers, dict, tuple, list)
_BODIES = (str, bytes, dict, list, Iterator)


@dataclass(frozen=True, slots=True)
class _Options:
    """What :func:`transactional` says of a view; None for what it leaves open."""

    lazy: bool | None = None
    attempts: int | None = None


_DEFAULTS = _Options()


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> object: ...


@dataclass(slots=True)
class _Request:
    """The state of one request."""

    unit: UnitOfWork
    answer_hooks: list[AnswerHook]
    provenance: Provenance


_current: ContextVar[_Request | None] = ContextVar("isthmus_request", default=None)


class _Stream:
    """The pieces of a streamed answer, made with a unit that is over and the request's caller around them.

    Flask asks for them after the request's teardown, when both are gone, and a server may do so in another thread.
    The request's deadline is over with it.
    """

    def __init__(self, pieces: Iterable[Any], caller: Context) -> None:
        self._pieces = pieces
        self._iterator = iter(pieces)
        self._caller = caller._replace(deadline=math.inf)

    @cached_property
    def _variables(self) -> contextvars.Context:
        variables = contextvars.copy_context()
        variables.run(active_unit.set, UnitOfWork.over())
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


def init_app(app: Flask, manager: ConnectionManager, caller: Identity | None = None) -> None:
    """Make every request of ``app`` a unit of work on ``manager``'s active database.

    From now on the manager's databases refuse a call of which nobody said who asks
    (:class:`~database.core.errors.CallerMissing`): in a thread, a job and a command.

    Config: ``REQUEST_TIMEOUT``, seconds until a request's database calls give up; 0 for no limit.

    :param caller: who a request is until something finds out, such as :mod:`auth.middleware`; by default that is not
        known. ``SERVICE`` is for an app that has no callers of its own: all its requests are the application's.
    :raises RuntimeError: if the app has a manager already.
    """
    isthmus = Isthmus.of(app)
    if ConnectionManager in isthmus:
        raise RuntimeError("this app has its data layer already; call init_app once")
    isthmus[ConnectionManager] = manager
    manager.demand_callers()
    timeout = float(app.config.get("REQUEST_TIMEOUT", 30.0))
    # Around Flask's own steps instead of among its hooks: it is certain then what runs first and last, and a
    # request that needs no database pays next to nothing.
    app.wsgi_app = _in_unit(app, timeout, caller)  # type: ignore[method-assign, assignment]
    app.dispatch_request = _committing(app, app.dispatch_request)  # type: ignore[method-assign]
    app.handle_user_exception = _rolling_back(app.handle_user_exception)  # type: ignore[method-assign, assignment]
    app.process_response = _ending(app.process_response)  # type: ignore[method-assign, assignment]


def transactional(*, lazy: bool | None = None, attempts: int | None = None) -> Callable[[View], View]:
    """Say for one view when its unit of work begins, and how often it is carried out if others come first.

    By default the first call of a request begins the unit, even a read: all that is read is of one moment, and still
    holds when something is written. Where the database finds out that it does not, nothing is written and the answer is
    a 409 with ``Retry-After``.

    :param lazy: True waits for the first write, and what is read before is not part of the unit: for views that make a
        single read, which another database may answer then, and for those that do slow work between reading and
        writing. False lets a GET begin as other requests do, on the database that takes the writes.
    :param attempts: how often the view is called at most, each time in a fresh unit of work, as long as the request's
        deadline has not passed. By default as often as it takes for methods that change nothing, and else once,
        because a view may do what no database undoes. The body, ``flask.g`` and the session are as before each time,
        hooks that the view registers count once, and those of ``before_request`` are not called again; so a view is
        not carried out anew if one of these has used the unit, or if the view has read ``request.stream``.
    """
    if attempts is not None and attempts < 1:
        raise ValueError("a view is carried out at least once")

    def mark(view: View) -> View:
        known: _Options = getattr(view, _OPTIONS, _DEFAULTS)
        options = _Options(known.lazy if lazy is None else lazy, known.attempts if attempts is None else attempts)
        setattr(view, _OPTIONS, options)
        return view

    return mark


def before_answer(hook: AnswerHook) -> None:
    """Call ``hook`` with the finished response, inside the transaction, just before it commits."""
    state = _current.get()
    if state is None:
        raise RuntimeError("there is no request whose answer could be waited for")
    state.answer_hooks.append(hook)


def _in_unit(app: Flask, timeout: float, caller: Identity | None) -> WSGIApplication:
    """The WSGI application inside a unit of work, which is closed when the answer is made."""
    inner = app.wsgi_app
    limit = timeout or math.inf

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        unit = UnitOfWork(beginning=lambda: _beginning(app, environ["REQUEST_METHOD"]))
        outer = current_context.get()
        provenance = Provenance()
        tokens = (
            _current.set(_Request(unit, [], provenance)),
            active_unit.set(unit),
            current_context.set(outer.begun(caller, (environ.get(BEGAN) or monotonic()) + limit)),
            current_provenance.set(provenance),
        )
        try:
            return inner(environ, start_response)
        finally:
            unit.close()
            _current.reset(tokens[0])
            active_unit.reset(tokens[1])
            current_context.reset(tokens[2])
            current_provenance.reset(tokens[3])

    return wsgi_app


def _options(app: Flask) -> _Options:
    view = app.view_functions.get(request.endpoint or "") if has_request_context() else None
    options: _Options = getattr(view, _OPTIONS, _DEFAULTS)
    return options


def _beginning(app: Flask, method: str) -> Beginning:
    lazy = _options(app).lazy
    if lazy:
        return "lazy"
    return "reading" if lazy is None and method in SAFE_METHODS else "writing"


def _committing(app: Flask, dispatch: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    def attempt(state: _Request) -> ResponseReturnValue:
        answer = dispatch()
        status = _status(answer)
        if status is None or state.answer_hooks:
            answer = app.make_response(answer)
            status = answer.status_code
            for hook in state.answer_hooks:
                hook(answer)
        state.unit.end(success=status < 400)
        return answer

    def dispatch_request() -> ResponseReturnValue:
        state = _current.get()
        if state is None:
            return dispatch()
        attempts = _options(app).attempts or (ATTEMPTS if request.method in SAFE_METHODS else 1)
        # What a hook has done in the unit would be undone with it, and not done again.
        if attempts == 1 or state.unit.begun:
            return attempt(state)
        start, hooks, answer_hooks = Start(), state.unit.hooks(), state.answer_hooks.copy()

        def may_repeat() -> bool:
            # Also before the pause, in which nobody is to wait for the transaction that has failed.
            state.unit.begin_anew(hooks)
            if not start.comes_back():
                return False
            start.restore()
            state.answer_hooks[:] = answer_hooks
            return True

        return repeated(lambda: attempt(state), attempts, may_repeat=may_repeat, times_out=True)

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
        response.headers.update(_provenance(state.provenance))
        if response.is_streamed and not response.direct_passthrough:
            response.response = _Stream(response.response, current_context.get())
        return response

    return process_response


def _provenance(provenance: Provenance) -> dict[str, str]:
    """Who has answered reads of the request in place of the first database, and how old that may be."""
    if not provenance.stale_for:
        return {}
    seconds = math.ceil(max(provenance.stale_for.values()))
    return {"X-Data-Source": ", ".join(sorted(provenance.stale_for)), "X-Data-Stale-Seconds": str(seconds)}


def _status(answer: ResponseReturnValue) -> int | None:
    """The status that Flask will make of a view's return value; None where only making the response tells."""
    if isinstance(answer, WerkzeugResponse):
        return answer.status_code
    if isinstance(answer, tuple):
        given = answer[1] if len(answer) == 3 or not isinstance(answer[1], _HEADERS) else None
        return _status(answer[0]) if given is None else int(str(given).split(maxsplit=1)[0])
    return 200 if isinstance(answer, _BODIES) else None
