"""JSON as the HTTP interface speaks it: orjson, and moments in UTC with all six digits of their microseconds."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from ipaddress import IPv4Interface
from ipaddress import IPv4Network
from ipaddress import IPv6Address
from ipaddress import IPv6Interface
from ipaddress import IPv6Network
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

from database import Deferred
from database import TransactionError

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
        return orjson.dumps(obj, _in_json, _OPTIONS)
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, TransactionError):
            raise error.__cause__ from None
        raise


def _in_json(value: object) -> Any:
    """What stands in JSON for a value that a database may answer with, and that JSON has not."""
    if isinstance(value, Deferred):
        return value.value
    form = _FORMS.get(type(value))
    if form is None:
        raise TypeError(f"a value of type {type(value).__name__} has no JSON form")
    return form(value)


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat(timespec="microseconds")
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _number(value: Decimal) -> orjson.Fragment:
    """With all its digits; null for what is no number, as for floats."""
    return orjson.Fragment(str(value) if value.is_finite() else "null")


def _duration(value: timedelta) -> str:
    length = abs(value)
    seconds = f"{length.seconds}.{length.microseconds:06}" if length.microseconds else str(length.seconds)
    return f"{'-' if value < timedelta() else ''}P{length.days}DT{seconds}S"


_FORMS: dict[type, Callable[[Any], Any]] = {
    datetime: _moment,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: _duration,
    Decimal: _number,
    bytes: lambda value: b64encode(value).decode(),
    **dict.fromkeys([IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network], str),
}
