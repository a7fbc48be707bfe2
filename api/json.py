"""JSON as the HTTP interface speaks it: orjson, and moments in UTC with all six digits of their microseconds."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

from database.core.deferred import Deferred
from database.core.errors import TransactionError

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


class OrjsonProvider(JSONProvider):
    """What ``jsonify`` and views that return a dict are written with."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """``obj`` as JSON text. :raises TypeError: for a value that JSON cannot say."""
        return _encoded(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """The value that JSON text says. :raises orjson.JSONDecodeError: if it is none."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """An answer with the JSON of one value, or of keyword arguments as an object."""
        return Response(_encoded(self._prepare_response_obj(args, kwargs)), content_type="application/json")


def _encoded(obj: Any) -> bytes:
    try:
        return orjson.dumps(obj, _plain, _OPTIONS)
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, TransactionError):
            raise error.__cause__ from None
        raise


def _plain(value: object) -> Any:
    if isinstance(value, Deferred):
        return value.value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")
