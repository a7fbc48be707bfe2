"""JSON values as their text, which is written and checked at once, as far as that is certain."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from operator import methodcaller
from typing import Any
from typing import Final

import orjson

MAX_JSON_DEPTH: Final = 64

_LONG: Final = 1 << 16
"""Bytes from which what a buffer has left over is too little for a copy."""

_PLAIN_ONLY: Final = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_STRICT_INTEGER
)
"""Refuses values of other types than those of JSON, and integers of more than 53 bits."""

_NUL: Final = b"\\u0000"
_objects: Final = methodcaller("count", b"{")
_arrays: Final = methodcaller("count", b"[")


class JsonText(bytes):
    """The text that :func:`plain_json` has made of a value, in its place: it is checked and written already.

    ``orjson.loads`` takes only plain bytes.
    """


def compact(text: bytes) -> bytes:
    """What orjson has returned, to be kept: a copy of a short one, which occupies its whole buffer, of 4 kB or more."""
    return text if len(text) > _LONG else b"".join((text, b""))


def plain_json(value: Any) -> bytes | None:
    """The text of a value that is certainly JSON within the limits of all backends, as most are.

    :returns: None for a value whose parts must be checked one by one, which takes several times as long.
    """
    text = _short_text(value)
    # What has no text of its own is another value then: NaN, a tuple, a UUID.
    return text if text is not None and orjson.loads(text) == value else None


def known_json(value: Any) -> JsonText | None:
    """As :func:`plain_json`, of a value of which it is known that it has no parts but those of JSON, and no NaN."""
    text = _short_text(value)
    return None if text is None else JsonText(text)


def copied_json(value: Any) -> JsonText | None:
    """As :func:`plain_json`, of a value that was read from a database, so that all its parts are JSON, or NaN."""
    text = _short_text(value)
    # NaN is written as null.
    if text is None or (b"null" in text and orjson.loads(text) != value):
        return None
    return JsonText(text)


def copied_jsons(values: Sequence[Any]) -> list[JsonText] | None:
    """As :func:`copied_json`, of many values at once, in half the time; None if each must be looked at by itself."""
    try:
        # Each is copied at once: a column of those that orjson returns would be in pages that are touched first here.
        texts = [JsonText(orjson.dumps(value, None, _PLAIN_ONLY)) for value in values]
    except TypeError:
        return None
    together = b"".join(texts)
    if _NUL in together or b"null" in together:
        return None
    deepest = max(map(_objects, texts), default=0) + max(map(_arrays, texts), default=0)
    return texts if deepest <= MAX_JSON_DEPTH else None


def in_text(values: Sequence[Any], write: Callable[[Any], str], unless: bytes | None = None) -> list[str | None]:
    """The values of a column as text, those that are a :class:`JsonText` all at once; None stays.

    :param write: writes one value.
    :param unless: if this is in one of the texts, each value is written by itself.
    """
    if {*map(type, values)} == {JsonText}:
        # JSON has no line breaks that are not escaped.
        lines = b"\n".join(values)
        if unless is None or unless not in lines:
            return [*lines.decode().split("\n")]
    return [None if value is None else write(value) for value in values]


def _short_text(value: Any) -> bytes | None:
    try:
        text = orjson.dumps(value, option=_PLAIN_ONLY)
    except TypeError:
        return None
    # One character is found many times faster than several.
    has_nul = b"\\" in text and _NUL in text
    return None if has_nul or text.count(b"{") + text.count(b"[") > MAX_JSON_DEPTH else text
