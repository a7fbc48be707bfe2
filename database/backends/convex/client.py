"""The HTTP client for a Convex deployment: pooled connections, a deadline per request, and typed errors."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final
from urllib.parse import urlsplit

import orjson
from convex import convex_to_json
from convex import json_to_convex

from database.backends.convex.errors import http_error
from database.core.context import Context
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import lost_answer
from database.http.connection import Answer
from database.http.headers import retry_after
from database.http.pool import HttpPool

FORMAT: Final = "convex_encoded_json"
_HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
    "Convex-Client": "python-0.8.1",
}
_FUNCTION_STATUS: Final = (200, 560)
"""Statuses of a function's response: Convex reports a failed function with 200; its own clients also accept 560."""

FunctionError = Callable[[str, Any], DataError]
"""Creates an error from the message and data of a failed function."""


class ConvexClient:
    """Connections to one deployment, shared by all threads. Each request carries its own caller's identity.

    :param url: the deployment's URL.
    :param connections: number of connections to keep open.
    """

    def __init__(self, url: str, connections: int) -> None:
        self._path = f"{urlsplit(url).path.rstrip('/')}/api"
        self._pool = HttpPool(url, "Convex", connections)

    def close(self) -> None:
        """Close the unused connections; a later request opens a new one."""
        self._pool.close()

    def call(
        self,
        route: str,
        path: str,
        arguments: Mapping[str, Any],
        context: Context,
        *,
        authorization: str | None,
        reads: bool,
        failed: FunctionError,
    ) -> Any:
        """Call a function and return its value, in Convex's types.

        :param route: ``query``, ``mutation``, ``action`` or ``run/...``.
        :param path: the function's path, such as ``molecules:list``.
        :param reads: whether the function is certain to change nothing.
        :param failed: creates the error if the function fails.
        :raises DataError: the error of the function or of the request.
        """
        answer = self._post(f"{self._path}/{route}", _body(path, arguments), context, authorization, reads)
        if answer.get("status") == "success":
            return json_to_convex(answer.get("value"))
        data = answer.get("errorData")
        raise failed(str(answer.get("errorMessage", "")), None if data is None else json_to_convex(data))

    def _post(
        self, target: str, body: bytes, context: Context, authorization: str | None, reads: bool
    ) -> Mapping[str, Any]:
        headers = {**_HEADERS, "Authorization": authorization} if authorization is not None else _HEADERS
        return _answer(self._pool.request("POST", target, headers, body, deadline=context.deadline, reads=reads), reads)


def checked_arguments(path: str, arguments: Mapping[str, Any]) -> Any:
    """A copy of a function's arguments, to send later. :raises InvalidQuery: for an unsupported value."""
    return json_to_convex(orjson.loads(_encoded(path, arguments)))


def _body(path: str, arguments: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"path": path, "args": orjson.Fragment(_encoded(path, arguments)), "format": FORMAT})


def _encoded(path: str, arguments: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(convex_to_json(dict(arguments)))
    except (TypeError, ValueError) as error:
        # Not the package's message, which quotes the value.
        raise InvalidQuery(
            f"an argument of {path} has a type or value that Convex does not support; pass JSON values, bytes or int64"
        ) from error


def _answer(response: Answer, reads: bool) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        answer = None
    if response.status in _FUNCTION_STATUS:
        if isinstance(answer, dict) and "status" in answer:
            return answer
        raise lost_answer("the response does not have Convex's format", reads=reads)
    said = answer if isinstance(answer, dict) else {}
    wait = retry_after(response.headers.get("Retry-After"))
    raise http_error(response.status, str(said.get("code", "")), str(said.get("message", "")), wait, reads=reads)
