"""What is stored under a key."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final
from typing import NamedTuple

from database.core.immutable import immutable

JSON_TYPE: Final = "application/json"
"""The media type of values; a body of another type is bytes."""


ABSENT: Final = ""
"""The etag of an entry that does not exist."""


MEDIA_TYPE: Final = "media_type"
"""The header of the media type; without it, the body is JSON."""

DAMAGED: Final = "damaged"
"""The header of an entry that cannot be read: the reason."""


NOT_READ: Final = datetime.min.replace(tzinfo=UTC)
"""In the place of the time of an entry of which only what its value needs was read."""


class Stored(NamedTuple):
    """An entry as a backend keeps it.

    :ivar etag: names this version of the entry; made by the writer, and never used again.
    :ivar body: the bytes; empty in a listing.
    :ivar size: of the value in bytes; what a layer has made of it may have another one.
    :ivar headers: what is needed to read the body: its media type, and what the layers have made of it.
    :ivar metadata: the caller's own, a JSON object.
    :ivar expires_at: when it counts as deleted, in UTC; None if it stays.
    :ivar vector: its direction, as 32-bit floats; empty if it has none, and may be empty in a listing.
    """

    key: str
    etag: str
    body: bytes
    size: int
    headers: Mapping[str, str]
    metadata: Mapping[str, Any]
    stored_at: datetime
    expires_at: datetime | None = None
    vector: bytes = b""

    @classmethod
    def damaged(cls, key: str, reason: str, stored_at: datetime) -> Stored:
        """An entry that is there and cannot be read."""
        return cls(key, "damaged", b"", 0, {DAMAGED: reason}, {}, stored_at)

    def is_past(self, now: datetime) -> bool:
        """Whether it counts as deleted."""
        return self.expires_at is not None and self.expires_at <= now


@immutable
class Entry:
    """An entry as a caller gets it.

    :ivar value: what was stored; None in a listing.
    :ivar etag: names this version, for conditional writes.
    :ivar size: of the value in bytes, as it is transferred.
    :ivar media_type: ``application/json``, or that of the bytes.
    :ivar expires_at: when it counts as deleted, in UTC; None if it stays.
    :ivar vector: the direction of the vector that it was stored with; None if there was none, and in a listing.
    :ivar score: how similar it is to the vector of a search: the cosine of the angle between them, from -1 to 1.
    """

    key: str
    value: Any
    etag: str
    size: int
    media_type: str = JSON_TYPE
    metadata: Mapping[str, Any] = field(default_factory=dict)
    stored_at: datetime | None = None
    expires_at: datetime | None = None
    vector: Sequence[float] | None = None
    score: float | None = None

    def known(self) -> dict[str, Any]:
        """What is known about it beside its value, as it is shown to clients."""
        return {
            "key": self.key,
            "etag": self.etag,
            "size": self.size,
            "media_type": self.media_type,
            "metadata": self.metadata,
            "stored_at": self.stored_at,
            "expires_at": self.expires_at,
        }


@immutable
class EntryPage:
    """A part of a listing, in the order of the keys.

    :ivar next_cursor: for the next page; None after the last one.
    """

    entries: Sequence[Entry]
    next_cursor: str | None = None
