"""Retrying a view: restores the request to its state before the first attempt."""

from __future__ import annotations

from copy import deepcopy

from flask import Request
from flask.ctx import RequestContext
from flask.globals import app_ctx
from flask.globals import request_ctx


class Start:
    """The state of the current request just before its view.

    It consists of ``flask.g``, the session and the ``after_this_request`` functions, all as the hooks before the view
    have left them, and of the body.
    """

    __slots__ = ("_after", "_context", "_globals", "_session")

    def __init__(self) -> None:
        context: RequestContext = request_ctx._get_current_object()  # type: ignore[attr-defined]
        self._context = context
        self._globals = vars(app_ctx.g).copy()
        self._after = len(context._after_request_functions)
        # Not through the proxy, which would mark the session as accessed.
        self._session = deepcopy(dict(context.session)) if context.session else None

    def is_restorable(self) -> bool:
        """Whether :meth:`restore` is possible; it is not if the view has read the body as a stream."""
        request = self._context.request
        read = "stream" in vars(request) and getattr(request, "_cached_data", None) is None
        return not read or "form" in vars(request)

    def restore(self) -> None:
        """Restore the request."""
        kept = vars(app_ctx.g)
        kept.clear()
        kept.update(self._globals)
        del self._context._after_request_functions[self._after :]
        self._restore_session()
        _restore_body(self._context.request)

    def _restore_session(self) -> None:
        session = self._context.session
        if dict(session) != (self._session or {}):
            session.clear()
            session.update(deepcopy(self._session or {}))


def _restore_body(request: Request) -> None:
    # The view may have changed the parsed JSON; it is parsed again from the bytes.
    vars(request).pop("_cached_json", None)
    if "files" in vars(request):
        for file in request.files.values():
            file.stream.seek(0)
