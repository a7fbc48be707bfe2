"""Everything that Isthmus does around a Flask request, in the order in which it happens.

=========  ========================  ==================================================================
step       Flask's own               what is added
=========  ========================  ==================================================================
enter      ``wsgi_app``              a unit of work, the deadline, and room for what fallbacks answer
identify   ``preprocess_request``    the caller, before any hook: :func:`identify_by`
dispatch   ``dispatch_request``      the view, again if another transaction came first; then the commit
fail       ``handle_user_exception`` the rollback, before an error handler runs
finish     ``process_response``      the commit of what ``after_request`` hooks wrote; headers
leave      ``wsgi_app``              the rollback of what is still open, and the context from before
=========  ========================  ==================================================================

The steps are put around Flask's own methods instead of among its hooks: it is certain then what runs first and last,
and a request that needs no database pays next to nothing.

Every request is one transaction, begun late and ended early. A request that changes nothing by its method only reads,
and its transaction keeps nobody from writing. It ends as soon as the view's outcome and status are known, so that no
response is built while the database waits. An exception that left the view rolls it back, even if an error handler
makes that a 200; so does a status from 400, unless :func:`~database.unit_of_work.commit_anyway` was called. A hook that
writes after that begins another unit, which ends with the last ``after_request``. Streams are committed before their
first byte: see :mod:`database.flask_streams`.
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
"""Methods that change nothing, so that a view may be carried out again without being asked."""
BEGAN = "isthmus.began"
"""Key of the WSGI environment where a server may put the :func:`monotonic` time at which the request was complete: the
request's time is counted from there, so that waiting for a thread is part of it."""
_OPTIONS = "isthmus_transaction"
_HEADERS = (Headers, dict, tuple, list)
_BODIES = (str, bytes, dict, list, Iterator)


@immutable
class _Options:
    """What :func:`transactional` says of a view; None for what it leaves open."""

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
        """Whether its method changes nothing."""
        return self._method in SAFE_METHODS

    def dispatched(self) -> _Options:
        """What the view that is called now says of its transaction."""
        self._dispatched = self._options()
        return self._dispatched

    def _options(self) -> _Options:
        if not has_request_context():
            return _DEFAULTS
        view = self._app.view_functions.get(request_ctx.request.endpoint or "")
        options: _Options = getattr(view, _OPTIONS, _DEFAULTS)
        return options

    def _beginning(self) -> Beginning:
        # A hook before the view may be the first to make a call.
        lazy = (self._dispatched or self._options()).lazy
        if lazy:
            return "lazy"
        return "reading" if lazy is None and self.is_safe else "writing"


_current: ContextVar[_Request | None] = ContextVar("isthmus_request", default=None)


class RequestScope:
    """The steps around the requests of one app; each is only taken as far as it was set up.

    :ivar identify: finds out who the caller is.
    :ivar has_units: whether every request is a unit of work.
    :ivar caller: the caller until then.
    :ivar limit: seconds until a request's database calls give up.
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
        """The scope of ``app``, made if there is none yet."""
        isthmus = Isthmus.of(app)
        if cls not in isthmus:
            isthmus[cls] = cls(app)
        return isthmus[cls]

    def _entering(self, inner: WSGIApplication) -> WSGIApplication:
        def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            outer = current_context.get()
            if not self.has_units:
                # The thread's next request begins with the context that this one found.
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
                    # Also when the token is refused: an error handler must not reach the database as the application.
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
            attempts = state.dispatched().attempts or (ATTEMPTS if state.is_safe else 1)
            # What a hook has done in the unit would be undone with it, and not done again.
            if attempts == 1 or state.unit.begun:
                return attempt(state)
            return _repeating(attempt, state, attempts)

        return dispatch_request


def init_app(app: Flask, manager: ConnectionManager, caller: Identity | None = None) -> None:
    """Make every request of ``app`` a unit of work on ``manager``'s active database.

    From now on the manager's databases refuse a call without a caller
    (:class:`~database.core.errors.CallerMissing`): in a thread, a job and a command.

    Config: ``REQUEST_TIMEOUT``, seconds until a request's database calls give up; 0 for no limit.

    :param caller: the caller of a request until something identifies it, such as :mod:`auth.middleware`; unknown by
        default. ``SERVICE`` is for an app without callers of its own: all its requests are the application's.
    :raises RuntimeError: if the app has a manager already.
    """
    isthmus = Isthmus.of(app)
    if ConnectionManager in isthmus:
        raise RuntimeError("this app has its data layer already; call init_app once")
    isthmus[ConnectionManager] = manager
    manager.demand_callers()
    scope = RequestScope.of(app)
    scope.limit = float(app.config.get("REQUEST_TIMEOUT", 30.0)) or math.inf
    scope.caller = caller
    scope.has_units = True


def identify_by(app: Flask, identify: Identify) -> None:
    """Have ``identify`` called at the beginning of every request of ``app``, before any hook.

    The request's calls are made as the identity that it returns; as nobody, if it raises.
    """
    RequestScope.of(app).identify = identify


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


def _repeating(
    attempt: Callable[[_Request], ResponseReturnValue], state: _Request, attempts: int
) -> ResponseReturnValue:
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


def _finishing(process: Callable[[Response], Response]) -> Callable[[Response], Response]:
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
        if state.provenance.stale_for:
            response.headers.update(_provenance(state.provenance))
        if response.is_streamed and not response.direct_passthrough:
            response.response = Stream(response.response, current_context.get())
        return response

    return process_response


def _provenance(provenance: Provenance) -> dict[str, str]:
    """The headers that name the fallbacks that answered, and how old their answers may be."""
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
