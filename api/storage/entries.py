"""Entries of stores in requests and responses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any
from typing import Final

import orjson
from flask import Response
from flask import current_app
from flask import request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from api.http import preconditions
from api.http.media import HARMLESS
from api.http.media import JSON
from api.http.media import typed
from api.http.responses import empty
from database import InvalidQuery
from database import SerializationFailure
from database.core.clock import utc_now
from storage import Entry
from storage import StorageConflictError
from storage import Store

METADATA: Final = "X-Storage-Metadata"
TTL: Final = "X-Storage-TTL"
VECTOR: Final = "X-Storage-Vector"

_RANGE: Final = re.compile(r"bytes= *(\d+-\d*|-\d+) *")
"""One range of bytes. Any other header is ignored, as RFC 9110 allows it."""


def read_metadata() -> dict[str, Any] | None:
    """The JSON object in ``X-Storage-Metadata``. :raises InvalidQuery: if it is none."""
    if (given := request.headers.get(METADATA)) is None:
        return None
    try:
        # Headers are decoded as Latin-1, and JSON is UTF-8.
        metadata = orjson.loads(given.encode("latin-1"))
    except ValueError as error:
        raise InvalidQuery(f"{METADATA} is not JSON: {error}") from None
    if not isinstance(metadata, dict):
        raise InvalidQuery(f"{METADATA} must be a JSON object")
    return metadata


def read_ttl() -> float | None:
    """The seconds in ``X-Storage-TTL``. :raises InvalidQuery: if it is no number."""
    if (given := request.headers.get(TTL)) is None:
        return None
    try:
        return float(given)
    except ValueError:
        raise InvalidQuery(f"{TTL} must be a number of seconds") from None


def read_vector() -> list[float] | None:
    """The numbers in ``X-Storage-Vector``. :raises InvalidQuery: if it is no JSON list of numbers."""
    if (given := request.headers.get(VECTOR)) is None:
        return None
    try:
        return checked_vector(orjson.loads(given), VECTOR)
    except ValueError as error:
        raise InvalidQuery(f"{VECTOR} is not JSON: {error}") from None


def checked_vector(given: object, name: str) -> list[float]:
    """The numbers of a vector, which the store checks further. :raises InvalidQuery: if it is no list of numbers."""
    if not isinstance(given, list) or not {int, float}.issuperset(map(type, given)):
        raise InvalidQuery(f"{name} must be a list of numbers")
    return given


def headed(entry: Entry) -> dict[str, str]:
    """The headers of an entry, apart from those of its body."""
    headers = {"ETag": f'"{entry.etag}"', **HARMLESS}
    if entry.metadata:
        headers[METADATA] = json.dumps(entry.metadata, separators=(",", ":"))
    if entry.expires_at is not None:
        headers[TTL] = str(max(1, math.ceil((entry.expires_at - utc_now()).total_seconds())))
    return headers


def head(entry: Entry) -> Response:
    """The response to ``HEAD``. The size of JSON is not known without the value, which may be written otherwise."""
    response = Response(iter(()))
    response.headers = Headers({**headed(entry), **typed(entry.media_type), "Accept-Ranges": "bytes"})
    if entry.media_type != JSON:
        response.content_length = entry.size
    return response


def unchanged(entry: Entry) -> Response:
    """The response to a client that has this version."""
    return empty(304, headed(entry))


def whole(entry: Entry) -> Response:
    """The response with the value, or with the range of it that the request asks for."""
    body = entry.value if entry.media_type != JSON else current_app.json.dumps(entry.value).encode()
    asked = _asked_range(entry, len(body))
    start, stop = asked or (0, len(body))
    return _with_body(entry, body[start:stop], asked, len(body))


def streamed(store: Store, known: Entry) -> Response:
    """As :func:`whole`, with bytes that are read in parts while they are sent.

    If the entry is replaced or deleted meanwhile, the response ends before its ``Content-Length``.

    :param known: the entry without its value.
    :raises SerializationFailure: if it has been replaced already.
    """
    asked = _asked_range(known, known.size)
    start, stop = asked or (0, known.size)
    try:
        entry, parts = store.stream(known.key, start, stop, expected=known.etag)
    except StorageConflictError as error:
        raise SerializationFailure("the entry was replaced while it was read; retry", retry_after=1) from error
    return _with_body(entry, parts, asked, known.size)


def _asked_range(entry: Entry, size: int) -> tuple[int, int] | None:
    """The first byte that the request asks for, and the one behind the last one; None if it asks for all.

    :raises RequestedRangeNotSatisfiable: if there are no such bytes.
    """
    tag = f'"{entry.etag}"'
    if (
        _RANGE.fullmatch(request.headers.get("Range", "")) is None
        or request.headers.get("If-Range", tag).strip() != tag
    ):
        return None
    found = None if request.range is None else request.range.range_for_length(size)
    if found is None:
        raise RequestedRangeNotSatisfiable(size)
    return found


def _with_body(entry: Entry, body: bytes | Iterator[bytes], asked: tuple[int, int] | None, size: int) -> Response:
    response = Response(
        body, 200 if asked is None else 206, {**headed(entry), **typed(entry.media_type), "Accept-Ranges": "bytes"}
    )
    start, stop = asked or (0, size)
    response.content_length = stop - start
    if asked is not None:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return response


def is_known(entry: Entry) -> bool:
    """Whether the client has this version."""
    return "If-None-Match" in request.headers and preconditions.is_known(entry.etag)
