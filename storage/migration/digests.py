"""The hash of an entry, which is the same in every place that keeps it as it was stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from hashlib import sha256
from typing import Protocol

import orjson

from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored


class Hash(Protocol):
    """What :mod:`hashlib` makes."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


def digest(entry: Stored) -> bytes:
    """The hash of all that an entry is: key, version, value, media type, metadata, times and vector.

    JSON counts as the value that it is: places that keep it as an object have its parts in an order of their own.
    """
    made = begun(entry)
    made.update(_canonical(entry.body) if _is_json(entry) else entry.body)
    return made.digest()


def begun(entry: Stored) -> Hash:
    """The hash of an entry without its body, whose bytes come behind it."""
    known = [
        entry.key,
        entry.etag,
        {name: text for name, text in entry.headers.items() if (name, text) != (MEDIA_TYPE, JSON_TYPE)},
        dict(entry.metadata),
        _moment(entry.stored_at),
        None if entry.expires_at is None else _moment(entry.expires_at),
        entry.vector.hex(),
    ]
    return sha256(orjson.dumps(known, option=orjson.OPT_SORT_KEYS) + b"\n")


def passed_on(chunks: Iterator[bytes], made: Hash) -> Iterator[bytes]:
    """The chunks of a body, while they are added to a hash."""
    for chunk in chunks:
        made.update(chunk)
        yield chunk


def _is_json(entry: Stored) -> bool:
    return entry.headers.get(MEDIA_TYPE, JSON_TYPE) == JSON_TYPE


def _canonical(body: bytes) -> bytes:
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except ValueError:
        return body


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()
