"""Calls an application in this process, without a server."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

Call = Callable[[], bytes]
"""Sends a request and returns the body of the response."""


def caller(
    app: Flask,
    path: str = "/",
    *,
    method: str = "GET",
    token: str | None = None,
    body: Callable[[], bytes] = bytes,
    expected: str = "200 OK",
) -> Call:
    """A function that sends a request to ``app`` as a server would, and checks the status of the response.

    :param token: a bearer token.
    :param body: creates the JSON body of a request.
    :param expected: the expected status.
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
