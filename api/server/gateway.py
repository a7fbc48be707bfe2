"""An ASGI request as a call of a WSGI application, whose response is read piece by piece."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import unquote_to_bytes

from api.http.live import BELL
from api.http.live import Bell
from database.flask_scope import BEGAN

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication

Scope = dict[str, Any]
Headers = list[tuple[bytes, bytes]]

_UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class WsgiCall:
    """A call of a WSGI application. Different threads may use it, one at a time.

    :ivar status: status of the response, after the first piece.
    :ivar headers: headers of the response, after the first piece.
    """

    def __init__(self, app: WSGIApplication, scope: Scope, body: bytes, began: float) -> None:
        self.status = 500
        self.headers: Headers = []
        self._app = app
        self._environ = make_environ(scope, body, began)
        self._answer: Iterable[bytes] | None = None
        self._pieces: Iterator[bytes] = iter(())

    def next_piece(self) -> tuple[bytes, bool]:
        """The next piece of the response's body, and whether more may follow.

        The first call calls the application. The response is closed after its last piece and after an exception.
        """
        try:
            if self._answer is None:
                self._answer = self._app(self._environ, self._start_response)
                self._pieces = iter(self._answer)
            piece = next(filter(None, self._pieces), b"")
        except BaseException:
            self.close()
            raise
        if not piece or len(piece) == self._length():
            self.close()
            return piece, False
        return piece, True

    @property
    def bell(self) -> Bell | None:
        """What rings when the next piece is there; None if nothing does, and the response makes its pieces at once."""
        return self._environ.get(BELL)

    def close(self) -> None:
        """Close the response: no more pieces will be read."""
        answer, self._answer, self._pieces = self._answer, (), iter(())
        if answer is not None and hasattr(answer, "close"):
            answer.close()

    def _length(self) -> int:
        return next((int(value) for name, value in self.headers if name == b"content-length"), -1)

    def _start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
        /,
    ) -> Any:
        self.status = int(status[:3])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return _no_write


def _no_write(_data: bytes) -> None:
    raise NotImplementedError("this server does not support WSGI's write(); return the pieces of the response instead")


def make_environ(scope: Scope, body: bytes, began: float) -> dict[str, Any]:
    """The WSGI environment, with the whole body of the request.

    :param began: when the request was complete, by :func:`~database.core.clock.monotonic`.
    """
    host, port = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        BEGAN: began,
    }
    for raw, raw_value in scope["headers"]:
        name, value = raw.decode("latin-1"), raw_value.decode("latin-1")
        # Drop names with an underscore: WSGI cannot distinguish them from the name with a hyphen, which a proxy may
        # have checked or removed.
        if "_" in name or name == "transfer-encoding":
            continue
        key = _UNPREFIXED.get(name) or f"HTTP_{name.replace('-', '_').upper()}"
        if key in environ:
            value = f"{environ[key]}{';' if name == 'cookie' else ','}{value}"
        environ[key] = value
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ
