"""Media types of bodies: what clients may store, and what browsers may do with it."""

from __future__ import annotations

import re
from typing import Final

from flask import request

from database import InvalidQuery

JSON: Final = "application/json"

HARMLESS: Final = {
    # What somebody has stored must not run as a page of this server, whose cookies and routes it could use.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}

_BYTES: Final = "application/octet-stream"
_MEDIA_TYPE: Final = re.compile(r"[!-~]+/[!-~]+( *;[ -~]*)?")
_LONGEST_MEDIA_TYPE: Final = 255

_SHOWN: Final = frozenset(
    {JSON, "text/plain", "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"}
    | {"audio/mpeg", "audio/ogg", "video/mp4", "video/webm"}
)
"""Media types that a browser may show, because it runs nothing in them. It saves all others as files."""


def read_media_type() -> str | None:
    """The media type of the request's body; None for JSON. :raises InvalidQuery: for something that is none."""
    if request.mimetype == JSON:
        return None
    given = request.headers.get("Content-Type", _BYTES).strip()
    if len(given) > _LONGEST_MEDIA_TYPE or _MEDIA_TYPE.fullmatch(given) is None:
        raise InvalidQuery("Content-Type must be a media type such as text/plain, of at most 255 characters")
    return given


def typed(media_type: str) -> dict[str, str]:
    """The headers of a stored body that say what it is, and what a browser may do with it."""
    # Also of code in Python, which may have given any.
    media_type = media_type if _MEDIA_TYPE.fullmatch(media_type) else _BYTES
    headers = {"Content-Type": media_type}
    if media_type.partition(";")[0].strip().lower() not in _SHOWN:
        headers["Content-Disposition"] = "attachment"
    return headers
