"""What is known about an entry beside its body, as one JSON object: for backends that keep it so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from storage.core.entry import Stored


def about(entry: Stored) -> dict[str, Any]:
    """The object; its values are those of JSON."""
    return {
        "key": entry.key,
        "etag": entry.etag,
        "size": entry.size,
        "stored_at": entry.stored_at.isoformat(),
        "expires_at": None if entry.expires_at is None else entry.expires_at.isoformat(),
        "headers": dict(entry.headers),
        "metadata": dict(entry.metadata),
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
