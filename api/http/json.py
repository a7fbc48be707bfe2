"""JSON of the HTTP interface: written by orjson; datetimes in UTC with six digits of microseconds."""

from __future__ import annotations

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
from database.core.kinds.binary import base64_text
from database.core.kinds.durations import iso_duration

_MOST_ZEROS = 20
_BITS = 63
_TOO_LONG = "64-bit"
"""What orjson says of an integer that is too long for it."""

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


class OrjsonProvider(JSONProvider):
    """Flask's JSON provider, for ``jsonify`` and for views that return a dict."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """``obj`` as JSON text. :raises TypeError: for a value without a JSON form."""
        return _encoded(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """The value of JSON text. :raises orjson.JSONDecodeError: if the text is not JSON."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """A response with the JSON of one value, or of the keyword arguments as an object."""
        return Response(_encoded(self._prepare_response_obj(args, kwargs)), content_type="application/json")


def _encoded(obj: Any) -> bytes:
    try:
        return orjson.dumps(obj, _in_json, _OPTIONS)
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, TransactionError):
            raise error.__cause__ from None
        if _TOO_LONG not in str(error):
            raise
        return orjson.dumps(_with_long_integers(obj), _in_json, _OPTIONS)


def _with_long_integers(value: Any) -> Any:
    """The value with its integers of more than 64 bits as text that is already JSON."""
    if isinstance(value, dict):
        return {key: _with_long_integers(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_with_long_integers(part) for part in value]
    return orjson.Fragment(str(value)) if type(value) is int and value.bit_length() > _BITS else value


def _in_json(value: object) -> Any:
    """The JSON form of a database value whose type JSON does not have."""
    if isinstance(value, Deferred):
        return value.value
    form = _FORMS.get(type(value))
    if form is None:
        raise TypeError(f"cannot write a value of type {type(value).__name__} as JSON; convert it first")
    return form(value)


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat(timespec="microseconds")
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _number(value: Decimal) -> orjson.Fragment:
    """A number with all its digits; null for NaN and infinity, as for floats."""
    if not value.is_finite():
        return orjson.Fragment("null")
    # Without an exponent, unless the zeros would be many.
    return orjson.Fragment(f"{value:f}" if -_MOST_ZEROS <= value.adjusted() <= 0 else str(value))


_FORMS: dict[type, Callable[[Any], Any]] = {
    datetime: _moment,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: iso_duration,
    Decimal: _number,
    bytes: base64_text,
    **dict.fromkeys([IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network], str),
}
