"""Entries of all kinds, and what two stores have in common."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any
from typing import Final
from uuid import UUID

from storage.core.store import Store
from storage.layers.scanning import scanned
from storage.migration.digests import digest

VALUES: Final[list[Any]] = [
    *(None, True, 0, -1, 2**60, 10**40, 0.1, -0.0, 1e300, 1.0, "", "text \0 \u4e2d", [], {}, b"", b"\0\xff"),
    {"zebra": 1, "a": {"deep": [1.0, 1, None]}, "$type": "a tag of one's own", "bb": [[]]},
    {"at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "price": Decimal("1.10"), "id": UUID(int=7), "raw": b"x"},
    "x" * 5_000,
]
METADATA: Final[dict[str, Any]] = {"tags": ["b", "a"], "size": 1.5, "none": None, "z": {"y": 1}}


def fill_all(store: Store, keys: list[str]) -> None:
    """Store values of all kinds under the keys: some with metadata, a time to live, a media type or a vector."""
    dimensions = store.capabilities.dimensions or 0
    for number, key in enumerate(keys):
        value = VALUES[number % len(VALUES)]
        vector = [float(part == number % dimensions) + 0.1 for part in range(dimensions)] or None
        store.put(
            key,
            value,
            metadata=METADATA if number % 3 == 0 else None,
            ttl=86_400.5 if number % 4 == 0 else None,
            media_type="image/png" if isinstance(value, bytes) else None,
            vector=None if number % 5 == 0 else vector,
        )


def hashes(store: Store) -> dict[str, bytes]:
    """The hash of each entry."""
    return {entry.key: digest(entry) for entry in scanned(store.run, bodies=True)}
