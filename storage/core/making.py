"""The entries that a store writes, made of what its callers give; what a backend does not take is refused here."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from typing import Any

import uuid_utils

from storage.core.capabilities import StoreCapabilities
from storage.core.entry import Stored
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageUnsupportedError
from storage.core.keys import check_key
from storage.core.values import body_of
from storage.core.values import checked_metadata
from storage.core.values import expiry

WallClock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the entries of one store.

    :param name: of the store, for messages.
    :param clock: the time of day.
    """

    name: str
    capabilities: StoreCapabilities
    clock: WallClock

    def entry(
        self,
        key: str,
        value: Any,
        metadata: Mapping[str, Any] | None,
        ttl: float | timedelta | None,
        media_type: str | None,
        vector: object,
    ) -> Stored:
        """A new entry. :raises StorageError: as ``Store.put``."""
        check_key(key)
        body, headers = body_of(value, media_type)
        if len(body) > self.capabilities.largest:
            raise StorageCapacityError(
                f"the value has {len(body):,} bytes, and {self.name} takes at most {self.capabilities.largest:,}"
            )
        now = self.clock()
        etag, own = uuid_utils.uuid7().hex, checked_metadata(metadata) if metadata else {}
        expires_at = None if ttl is None else expiry(now, ttl)
        stored_vector = b"" if vector is None else self.direction(vector)
        # Made for every put; the generated constructor would take twice as long.
        return tuple.__new__(Stored, (key, etag, body, len(body), headers, own, now, expires_at, stored_vector))

    def direction(self, vector: object) -> bytes:
        """A vector as it is stored.

        :raises StorageUnsupportedError: if the store has no vectors.
        :raises StorageVectorError: if it is not one that the store takes.
        """
        if self.capabilities.dimensions is None:
            reason = f"{self.name} has no vectors: its backend takes none, or was made without `dimensions`"
            raise StorageUnsupportedError("vectors", backend=self.name, detail=reason)
        from storage.core.vectors.directions import direction  # noqa: PLC0415  # NumPy is loaded with the first vector

        return direction(vector, self.capabilities.dimensions)
