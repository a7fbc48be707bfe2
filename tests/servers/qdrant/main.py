"""The program that serves Qdrant's HTTP interface: ``python main.py PORT KEY``.

The engine is the local mode of Qdrant's own client, in memory; one request at a time.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from threading import Lock
from typing import Any
from typing import ClassVar
from typing import Final

from pydantic import BaseModel
from pydantic import ValidationError
from qdrant_client import QdrantClient
from qdrant_client import models

_client = QdrantClient(":memory:", force_disable_check_same_thread=True)
_lock = Lock()


def _create(name: str, given: models.CreateCollection) -> bool:
    return _client.create_collection(name, vectors_config=given.vectors)


def _retrieve(name: str, given: models.PointRequest) -> object:
    return _client.retrieve(
        name, given.ids, with_payload=given.with_payload or False, with_vectors=given.with_vector or False
    )


def _upsert(name: str, given: models.PointsList) -> object:
    return _client.upsert(name, given.points, update_filter=given.update_filter, update_mode=given.update_mode)


def _delete(name: str, given: models.FilterSelector) -> object:
    return _client.delete(name, given)


def _scroll(name: str, given: models.ScrollRequest) -> object:
    points, after = _client.scroll(
        name,
        scroll_filter=given.filter,
        limit=given.limit or 10,
        offset=given.offset,
        with_payload=given.with_payload or False,
    )
    return {"points": points, "next_page_offset": after}


def _query(name: str, given: models.QueryRequest) -> object:
    return _client.query_points(
        name,
        query=given.query.nearest if isinstance(given.query, models.NearestQuery) else given.query,
        using=given.using,
        query_filter=given.filter,
        limit=given.limit or 10,
        with_payload=given.with_payload or False,
        with_vectors=given.with_vector or False,
    )


_READS: Final[Mapping[str, Callable[[str], object]]] = {
    "/exists": lambda name: {"exists": _client.collection_exists(name)},
    "": _client.get_collection,
}
_ROUTES: Final[Mapping[tuple[str, str], tuple[type[BaseModel], Callable[[str, Any], object]]]] = {
    ("PUT", ""): (models.CreateCollection, _create),
    ("POST", "/points"): (models.PointRequest, _retrieve),
    ("PUT", "/points"): (models.PointsList, _upsert),
    ("POST", "/points/delete"): (models.FilterSelector, _delete),
    ("POST", "/points/scroll"): (models.ScrollRequest, _scroll),
    ("POST", "/points/query"): (models.QueryRequest, _query),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    key: ClassVar[str]

    def do_GET(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        text = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("api-key") != self.key:
            self._send(401, {"status": {"error": "Invalid API key or JWT"}})
            return
        try:
            with _lock:
                answer = self._answer(text)
        except ValidationError as error:
            self._send(400, {"status": {"error": str(error)}})
        except ValueError as error:
            status = 404 if "not found" in str(error) else 409 if "already exists" in str(error) else 400
            self._send(status, {"status": {"error": str(error)}})
        else:
            self._send(200, answer)

    def _answer(self, text: bytes) -> Any:
        path = self.path.partition("?")[0]
        if path == "/":
            return _plain(_client.info())
        found = re.fullmatch(r"/collections/([^/]+)(/.*)?", path)
        if found is None:
            raise ValueError("route not found")
        name, rest = found[1], found[2] or ""
        if self.command == "GET":
            return {"result": _plain(_READS[rest](name)), "status": "ok", "time": 0.0}
        model, act = _ROUTES[self.command, rest]
        return {"result": _plain(act(name, model.model_validate_json(text))), "status": "ok", "time": 0.0}

    def _send(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    _Handler.key = sys.argv[2]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
