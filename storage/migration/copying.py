"""Copying entries from one store into another one, as they are: versions, metadata, times, media types and vectors.

Each entry is compared with that of the target by its hash, and what was stored is read back and compared again. So a
copy may be interrupted at any moment, and repeated: it stores what is missing, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from typing import TypeGuard

from database.core.clock import utc_now
from database.core.context import Provenance
from database.core.context import current_provenance
from database.core.context import in_callers_name
from database.core.operations import Batch
from storage.core.entry import ABSENT
from storage.core.entry import DAMAGED
from storage.core.entry import Stored
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageNotFoundError
from storage.core.errors import StorageSerializationError
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import StorageVectorError
from storage.core.errors import changed
from storage.core.making import WallClock
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Upload
from storage.core.store import Store
from storage.core.streaming import PART
from storage.layers.mirror.integrity import side_by_side
from storage.layers.scanning import scanned
from storage.migration.copied import Copied
from storage.migration.digests import begun
from storage.migration.digests import digest
from storage.migration.digests import passed_on
from storage.migration.parts import SMALL
from storage.migration.parts import Pair
from storage.migration.parts import batches
from storage.migration.parts import by_key
from storage.migration.parts import in_parts
from storage.migration.parts import whole

_PARALLEL: Final = 8
"""How many entries are stored at once where each of them is a request."""

_FLOAT: Final = 4

_OF_ONE_ENTRY: Final = (
    *(StorageConflictError, StorageCapacityError, StorageKeyError, StorageSerializationError),
    *(StorageUnsupportedError, StorageVectorError),
)
"""The errors that are about one entry, and not about its place."""

Told = Callable[[Copied], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions:
    """Which entries are copied, and how.

    :ivar prefix: only the keys that begin with it.
    :ivar since: only entries that were stored then or later.
    :ivar dry_run: only compare, and store nothing.
    :ivar replace: overwrite entries of the target that differ, also newer ones.
    """

    prefix: str = ""
    since: datetime | None = None
    dry_run: bool = False
    replace: bool = False


def copy_entries(
    source: Store,
    target: Store,
    options: CopyOptions | None = None,
    *,
    told: Told = lambda _: None,
    clock: WallClock = utc_now,
) -> Copied:
    """Copy the entries of a store into another one; returns what was done and what was left.

    Others may read and write both meanwhile. An entry of the target is only replaced by one that was stored later,
    unless ``replace`` is set. It is left, and named in the result, if it cannot be read or the target does not take it.

    :param told: called after each part.
    :raises StorageError: if a place cannot be reached. The same call goes on where this one has ended.
    """
    if source.backend is target.backend:
        raise StorageConfigurationError("the source and the target are the same place; name two places")
    copying = _Copying(source, target, options or CopyOptions(), clock)
    token = current_provenance.set(copying.provenance)
    try:
        return copying.run(told)
    finally:
        current_provenance.reset(token)


class _Copying:
    """One copy.

    :ivar provenance: notes reads that a fallback of the database has answered.
    """

    def __init__(self, source: Store, target: Store, options: CopyOptions, clock: WallClock) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._clock = clock
        self._copied = Copied()
        self.provenance = Provenance()

    def run(self, told: Told) -> Copied:
        for part in in_parts(self._pairs(), self._is_streamed):
            if self._is_streamed(part[0][0]):
                self._stream(*part[0])
            else:
                self._copy(part)
            told(self._copied)
        self._require_primary()
        return self._copied

    def _pairs(self) -> Iterator[Pair]:
        now, prefix, since = self._clock(), self._options.prefix, self._options.since
        stores = {"source": self._source, "target": self._target}
        places = {name: scanned(store.run, prefix, small=SMALL) for name, store in stores.items()}
        for _, found in side_by_side(places):
            entry, present = found.get("source"), found.get("target")
            if entry is None:
                self._copied.others += 1
            elif not entry.is_past(now) and (since is None or entry.stored_at >= since):
                self._copied.seen += 1
                yield entry, present

    def _is_streamed(self, head: Stored) -> bool:
        """Whether the body of an entry is copied in parts, because it may not fit in memory."""
        return head.size > PART and self._source.in_parts and self._target.in_parts and DAMAGED not in head.headers

    def _copy(self, part: Sequence[Pair]) -> None:
        entries = whole(self._source, [head for head, _ in part if self._fits(head)])
        # Another version is another entry; only the same one must be read to be compared.
        known = [present for head, present in part if head.key in entries and _is_version(present, head)]
        theirs = whole(self._target, known)
        puts = []
        for head, present in part:
            # None if somebody has just deleted it, or if it has been left.
            if (entry := entries.get(head.key)) is not None:
                there = theirs.get(head.key)
                same = there is not None and digest(there) == digest(entry)
                puts.append(self._put(entry, there or present, same=same))
        self._store([put for put in puts if put is not None])

    def _fits(self, head: Stored) -> bool:
        """Whether the value of an entry can be read as a whole; otherwise it is left."""
        largest = self._target.capabilities.largest
        if head.size <= largest or not self._source.in_parts:
            return True
        self._leave(head, self._too_large(head.size))
        return False

    def _put(self, entry: Stored, present: Stored | None, *, same: bool) -> Put | None:
        """What stores an entry; None if it is there already, or is left."""
        now = self._clock()
        if same:
            self._copied.same += 1
        elif (reason := self._refused(entry)) is not None:
            self._leave(entry, reason)
        elif present is None:
            return Put(entry, ABSENT)
        elif present.is_past(now):
            # By the time of the new entry, as the backend sees it, it may not have expired.
            return Put(entry, ABSENT if present.is_past(entry.stored_at) else present.etag)
        elif self._options.replace:
            return Put(entry)
        elif DAMAGED not in present.headers and present.stored_at < entry.stored_at:
            return Put(entry, present.etag)
        else:
            self._leave(entry, "differs from the entry in the target, which is not older; --replace overwrites it")
        return None

    def _refused(self, entry: Stored) -> str | None:
        """Why an entry cannot be copied; None if it can."""
        if DAMAGED in entry.headers:
            return f"cannot be read: {entry.headers[DAMAGED]}"
        takes, dimensions = self._target.capabilities, len(entry.vector) // _FLOAT
        if len(entry.body) > takes.largest:
            return self._too_large(len(entry.body))
        if dimensions and dimensions != takes.dimensions:
            taken = "takes none" if takes.dimensions is None else f"takes those of {takes.dimensions:,}"
            return f"has a vector of {dimensions:,} dimensions, and {self._target.name} {taken}"
        return None

    def _too_large(self, size: int) -> str:
        return f"has {size:,} bytes, and {self._target.name} takes at most {self._target.capabilities.largest:,}"

    def _leave(self, entry: Stored, reason: str) -> None:
        self._copied.left[entry.key] = reason

    def _require_primary(self) -> None:
        """Refuse what a fallback has answered. :raises StorageConnectionError: names it."""
        for name in self.provenance.stale_for:
            raise StorageConnectionError(
                f"the primary database is unavailable, and the fallback {name}, which has answered, may be outdated"
            )

    # Writes

    def _store(self, puts: Sequence[Put]) -> None:
        self._require_primary()
        if self._options.dry_run:
            for put in puts:
                self._copied.count_moved(put.entry.size)
            return
        stored = [put.entry for together in batches(puts) for put in self._stored(together)]
        found = by_key(self._target, [entry.key for entry in stored])
        for entry in stored:
            there = found.get(entry.key)
            self._check(entry, there, same=there is not None and digest(there) == digest(entry))

    def _stored(self, puts: Sequence[Put]) -> Sequence[Put]:
        """Store entries; those that the target has taken."""
        if self._target.capabilities.batches and len(puts) > 1:
            try:
                self._target.run(Batch(tuple(puts)))
            except _OF_ONE_ENTRY:
                # All or none: which one it is about is found out one by one.
                return [put for put in puts if self._is_stored(put)]
            return puts
        with ThreadPoolExecutor(min(len(puts), _PARALLEL)) as threads:
            taken = list(threads.map(in_callers_name(self._is_stored), puts))
        return [put for put, is_stored in zip(puts, taken, strict=True) if is_stored]

    def _is_stored(self, put: Put | Upload) -> bool:
        try:
            self._target.run(put)
        except _OF_ONE_ENTRY as error:
            self._leave(put.entry, f"could not be stored in {self._target.name}: {error}")
            return False
        return True

    def _check(self, entry: Stored, there: Stored | None, *, same: bool) -> None:
        """Count an entry that was stored, if the target has it as it is."""
        if same:
            self._copied.count_moved(entry.size)
        elif there is None or there.etag != entry.etag:
            self._leave(entry, "was copied, and somebody has changed or deleted it in the target since")
        else:
            self._leave(entry, f"was copied, and has another hash when {self._target.name} returns it")

    # Bodies in parts

    def _stream(self, head: Stored, present: Stored | None) -> None:
        same = _is_version(present, head) and self._hash(self._source, head) == self._hash(self._target, head)
        if (put := self._put(head, present, same=same)) is None:
            return
        self._require_primary()
        if self._options.dry_run:
            self._copied.count_moved(head.size)
            return
        made = begun(head)
        if self._is_stored(Upload(head, passed_on(self._chunks(self._source, head), made), put.expected)):
            there: Stored | None = self._target.run(Fetch(head.key, head=True))
            same = _is_version(there, head) and made.digest() == self._hash(self._target, head)
            self._check(head, there, same=same)

    def _hash(self, store: Store, head: Stored) -> bytes | None:
        """The hash of an entry that is read in parts; None if it is another one by now."""
        known: Stored | None = store.run(Fetch(head.key, head=True))
        if known is None:
            return None
        made = begun(known)
        try:
            for _ in passed_on(self._chunks(store, head), made):
                pass
        except StorageConflictError:
            return None
        return made.digest()

    def _chunks(self, store: Store, head: Stored) -> Iterator[bytes]:
        """The body of an entry in parts. :raises StorageConflictError: if it is another one by now, or gone."""
        try:
            yield from store.stream(head.key, expected=head.etag)[1]
        except StorageNotFoundError as error:
            raise changed(head.key, absent=False, backend=store.name) from error


def _is_version(present: Stored | None, entry: Stored) -> TypeGuard[Stored]:
    return present is not None and present.etag == entry.etag
