"""Everything that Isthmus does around a Flask request, in the order of execution.

=========  ========================  ==================================================================
step       Flask method              addition
=========  ========================  ==================================================================
enter      ``wsgi_app``              creates the unit of work, the deadline and the provenance
identify   ``preprocess_request``    identifies the caller, before any hook: :func:`identify_by`
dispatch   ``dispatch_request``      retries the view after conflicts; then commits
fail       ``handle_user_exception`` rolls back, before an error handler runs
finish     ``process_response``      commits the writes of ``after_request`` hooks; adds headers
leave      ``wsgi_app``              rolls back an open transaction; restores the context
=========  ========================  ==================================================================

The steps wrap Flask's own methods instead of using its hooks, so that they are certain to run first and last, and
cost a request without database calls almost nothing.

Every request is one transaction, begun late and ended early. For methods that change nothing, such as GET, it is
expected only to read and blocks no writer. It ends as soon as the view's outcome and status are known, so that no
transaction is open while the response is built. An exception from the view rolls it back, even if an error handler
turns it into a 200; so does a status of 400 or more, unless :func:`~database.unit_of_work.commit_anyway` was called. A
hook that writes later begins another transaction, which ends after the last ``after_request`` hook. Streamed responses
are committed before their first byte: see :mod:`database.flask_streams`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeVar

from flask import Flask
from flask import Response
from flask import has_request_context
from flask.globals import request_ctx
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as WerkzeugResponse

from database.connection_manager import ConnectionManager
from database.core.clock import monotonic
from database.core.context import ANONYMOUS
from database.core.context import Identity
from database.core.context import Provenance
from database.core.context import active_unit
from database.core.context import current_context
from database.core.context import current_provenance
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.immutable import immutable
from database.extension import Isthmus
from database.flask_attempts import Start
from database.flask_streams import Stream
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
Identify = Callable[[], Identity]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, so that a view may be retried without :func:`transactional`."""
BEGAN = "isthmus.began"
"""Key of the WSGI environment for the :func:`monotonic` time at which a server had received the request. The deadline
is computed from it, so that it includes the time of waiting for a thread."""
_OPTIONS = "isthmus_transaction"
_HEADERS = (Headers, dict, tuple, list)
_BODIES = (str, bytes, dict, list, Iterator)


@immutable
class _Options:
    """The options of :func:`transactional` for a view; None for the default."""

    lazy: bool | None = None
    attempts: int | None = None


_DEFAULTS = _Options()


class _Request:
    """The state of one request."""

    __slots__ = ("_app", "_dispatched", "_method", "answer_hooks", "provenance", "unit")

    def __init__(self, app: Flask, method: str) -> None:
        self._app = app
        self._method = method
        self._dispatched: _Options | None = None
        self.unit = UnitOfWork(beginning=self._beginning)
        self.answer_hooks: list[AnswerHook] = []
        self.provenance = Provenance()

    @property
    def is_safe(self) -> bool:
        """Whether its HTTP method changes nothing."""
        return self._method in SAFE_METHODS

    def dispatch(self) -> _Options:
        """Record that the view is being dispatched; returns its options."""
        self._dispatched = self._options()
        return self._dispatched

    def _options(self) -> _Options:
        if not has_request_context():
            return _DEFAULTS
        view = self._app.view_functions.get(request_ctx.request.endpoint or "")
        options: _Options = getattr(view, _OPTIONS, _DEFAULTS)
        return options

    def _beginning(self) -> Beginning:
        # A hook may make the first call, before the view is dispatched.
        lazy = (self._dispatched or self._options()).lazy
        if lazy:
            return "lazy"
        return "reading" if lazy is None and self.is_safe else "writing"


_current: ContextVar[_Request | None] = ContextVar("isthmus_request", default=None)


class RequestScope:
    """The steps around the requests of one app; a step without configuration does nothing.

    :ivar identify: returns the caller's identity.
    :ivar has_units: whether every request is a unit of work.
    :ivar caller: the identity before the caller is identified.
    :ivar limit: seconds from the beginning of a request to the deadline of its database calls.
    """

    def __init__(self, app: Flask) -> None:
        self.identify: Identify | None = None
        self.has_units = False
        self.caller: Identity | None = None
        self.limit = math.inf
        self._app = app
        app.wsgi_app = self._entering(app.wsgi_app)  # type: ignore[method-assign, assignment]
        app.preprocess_request = self._identifying(app.preprocess_request)  # type: ignore[method-assign]
        app.dispatch_request = self._committing(app.dispatch_request)  # type: ignore[method-assign]
        app.handle_user_exception = _rolling_back(app.handle_user_exception)  # type: ignore[method-assign, assignment]
        app.process_response = _finishing(app.process_response)  # type: ignore[method-assign, assignment]

    @classmethod
    def of(cls, app: Flask) -> RequestScope:
        """The scope of ``app``, created if there is none yet."""
        isthmus = Isthmus.of(app)
        if cls not in isthmus:
            isthmus[cls] = cls(app)
        return isthmus[cls]

    def _entering(self, inner: WSGIApplication) -> WSGIApplication:
        def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            outer = current_context.get()
            if not self.has_units:
                # Restore the context for the next request in this thread.
                token = current_context.set(outer)
                try:
                    return inner(environ, start_response)
                finally:
                    current_context.reset(token)
            state = _Request(self._app, environ["REQUEST_METHOD"])
            deadline = (environ.get(BEGAN) or monotonic()) + self.limit
            tokens = (
                _current.set(state),
                active_unit.set(state.unit),
                current_context.set(outer.begun(self.caller, deadline)),
                current_provenance.set(state.provenance),
            )
            try:
                return inner(environ, start_response)
            finally:
                state.unit.close()
                _current.reset(tokens[0])
                active_unit.reset(tokens[1])
                current_context.reset(tokens[2])
                current_provenance.reset(tokens[3])

        return wsgi_app

    def _identifying(
        self, preprocess: Callable[[], ResponseReturnValue | None]
    ) -> Callable[[], ResponseReturnValue | None]:
        def preprocess_request() -> ResponseReturnValue | None:
            if self.identify is not None:
                identity = ANONYMOUS
                try:
                    identity = self.identify()
                finally:
                    # Also if the token is refused: an error handler must not access the database as the application.
                    current_context.set(current_context.get().acting_as(identity))
            return preprocess()

        return preprocess_request

    def _committing(self, dispatch: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
        def attempt(state: _Request) -> ResponseReturnValue:
            answer = dispatch()
            status = _status(answer)
            if status is None or state.answer_hooks:
                answer = self._app.make_response(answer)
                status = answer.status_code
                for hook in state.answer_hooks:
                    hook(answer)
            state.unit.end(success=status < 400)
            return answer

        def dispatch_request() -> ResponseReturnValue:
            state = _current.get()
            if state is None:
                return dispatch()
            attempts = state.dispatch().attempts or (ATTEMPTS if state.is_safe else 1)
            # Retrying would roll back the calls of earlier hooks, which do not run again.
            if attempts == 1 or state.unit.begun:
                return attempt(state)
            return _repeating(attempt, state, attempts)

        return dispatch_request


def init_app(app: Flask, manager: ConnectionManager, caller: Identity | None = None) -> None:
    """Make every request of ``app`` a unit of work on ``manager``'s active database.

    From then on the manager's databases refuse calls without an identity, for instance in a thread, a job or a command
    (:class:`~database.core.errors.CallerMissing`).

    Config: ``REQUEST_TIMEOUT``, seconds until the deadline of a request's database calls; 0 for no limit.

    :param caller: the identity of a request until its caller is identified, for instance by :mod:`auth.middleware`;
        none by default. With ``SERVICE``, for an app without users, all requests act as the application itself.
    :raises RuntimeError: if the app already has a manager.
    """
    isthmus = Isthmus.of(app)
    if ConnectionManager in isthmus:
        raise RuntimeError("this app already has a data layer; call init_app once")
    isthmus[ConnectionManager] = manager
    manager.demand_callers()
    scope = RequestScope.of(app)
    scope.limit = float(app.config.get("REQUEST_TIMEOUT", 30.0)) or math.inf
    scope.caller = caller
    scope.has_units = True


def identify_by(app: Flask, identify: Identify) -> None:
    """Call ``identify`` at the beginning of every request of ``app``, before any hook.

    The request's calls have the identity that it returns; if it raises, they are anonymous.
    """
    RequestScope.of(app).identify = identify


def transactional(*, lazy: bool | None = None, attempts: int | None = None) -> Callable[[View], View]:
    """Set for one view when its transaction begins, and how often the view is retried after conflicts.

    By default the first call of a request begins the transaction, even a read: all reads are of one snapshot, which is
    still current when the view writes. If the database detects that it is not, nothing is written and the response is a
    409 with ``Retry-After``.

    :param lazy: True begins the transaction with the first write, and reads before it run outside of it: for views that
        make a single read, which another database may then answer, and for views that do slow work between reading and
        writing. False begins the transaction of a GET as that of other requests, on the database that receives writes.
    :param attempts: the maximum number of calls of the view, each in a new transaction, before the request's deadline.
        By default a view is retried for methods that change nothing, and otherwise called once, because a view may have
        effects that no database can undo. The body, ``flask.g`` and the session are restored before each call, hooks
        registered by a failed call are dropped, and ``before_request`` hooks are not called again. So a view is not
        retried if one of these hooks has used the transaction, or if the view has read ``request.stream``.
    """
    if attempts is not None and attempts < 1:
        raise ValueError(f"attempts must be at least 1, not {attempts}")

    def mark(view: View) -> View:
        known: _Options = getattr(view, _OPTIONS, _DEFAULTS)
        options = _Options(known.lazy if lazy is None else lazy, known.attempts if attempts is None else attempts)
        setattr(view, _OPTIONS, options)
        return view

    return mark


def before_answer(hook: AnswerHook) -> None:
    """Call ``hook`` with the finished response, inside the transaction, just before the commit."""
    state = _current.get()
    if state is None:
        raise RuntimeError("before_answer() must be called inside a request of an app with a data layer")
    state.answer_hooks.append(hook)


def _repeating(
    attempt: Callable[[_Request], ResponseReturnValue], state: _Request, attempts: int
) -> ResponseReturnValue:
    start, hooks, answer_hooks = Start(), state.unit.hooks(), state.answer_hooks.copy()

    def may_repeat() -> bool:
        # Roll back before the pause, so that no other transaction waits for the failed one.
        state.unit.begin_anew(hooks)
        if not start.is_restorable():
            return False
        start.restore()
        state.answer_hooks[:] = answer_hooks
        return True

    return repeated(lambda: attempt(state), attempts, may_repeat=may_repeat, times_out=True)


def _rolling_back(handle: Callable[[Exception], Any]) -> Callable[[Exception], Any]:
    def handle_user_exception(error: Exception) -> Any:
        state = _current.get()
        if state is not None:
            try:
                state.unit.end(success=False)
            except DataError as failure:
                # After commit_anyway() this commits; a failure of the commit replaces the view's error.
                return handle(failure)
        return handle(error)

    return handle_user_exception


def _finishing(process: Callable[[Response], Response]) -> Callable[[Response], Response]:
    """The last step of a request, after all ``after_request`` hooks, which may have written."""

    def process_response(response: Response) -> Response:
        state = _current.get()
        if state is None:
            return process(response)
        try:
            response = process(response)
            state.unit.end(success=response.status_code < 400)
        except DataError as error:
            if state.unit.committed:
                raise OutcomeUnknown(
                    f"the request's changes were committed, but a later hook failed: {error}"
                ) from error
            raise
        state.unit.close()
        if state.provenance.stale_for:
            response.headers.update(_provenance(state.provenance))
        if response.is_streamed and not response.direct_passthrough:
            response.response = Stream(response.response, current_context.get())
        return response

    return process_response


def _provenance(provenance: Provenance) -> dict[str, str]:
    """The headers with the fallbacks that have answered reads, and the maximum age of their rows."""
    seconds = math.ceil(max(provenance.stale_for.values()))
    return {"X-Data-Source": ", ".join(sorted(provenance.stale_for)), "X-Data-Stale-Seconds": str(seconds)}


def _status(answer: ResponseReturnValue) -> int | None:
    """The status that Flask will derive from a view's return value; None if only the finished response has it."""
    if isinstance(answer, WerkzeugResponse):
        return answer.status_code
    if isinstance(answer, tuple):
        given = answer[1] if len(answer) == 3 or not isinstance(answer[1], _HEADERS) else None
        return _status(answer[0]) if given is None else int(str(given).split(maxsplit=1)[0])
    return 200 if isinstance(answer, _BODIES) else None
