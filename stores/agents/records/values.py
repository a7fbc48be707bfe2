"""Values as documents that a column of JSON, or an item of Cosmos DB, gives back as they were.

Most are stored as they are, so that other programs can query them. One with parts of other types is
``{"$type": "typed", "value": {…}}``, with tags inside, as in :mod:`storage.core.documents`. What a backend would
change, such as a number of more digits than its own, makes the whole value a text: ``{"$type": "json", "value": "…"}``.
So one look tells whether there is something to be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from typing import Final

import orjson

from database.core.kinds.json_texts import MAX_JSON_DEPTH
from database.core.kinds.json_texts import JsonText
from database.core.kinds.json_texts import known_json
from database.core.kinds.values import check_text
from storage.core.documents import from_json
from storage.core.documents import is_plain
from storage.core.documents import to_json
from storage.core.errors import StorageSerializationError

_TAG: Final = "$type"
_TYPED: Final = "typed"
_AS_TEXT: Final = "json"
_INT_64: Final = range(-(2**63), 2**63)
_INT_53: Final = range(-(2**53), 2**53 + 1)
_WITH_EXPONENT: Final = 1e16
"""From here on, a float is written without a point, and a database reads it as an integer."""


def checked_value(value: Any, field: str) -> Any:
    """``value``, if it is a dict. :raises StorageSerializationError: if it is none; names the field."""
    if not isinstance(value, dict):
        raise StorageSerializationError(f"{field} must be a dict, not {type(value).__name__}")
    return value


def to_document(value: Any, field: str, *, doubles: bool = False) -> Any:
    """The document of a value.

    :param field: the value's name, for messages.
    :param doubles: whether all numbers of the backend are doubles.
    :raises StorageSerializationError: if a part of the value has no form; names the field and the part.
    """
    if not doubles and text_as_it_is(value) is not None:
        return value
    if is_plain(value) and _is_kept(value, doubles=doubles):
        return value
    try:
        text = to_json(value)
    except StorageSerializationError as error:
        raise StorageSerializationError(f"{field}: {error.message}") from error
    tagged = orjson.loads(text)
    if _is_kept(tagged, doubles=doubles):
        return {_TAG: _TYPED, "value": tagged}
    return {_TAG: _AS_TEXT, "value": text.decode()}


def text_as_it_is(value: Any) -> JsonText | None:
    """The text of a value that certainly is its own document in a database, as most are.

    :returns: None for a value that must be looked at more closely, which takes five times as long.
    """
    # No part of a plain value is NaN, or has a tag.
    text = known_json(value) if is_plain(value) else None
    if text is None or (text.count(b"-") and text.count(b"-0.0")) or (text.count(b"+") and text.count(b"e+")):
        return None
    return text


def from_document(document: Any) -> Any:
    """The value of a document. What another program has stored is what it is."""
    kind = document.get(_TAG) if type(document) is dict else None
    if kind is None:
        return document
    try:
        if kind == _TYPED:
            return from_json(orjson.dumps(document["value"]))
        return from_json(document["value"].encode()) if kind == _AS_TEXT else document
    except (ValueError, KeyError, TypeError, AttributeError):
        return document


def etag_of(value: Any) -> str:
    """The entity tag of a value: the same for equal ones, because databases do not keep the order of members."""
    return sha256(orjson.dumps(orjson.loads(to_json(value)), option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _is_kept(value: Any, depth: int = MAX_JSON_DEPTH, *, doubles: bool) -> bool:
    """Whether a backend gives back a value of JSON as it is."""
    kind = type(value)
    if kind is str:
        return (value.isascii() and "\0" not in value) or _is_text(value)
    if kind is dict:
        texts = all(type(key) is str and ((key.isascii() and "\0" not in key) or _is_text(key)) for key in value)
        return texts and _are_kept(value.values(), depth, doubles=doubles)
    if kind is list:
        return _are_kept(value, depth, doubles=doubles)
    if kind is float:
        return _is_kept_float(value, doubles=doubles)
    return value in (_INT_53 if doubles else _INT_64) if kind is int else True


def _are_kept(parts: Iterable[Any], depth: int, *, doubles: bool) -> bool:
    return depth > 0 and all(_is_kept(part, depth - 1, doubles=doubles) for part in parts)


def _is_kept_float(value: float, *, doubles: bool) -> bool:
    if not -_WITH_EXPONENT < value < _WITH_EXPONENT or (value == 0 and math.copysign(1, value) < 0):
        return False
    return not (doubles and value.is_integer())


def _is_text(text: str) -> bool:
    try:
        check_text(text)
    except ValueError:
        return False
    return True
