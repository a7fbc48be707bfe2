"""Between the values of callers and the bodies that a backend keeps."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import Final

import orjson

from database.core.kinds.values import JSON
from storage.core.documents import from_json
from storage.core.documents import to_json
from storage.core.entry import ABSENT
from storage.core.entry import DAMAGED
from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Entry
from storage.core.entry import Stored
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageCorruptError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageSerializationError

logger = logging.getLogger(__name__)

BYTES_TYPE: Final = "application/octet-stream"
MAX_METADATA: Final = 16 << 10
"""The largest metadata of an entry, in bytes of JSON."""

# A tuple: a union would be made again for every value.
_BYTES: Final = (bytes, bytearray, memoryview)
_JSON_HEADERS: Final[Mapping[str, str]] = {}
_NO_SCORES: Final[Mapping[str, float]] = {}


def body_of(value: Any, media_type: str | None) -> tuple[bytes, Mapping[str, str]]:
    """The body of a value, and the headers that say what it is.

    :param media_type: of bytes; :data:`BYTES_TYPE` by default.
    :raises StorageSerializationError: if the value has no JSON form.
    """
    if isinstance(value, _BYTES):
        return bytes(value), {MEDIA_TYPE: media_type or BYTES_TYPE}
    if media_type is not None and media_type != JSON_TYPE:
        raise StorageSerializationError(f"a value of media type {media_type!r:.64} must be bytes")
    return to_json(value), _JSON_HEADERS


def checked_metadata(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A copy of the metadata of an entry.

    :raises StorageSerializationError: if it is no JSON object.
    :raises StorageCapacityError: if it is larger than :data:`MAX_METADATA`.
    """
    try:
        text = orjson.dumps(JSON.check(dict(given)))
    except (TypeError, ValueError) as error:
        raise StorageSerializationError(_no_json(given) or f"the metadata {error}") from error
    if len(text) > MAX_METADATA:
        raise StorageCapacityError(f"the metadata has {len(text):,} bytes of JSON, and may have {MAX_METADATA:,}")
    copied: dict[str, Any] = orjson.loads(text)
    return copied


def _no_json(value: Any) -> str | None:
    """What is wrong with metadata that has a part of another type than those of JSON."""
    if isinstance(value, Mapping):
        return next(filter(None, map(_no_json, value.values())), None)
    if isinstance(value, list | tuple):
        return next(filter(None, map(_no_json, value)), None)
    if value is None or isinstance(value, str | int | float):
        return None
    return f"Object of type {type(value).__name__!r} is not JSON serializable: convert it to text in the metadata first"


def expiry(now: datetime, ttl: float | timedelta) -> datetime:
    """When an entry expires.

    :param ttl: seconds from now.
    :raises StorageKeyError: unless it is a positive number.
    """
    try:
        after = ttl if isinstance(ttl, timedelta) else timedelta(seconds=ttl)
        if after <= timedelta():
            raise StorageKeyError("a time to live must be more than 0 seconds")
        return now + after
    except (TypeError, ValueError, OverflowError):
        raise StorageKeyError("a time to live must be a number of seconds, at most some thousand years") from None


def absent(expected: str | None) -> str:
    """The condition of a put that there is no entry. :raises StorageKeyError: if there is another one, too."""
    if expected is not None:
        raise StorageKeyError("a put is either conditional on an etag, or on there being no entry; give one of them")
    return ABSENT


def readable_body(stored: Stored) -> bytes:
    """The body of an entry. :raises StorageCorruptError: if it cannot be read."""
    if DAMAGED in stored.headers:
        raise StorageCorruptError(stored.key, stored.headers[DAMAGED])
    return stored.body


def value_of(stored: Stored) -> Any:
    """The value of an entry. :raises StorageCorruptError: if its body is not that of a value."""
    body, headers = stored.body, stored.headers
    # JSON that no layer has changed has none.
    if headers:
        readable_body(stored)
        if headers.get(MEDIA_TYPE, JSON_TYPE) != JSON_TYPE:
            return body
    try:
        return from_json(body)
    except ValueError as error:
        raise StorageCorruptError(stored.key, "its value is no JSON") from error


def head_of(stored: Stored) -> Entry:
    """An entry without its value."""
    # Unpacked at once: this is done for every put.
    key, etag, _, size, headers, metadata, stored_at, expires_at, _ = stored
    media_type = headers.get(MEDIA_TYPE, JSON_TYPE) if headers else JSON_TYPE
    return Entry(key, None, etag, size, media_type, metadata, stored_at, expires_at)


def entry_of(stored: Stored, score: float | None = None) -> Entry:
    """An entry with its value. :raises StorageCorruptError: as :func:`value_of`."""
    head = head_of(stored)
    return Entry(
        head.key,
        value_of(stored),
        head.etag,
        head.size,
        head.media_type,
        head.metadata,
        head.stored_at,
        head.expires_at,
        tuple(array("f", stored.vector)) if stored.vector else None,
        score,
    )


def readable(found: Iterable[Stored], scores: Mapping[str, float] = _NO_SCORES) -> Iterator[Entry]:
    """The entries with their values. One that is damaged costs itself only: it is left out, and the log names it."""
    for stored in found:
        try:
            yield entry_of(stored, scores.get(stored.key))
        except StorageCorruptError as error:
            logger.warning("%s; it is left out of the result", error)
