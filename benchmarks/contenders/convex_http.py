"""Convex over plain HTTP with minimal code and minimal imports."""

from __future__ import annotations

from typing import Any

import orjson
import urllib3
from convex import convex_to_json
from convex import json_to_convex

FUNCTION = "molecules:get"
"""Returns the record with an id."""


class PooledHttp:
    """Calls functions over persistent connections, with only the value codec of the official package.

    :param key: the deploy key.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=16, retries=False)
        self._headers = {
            "Content-Type": "application/json",
            "Convex-Client": "python-0.8.1",
            "Authorization": f"Convex {key}",
        }

    def query(self, path: str, arguments: Any) -> Any:
        """Call a query and return its result."""
        return self._call("query", path, arguments)

    def mutation(self, path: str, arguments: Any) -> Any:
        """Call a mutation and return its result."""
        return self._call("mutation", path, arguments)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _call(self, route: str, path: str, arguments: Any) -> Any:
        body = orjson.dumps({"path": path, "args": convex_to_json(arguments), "format": "convex_encoded_json"})
        response = self._pool.request("POST", f"{self._url}/api/{route}", body=body, headers=self._headers)
        return json_to_convex(orjson.loads(response.data)["value"])
