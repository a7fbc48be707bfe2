"""One HTTP request to a Convex deployment: pooled, with a deadline, and with every outcome told apart."""

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
"""Convex answers a failing function with 200; its clients take 560 for the same."""

FunctionError = Callable[[str, Any], DataError]
"""Makes an error of a failed function's message and data."""


class ConvexClient:
    """Connections to one deployment, shared by all threads. It keeps no identity: that goes with each request.

    :param url: of the deployment.
    :param connections: how many are kept open.
    """

    def __init__(self, url: str, connections: int) -> None:
        self._path = f"{urlsplit(url).path.rstrip('/')}/api"
        self._pool = HttpPool(url, "Convex", connections)

    def close(self) -> None:
        """Close the connections that are not in use; a later request makes its own."""
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
        """What a function returns, in Convex's types.

        :param route: ``query``, ``mutation``, ``action`` or ``run/...``.
        :param path: such as ``molecules:list``.
        :param reads: whether the function certainly changes nothing.
        :raises DataError: ``failed``'s for an error of the function; else by what became of the request.
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
    """A copy of a function's arguments, to send later. :raises InvalidQuery: for what Convex does not take."""
    return json_to_convex(orjson.loads(_encoded(path, arguments)))


def _body(path: str, arguments: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"path": path, "args": orjson.Fragment(_encoded(path, arguments)), "format": FORMAT})


def _encoded(path: str, arguments: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(convex_to_json(dict(arguments)))
    except (TypeError, ValueError) as error:
        # The package's message quotes the value.
        raise InvalidQuery(f"an argument of {path} is no value that Convex takes") from error


def _answer(response: Answer, reads: bool) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        answer = None
    if response.status in _FUNCTION_STATUS:
        if isinstance(answer, dict) and "status" in answer:
            return answer
        raise lost_answer("what came back is not Convex' answer", reads=reads)
    said = answer if isinstance(answer, dict) else {}
    wait = retry_after(response.headers.get("Retry-After"))
    raise http_error(response.status, str(said.get("code", "")), str(said.get("message", "")), wait, reads=reads)
