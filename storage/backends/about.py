"""An entry in the forms that several backends keep: what is known about it as one JSON object, its body as text."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from database.core.kinds.binary import base64_text
from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored


def about(entry: Stored) -> dict[str, Any]:
    """The object; its values are those of JSON, and times, which orjson writes in ISO 8601."""
    key, etag, _, size, headers, metadata, stored_at, expires_at, _ = entry
    return {
        "key": key,
        "etag": etag,
        "size": size,
        "stored_at": stored_at,
        "expires_at": expires_at,
        "headers": dict(headers),
        "metadata": dict(metadata),
    }


def from_about(known: Any, body: bytes) -> Stored:
    """The entry of :func:`about`. :raises ValueError: if the object is of something else, or damaged."""
    try:
        headers, metadata, expires_at = known["headers"], known["metadata"], known["expires_at"]
        if not (isinstance(headers, Mapping) and isinstance(metadata, Mapping)):
            raise ValueError("it is no entry of a store")
        return Stored(
            known["key"],
            known["etag"],
            body,
            known["size"],
            headers,
            metadata,
            datetime.fromisoformat(known["stored_at"]),
            None if expires_at is None else datetime.fromisoformat(expires_at),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("it is no entry of a store") from error


def body_as_text(entry: Stored) -> str:
    """The body: JSON as it is, so that people can read it, and all else in base64."""
    return entry.body.decode() if _is_json(entry.headers) else base64_text(entry.body)


def body_from_text(text: str, headers: Mapping[str, str]) -> bytes:
    """The body of :func:`body_as_text`. :raises ValueError: if the text is none."""
    return text.encode() if _is_json(headers) else base64.b64decode(text, validate=True)


def _is_json(headers: Mapping[str, str]) -> bool:
    return headers.get(MEDIA_TYPE, JSON_TYPE) == JSON_TYPE
