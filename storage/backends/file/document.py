"""An entry as the text of its file: a JSON object with the value in it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from typing import Final

import orjson

from database.core.kinds.binary import base64_text
from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored

_PRETTY: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def written(entry: Stored, *, pretty: bool) -> bytes:
    """The text of an entry's file."""
    document: dict[str, Any] = {
        "key": entry.key,
        "etag": entry.etag,
        "stored_at": entry.stored_at.isoformat(),
        "expires_at": None if entry.expires_at is None else entry.expires_at.isoformat(),
        "headers": dict(entry.headers),
        "metadata": dict(entry.metadata),
    }
    if entry.headers.get(MEDIA_TYPE, JSON_TYPE) == JSON_TYPE:
        document["data"] = orjson.loads(entry.body)
    else:
        document["base64"] = base64_text(entry.body)
        # That of the value, of which a layer has made these bytes.
        document["size"] = entry.size
    return orjson.dumps(document, option=_PRETTY if pretty else orjson.OPT_APPEND_NEWLINE)


def read(text: bytes) -> Stored:
    """The entry of :func:`written`. :raises ValueError: if the text is of something else, or damaged."""
    try:
        document: Mapping[str, Any] = orjson.loads(text)
        body = orjson.dumps(document["data"]) if "data" in document else _decoded(document["base64"])
        expires_at = document["expires_at"]
        return Stored(
            document["key"],
            document["etag"],
            body,
            document.get("size", len(body)),
            document["headers"],
            document["metadata"],
            datetime.fromisoformat(document["stored_at"]),
            None if expires_at is None else datetime.fromisoformat(expires_at),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("it is no entry of a store") from error


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("its bytes are no base64") from error
