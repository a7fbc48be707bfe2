"""The repair queue of a mirror: a mark for each write that is under way, or that has not reached every copy."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from datetime import timedelta
from typing import NamedTuple

import orjson
import uuid_utils

from database.core.clock import utc_now
from database.core.errors import DataError
from storage.core.entry import Stored
from storage.core.errors import StorageCorruptError
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.store import Store
from storage.core.values import readable_body
from storage.layers.scanning import scanned


class Mark(NamedTuple):
    """Keys whose copies may differ.

    :ivar prefix: instead of ``keys``: all keys with this prefix.
    :ivar is_due: whether the write is over; otherwise it may be under way.
    """

    name: str
    keys: tuple[str, ...]
    prefix: str | None
    made_at: datetime
    is_due: bool = False

    def covers(self, key: str) -> bool:
        """Whether the copies of a key may differ."""
        return key in self.keys or (self.prefix is not None and key.startswith(self.prefix))


class RepairQueue:
    """The marks, in the order in which they were made.

    :param store: where they are kept; durable.
    :param patience: seconds after which a write is over, whatever has become of it.
    """

    def __init__(self, store: Store, patience: float) -> None:
        self._store = store
        self._patience = timedelta(seconds=patience)

    def mark(self, keys: Iterable[str], prefix: str | None = None) -> Mark:
        """Mark keys that are going to be written. :raises StorageError: if that could not be kept."""
        mark = Mark(uuid_utils.uuid7().hex, tuple(keys), prefix, utc_now())
        self._store.run(Put(_entry(mark)))
        return mark

    def release(self, mark: Mark) -> None:
        """The copies are equal. A mark that cannot be removed now is found to be superfluous by a repair."""
        with suppress(DataError):
            self._store.run(Remove(mark.name, utc_now()))

    def make_due(self, mark: Mark) -> None:
        """The write is over, and the copies may differ. If that cannot be kept, the mark is due after a while."""
        with suppress(DataError):
            self._store.run(Put(_entry(mark._replace(is_due=True))))

    def is_over(self, mark: Mark) -> bool:
        """Whether the write of a mark is not under way any more."""
        return mark.is_due or utc_now() - mark.made_at >= self._patience

    def marks(self) -> Iterator[Mark]:
        """All marks, the oldest one first."""
        return map(_mark, scanned(self._store.run, bodies=True))

    def is_empty(self) -> bool:
        """Whether there is none."""
        return not self._store.run(Scan(limit=1))

    @property
    def store(self) -> Store:
        """Where the marks are kept."""
        return self._store


def _entry(mark: Mark) -> Stored:
    body = orjson.dumps({"keys": mark.keys, "prefix": mark.prefix, "is_due": mark.is_due})
    return Stored(mark.name, uuid_utils.uuid7().hex, body, len(body), {}, {}, mark.made_at)


def _mark(entry: Stored) -> Mark:
    try:
        found = orjson.loads(readable_body(entry))
        return Mark(entry.key, tuple(found["keys"]), found["prefix"], entry.stored_at, found["is_due"])
    except (ValueError, KeyError, TypeError) as error:
        raise StorageCorruptError(entry.key, "it is no mark of a repair queue") from error
