"""Requests to an application in this process, without a server."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

Call = Callable[[], bytes]
"""Sends a request and returns the answer's body."""


def caller(
    app: Flask,
    path: str = "/",
    *,
    method: str = "GET",
    token: str | None = None,
    body: Callable[[], bytes] = bytes,
    expected: str = "200 OK",
) -> Call:
    """Sends a request to ``app`` as a server would; every answer's status is checked.

    :param token: the bearer's.
    :param body: makes the JSON of a request.
    :param expected: the status.
    """
    headers = Headers() if token is None else Headers({"Authorization": f"Bearer {token}"})
    base = EnvironBuilder(method=method, path=path, headers=headers, content_type="application/json").get_environ()

    def start_response(status: str, *_: Any) -> Callable[[bytes], object]:
        assert status == expected, status
        return lambda _: None

    def call() -> bytes:
        sent = body()
        environ = {**base, "CONTENT_LENGTH": str(len(sent)), "wsgi.input": io.BytesIO(sent)}
        answer: Any = app(environ, start_response)
        received = b"".join(answer)
        answer.close()
        return received

    return call
