"""An entry as the text of its file: a JSON object with the value in it."""

from __future__ import annotations

import base64
import binascii
from typing import Final

import orjson

from database.core.kinds.binary import base64_text
from database.core.kinds.json_texts import compact
from storage.backends.about import about
from storage.backends.about import from_about
from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored

_PRETTY: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def written(entry: Stored, *, pretty: bool) -> bytes:
    """The text of an entry's file."""
    document = about(entry)
    if entry.headers.get(MEDIA_TYPE, JSON_TYPE) == JSON_TYPE:
        document["data"] = orjson.loads(entry.body)
    else:
        document["base64"] = base64_text(entry.body)
    return orjson.dumps(document, option=_PRETTY if pretty else orjson.OPT_APPEND_NEWLINE)


def read(text: bytes) -> Stored:
    """The entry of :func:`written`. :raises ValueError: if the text is of something else, or damaged."""
    document = orjson.loads(text)
    if not isinstance(document, dict):
        raise ValueError("it is no entry of a store")
    if "data" not in document:
        return from_about(document, _decoded(document.get("base64")))
    body = compact(orjson.dumps(document["data"]))
    # A person may have edited the value.
    return from_about({**document, "size": len(body)}, body)


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error as error:
        raise ValueError("its bytes are no base64") from error
