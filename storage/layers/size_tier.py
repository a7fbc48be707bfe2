"""The size tier: large bodies are kept as blobs in another store, and their beginnings stay in the entries.

A blob is stored before the entry that names it, under a hash of its content, so that a crash leaves the old entry or
the new one, and perhaps a blob of which no entry knows. The sweep of a store deletes those.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from datetime import timedelta
from hashlib import sha256
from typing import Any
from typing import ClassVar
from typing import Final
from typing import NamedTuple

import uuid_utils

from database.core.clock import utc_now
from database.core.context import Context
from database.core.context import active_unit
from database.core.context import on_its_own
from database.core.errors import DataError
from database.core.errors import Outcome
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.stages import Handler
from database.unit_of_work import UnitOfWork
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import ABSENT
from storage.core.entry import DAMAGED
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConflictError
from storage.core.layer import require_one_tenant
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.store import PREVIEW
from storage.core.store import Store
from storage.core.values import BYTES_TYPE
from storage.layers.coding import Coding
from storage.layers.coding import Undecodable
from storage.layers.scanning import scanned

logger = logging.getLogger(__name__)

THRESHOLD: Final = 256 << 10
GRACE: Final = 86_400.0

_GONE: Final = "its blob is missing"
_ATTEMPTS: Final = 3
_DIGITS: Final = 64


class SizeTier(Coding):
    """Keeps large bodies in a store for blobs.

    Equal bodies are one blob. A blob stays until the store is swept after its last entry is gone; a write that is
    refused or rolled back takes the one that it has made with it.

    As the first layer it can read previews; the store for blobs then needs layers of its own, such as encryption.
    Behind other layers it keeps what they have made of a body.

    :param blobs: where they are kept. Its writes do not join units of work.
    :param threshold: bodies of more bytes than this are kept there.
    :param space: begins the names of the blobs; stores that share one store for blobs must have different ones.
    :param secret: for the hashes, so that nobody can find out by the name of a blob whether it is one that he knows.
    :param grace: seconds for which the sweep leaves a blob of which no entry knows: more than any transaction takes.
    """

    media_type: ClassVar[str] = "application/vnd.isthmus.tiered"
    name: ClassVar[str] = "tiered"

    def __init__(
        self,
        blobs: Store,
        threshold: int = THRESHOLD,
        *,
        space: str = "",
        secret: bytes = b"",
        grace: float = GRACE,
    ) -> None:
        super().__init__()
        self._blobs = blobs
        self._threshold = threshold
        self._prefix = f"{space}/" if space else ""
        self._secret = secret
        self._grace = timedelta(seconds=grace)

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        require_one_tenant(inner, "a size tier")
        # Equal bodies of two tenants would be one blob.
        require_one_tenant(self._blobs.capabilities, "the size tier of a store for blobs")
        if self._threshold > inner.largest:
            raise StorageConfigurationError(
                f"the size tier leaves bodies of up to {self._threshold:,} bytes to a store that takes"
                f" {inner.largest:,}; give it a threshold of no more than that"
            )
        return replace(super().offers(inner), largest=max(inner.largest, self._blobs.capabilities.largest))

    def coded(self, entry: Stored) -> tuple[bytes, Mapping[str, str]] | None:
        if len(entry.body) <= self._threshold:
            return None
        return entry.body[:PREVIEW], {"blob": self._address(entry.body), "bytes": str(len(entry.body))}

    def decoded(self, entry: Stored, body: bytes, notes: Mapping[str, str]) -> bytes:
        address = notes["blob"]
        with on_its_own():
            blob: Stored | None = self._blobs.run(Fetch(self._prefix + address))
        if blob is None:
            raise Undecodable(_GONE)
        if DAMAGED in blob.headers:
            raise Undecodable(f"its blob is damaged: {blob.headers[DAMAGED]}")
        if self._address(blob.body) != address:
            raise Undecodable("its blob is another one")
        return blob.body

    def around(self, inner: Handler) -> Handler:
        read = super().around(inner)

        def call(operation: Operation, context: Context) -> Result:
            if isinstance(operation, Put | Batch):
                return self._write(inner, operation, context)
            if isinstance(operation, Fetch) and operation.preview:
                found = inner(operation, context).value
                return Result(value=None if found is None else self._headed(found))
            result = read(operation, context)
            if isinstance(operation, Clear) and operation.past:
                self._delete_orphans(inner, operation.now, context)
            result.value = _again(result.value, lambda key: read(Fetch(key), context).value)
            return result

        return call

    def places(self) -> Iterable[Store]:
        return (self._blobs,)

    def _address(self, body: bytes) -> str:
        return hmac.digest(self._secret, body, "sha256").hex() if self._secret else sha256(body).hexdigest()

    def _write(self, inner: Handler, operation: Operation, context: Context) -> Result:
        sent = self._sent(operation)
        pairs = zip(_puts(operation), _puts(sent), strict=True)
        made = [
            self._keep(large.entry, self.notes(small.entry)["blob"]) for large, small in pairs if small is not large
        ]
        new = [blob for blob in made if blob.is_new]
        unit = active_unit.get()
        if new and isinstance(unit, UnitOfWork):
            unit.after_rollback(lambda: self._discard(inner, new, context))
        try:
            return inner(sent, context)
        except DataError as error:
            if error.outcome is Outcome.NOT_APPLIED:
                self._discard(inner, new, context)
            raise

    def _sent(self, operation: Operation) -> Operation:
        if isinstance(operation, Put):
            entry = self._encoded(operation.entry)
            return operation if entry is operation.entry else Put(entry, operation.expected)
        return super()._sent(operation)

    def _keep(self, entry: Stored, address: str) -> _Blob:
        """Store the body, also if it is there: the new etag keeps a sweep that has begun from deleting it."""
        key, headers = self._prefix + address, {MEDIA_TYPE: BYTES_TYPE}
        etag = uuid_utils.uuid7().hex
        blob = Stored(key, etag, entry.body, len(entry.body), headers, {}, entry.stored_at)
        self.counts["blobs"] += 1
        with on_its_own():
            try:
                self._blobs.run(Put(blob, ABSENT))
            except StorageConflictError:
                self._blobs.run(Put(blob))
                return _Blob(entry.key, address, etag, is_new=False)
        return _Blob(entry.key, address, etag, is_new=True)

    def _discard(self, inner: Handler, blobs: list[_Blob], context: Context) -> None:
        """Delete the blobs of a write that did not happen; those that cannot be deleted now are left to the sweep."""
        for blob in blobs:
            with suppress(DataError):
                present = inner(Fetch(blob.of, head=True), context).value
                if present is None or self.notes(present).get("blob") != blob.address:
                    self._delete(self._prefix + blob.address, blob.etag, utc_now())

    def _delete(self, key: str, etag: str, now: datetime) -> None:
        # Not if somebody has stored an equal body in the meantime.
        with suppress(StorageConflictError), on_its_own():
            self._blobs.run(Remove(key, now, etag))
            self.counts["blobs_deleted"] += 1

    def _delete_orphans(self, inner: Handler, now: datetime, context: Context) -> None:
        orphans = {blob.key: blob.etag for blob in self._old_blobs(now - self._grace)}
        if not orphans:
            return
        for entry in scanned(lambda scan: inner(scan, context).value):
            if DAMAGED in entry.headers:
                logger.warning(
                    "no blobs are swept: the entry %.64r is damaged, and may have one of them; restore or delete it",
                    entry.key,
                )
                return
            orphans.pop(self._prefix + self.notes(entry).get("blob", ""), None)
        for key, etag in orphans.items():
            self._delete(key, etag, now)

    def _old_blobs(self, before: datetime) -> Iterator[Stored]:
        with on_its_own():
            for blob in scanned(self._blobs.run, self._prefix):
                if len(blob.key) == len(self._prefix) + _DIGITS and blob.stored_at <= before:
                    yield blob


class _Blob(NamedTuple):
    """A blob that was stored for an entry.

    :ivar of: the entry's key.
    :ivar is_new: whether there was none with this content.
    """

    of: str
    address: str
    etag: str
    is_new: bool


def _puts(operation: Operation) -> list[Put]:
    parts = operation.operations if isinstance(operation, Batch) else (operation,)
    return [part for part in parts if isinstance(part, Put)]


def _again(value: Any, fetched: Callable[[str], Stored | None]) -> Any:
    """The value with those entries read again whose blob was missing: they were replaced, and the blob swept."""
    if isinstance(value, list):
        found = [_again(one, fetched) for one in value]
        return [one for one in found if one is not None]
    if not isinstance(value, Stored):
        return value
    entry: Stored | None = value
    for _ in range(_ATTEMPTS):
        if entry is None or entry.headers.get(DAMAGED) != _GONE:
            break
        entry = fetched(value.key)
    return entry
