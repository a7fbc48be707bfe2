"""A journal of writes in a store: an entry for each operation, in their order, until they are carried out elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from typing import Final
from typing import NamedTuple

import orjson
import uuid_utils

from database.core.clock import utc_now
from database.core.kinds.binary import base64_text
from database.core.operations import Batch
from database.core.operations import Operation
from storage.backends.about import about
from storage.backends.about import from_about
from storage.core.entry import ABSENT
from storage.core.entry import Stored
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageCorruptError
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.operations import written
from storage.core.store import Store
from storage.core.values import readable_body
from storage.layers.scanning import scanned

_PENDING: Final = "pending:"
_REFUSED: Final = "refused:"


class Record(NamedTuple):
    """An operation of the journal.

    :ivar name: its place in the order. After the record was removed, another one may get it.
    :ivar etag: of this record alone.
    """

    name: str
    etag: str
    operation: Operation


class Journal:
    """The operations that are pending, in the order in which they were made, also by several processes.

    It is used by one thread at a time.

    :param store: where they are kept. It must be durable, or they are lost with the process.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[str, str] = {}
        self._latest: dict[str, str] = {}
        self._last = _PENDING

    def is_empty(self) -> bool:
        """Whether nothing is pending."""
        return not self._store.run(Scan(_PENDING, limit=1))

    def catch_up(self) -> None:
        """Read what other processes have added."""
        first: list[Stored] = self._store.run(Scan(_PENDING, limit=1))
        # Records are removed from the front. So if the first one is known, there is nothing new but behind the last.
        if not first or self._records.get(first[0].key) != first[0].etag:
            self._records, self._latest, self._last = {}, {}, _PENDING
        while self._records and next(iter(self._records)) != first[0].key:
            del self._records[next(iter(self._records))]
        for record in self._scan(_PENDING, self._last):
            self._add(record)

    def records(self) -> Iterator[Record]:
        """All that is pending, in order. :raises StorageCorruptError: for one that is damaged."""
        return self._scan(_PENDING)

    def latest(self, key: str) -> tuple[Record, Put | Remove] | None:
        """The last record that :meth:`catch_up` has read for a key, and what it does; None if there is none."""
        name = self._latest.get(key)
        entry = None if name is None else self._store.run(Fetch(name))
        if entry is None or self._records.get(entry.key) != entry.etag:
            # Another process has carried it out.
            return None
        record = _record(entry)
        return record, _part(record.operation, key)

    def has(self, record: Record) -> bool:
        """Whether a record is still there."""
        found: Stored | None = self._store.run(Fetch(record.name, head=True))
        return found is not None and found.etag == record.etag

    def append(self, operation: Operation) -> Record | None:
        """Add an operation behind all that :meth:`catch_up` has read; None if another process was faster.

        :raises StorageCapacityError: if it is larger than the store of the journal takes.
        """
        number = int(self._last.removeprefix(_PENDING) or 0) + 1
        entry = _entry(f"{_PENDING}{number:020}", operation)
        if entry.size > self._store.capabilities.largest:
            raise StorageCapacityError(
                f"the journal {self._store.name} takes at most {self._store.capabilities.largest:,} bytes, and the"
                f" write has {entry.size:,} there; try again when the store itself can be reached"
            )
        try:
            self._store.run(Put(entry, ABSENT))
        except StorageConflictError:
            return None
        record = Record(entry.key, entry.etag, operation)
        self._add(record)
        return record

    def replace(self, record: Record, operation: Operation) -> bool:
        """Change what a record does; returns False if it is gone."""
        entry = _entry(record.name, operation)
        try:
            self._store.run(Put(entry, record.etag))
        except StorageConflictError:
            return False
        self._records[entry.key] = entry.etag
        return True

    def remove(self, record: Record) -> None:
        """Remove a record; nothing happens if it is gone."""
        with suppress(StorageConflictError):
            self._store.run(Remove(record.name, utc_now(), record.etag))

    def refuse(self, record: Record) -> None:
        """Put a record aside that cannot be carried out, for people to look at."""
        self._store.run(Put(_entry(_REFUSED + record.etag, record.operation)))
        self.remove(record)

    def refused(self) -> Iterator[Record]:
        """What was put aside."""
        return self._scan(_REFUSED)

    def __len__(self) -> int:
        """How many records were there when :meth:`catch_up` was called."""
        return len(self._records)

    def _scan(self, prefix: str, after: str | None = None) -> Iterator[Record]:
        return map(_record, scanned(self._store.run, prefix, after=after, bodies=True))

    def _add(self, record: Record) -> None:
        self._last = record.name
        self._records[record.name] = record.etag
        for key in written(record.operation):
            self._latest[key] = record.name


def is_conditional(operation: Operation) -> bool:
    """Whether an operation has a condition."""
    if isinstance(operation, Batch):
        return any(map(is_conditional, operation.operations))
    return isinstance(operation, Put | Remove) and operation.expected is not None


def _record(entry: Stored) -> Record:
    try:
        return Record(entry.key, entry.etag, _from_document(orjson.loads(readable_body(entry))))
    except (ValueError, KeyError, TypeError) as error:
        raise StorageCorruptError(entry.key, "it is no record of a journal") from error


def _entry(name: str, operation: Operation) -> Stored:
    body = orjson.dumps(_document(operation))
    return Stored(name, uuid_utils.uuid7().hex, body, len(body), {}, {}, utc_now())


def _part(operation: Operation, key: str) -> Put | Remove:
    """The last part of an operation that writes a key."""
    parts = operation.operations if isinstance(operation, Batch) else (operation,)
    return next(part for part in reversed(parts) if isinstance(part, Put | Remove) and key in written(part))


def _document(operation: Operation) -> dict[str, Any]:
    if isinstance(operation, Put):
        fields = operation.entry._asdict().items()
        binary: dict[str, Any] = {name: base64_text(value) for name, value in fields if isinstance(value, bytes)}
        return {"put": about(operation.entry), "base64": binary, "expected": operation.expected}
    if isinstance(operation, Remove):
        return {"remove": operation.key, "now": operation.now.isoformat(), "expected": operation.expected}
    assert isinstance(operation, Batch)
    return {"batch": [_document(part) for part in operation.operations]}


def _from_document(found: Mapping[str, Any]) -> Operation:
    if "batch" in found:
        return Batch(tuple(_from_document(part) for part in found["batch"]))
    if "remove" in found:
        return Remove(found["remove"], datetime.fromisoformat(found["now"]), found["expected"])
    binary: dict[str, Any] = {name: base64.b64decode(text, validate=True) for name, text in found["base64"].items()}
    return Put(from_about(found["put"], b"")._replace(**binary), found["expected"])
