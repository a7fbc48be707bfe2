"""Responses that several parts of the HTTP interface give."""

from __future__ import annotations

from flask import Response
from werkzeug.datastructures import Headers


def empty(status: int, headers: dict[str, str] | None = None) -> Response:
    """A response without a body and without ``Content-Type``."""
    response = Response(status=status)
    response.headers = Headers(headers or {})
    return response
