"""Retention: which entries a store keeps, and what becomes of the others."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from datetime import timedelta
from heapq import nlargest
from typing import Final

from database.core.clock import utc_now
from storage.core.entry import ABSENT
from storage.core.entry import DAMAGED
from storage.core.entry import Stored
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConflictError
from storage.core.keys import check_key
from storage.core.making import WallClock
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.store import Store
from storage.layers.scanning import scanned

logger = logging.getLogger(__name__)

SHOWN: Final = 1_000
"""How many keys a report names."""

_Age = tuple[datetime, str]
"""The order of entries by age: when an entry was stored, and its key."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Which entries are kept. One that exceeds any limit is not.

    :param prefix: of the keys that it is about.
    :param max_age: seconds since an entry was stored.
    :param max_count: how many are kept, the newest ones.
    :param archive: the store to which the others are moved; None to delete them.
    :raises StorageConfigurationError: for a rule without a limit, or with a negative one.
    """

    prefix: str = ""
    max_age: float | timedelta | None = None
    max_count: int | None = None
    archive: Store | None = None

    def __post_init__(self) -> None:
        if self.max_age is None and self.max_count is None:
            raise StorageConfigurationError("a rule of retention must have a max_age or a max_count")
        if self.age < timedelta() or (self.max_count or 0) < 0:
            raise StorageConfigurationError("the limits of a rule of retention must not be negative")

    @property
    def age(self) -> timedelta:
        """``max_age``; the longest one for none."""
        if self.max_age is None:
            return timedelta.max
        return self.max_age if isinstance(self.max_age, timedelta) else timedelta(seconds=self.max_age)


@dataclass(slots=True)
class Applied:
    """What a rule has done, or would do.

    :ivar seen: entries that it is about.
    :ivar size: bytes of the values that were moved or deleted.
    :ivar changed: entries that somebody has changed in the meantime, and that were left.
    :ivar unreadable: the keys of damaged entries, which were left.
    :ivar keys: those of the first :data:`SHOWN` entries that were moved or deleted.
    """

    rule: Keep
    seen: int = 0
    archived: int = 0
    deleted: int = 0
    size: int = 0
    changed: int = 0
    unreadable: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class Retention:
    """Rules for a store, which are applied one after another whenever :meth:`apply` is called.

    :param clock: the time of day, as the store has it.
    """

    def __init__(self, store: Store, rules: Iterable[Keep], clock: WallClock = utc_now) -> None:
        self._store = store
        self._rules = tuple(rules)
        self._clock = clock

    def apply(self, *, dry_run: bool = False) -> list[Applied]:
        """Move or delete what is not to be kept; returns what each rule has done.

        It may be interrupted, and others may read and write meanwhile: an entry that is changed is left, and one that
        is moved is in the archive before it is deleted.

        :param dry_run: only report what would be done.
        """
        return [self._applied(rule, dry_run=dry_run) for rule in self._rules]

    def restore(self, key: str) -> bool:
        """Copy an entry back from the archive, as it was; returns whether there was one.

        :raises StorageConflictError: if the store has an entry with this key.
        """
        for rule in self._rules:
            if rule.archive is not None and key.startswith(rule.prefix):
                found: Stored | None = rule.archive.run(Fetch(check_key(key)))
                if found is not None and not found.is_past(self._clock()):
                    self._store.run(Put(found._replace(stored_at=self._clock()), ABSENT))
                    return True
        return False

    def _applied(self, rule: Keep, *, dry_run: bool) -> Applied:
        done = Applied(rule)
        now = self._clock()
        newest = self._oldest_that_counts(rule)
        for entry in self._entries(rule):
            done.seen += 1
            if DAMAGED in entry.headers:
                done.unreadable.append(entry.key)
            elif now - entry.stored_at > rule.age or (newest is not None and _age(entry) < newest):
                self._take_out(entry, done, dry_run=dry_run)
        logger.info(
            "retention of %.64r%s: %d seen, %d archived, %d deleted, %d bytes",
            *(rule.prefix, " (dry run)" if dry_run else "", done.seen, done.archived, done.deleted, done.size),
        )
        return done

    def _oldest_that_counts(self, rule: Keep) -> _Age | None:
        """The oldest of the newest entries that are kept; None without a limit."""
        if rule.max_count is None:
            return None
        kept = nlargest(
            max(rule.max_count, 1), (_age(entry) for entry in self._entries(rule) if DAMAGED not in entry.headers)
        )
        if not kept:
            return None
        return kept[-1] if rule.max_count else (datetime.max.replace(tzinfo=kept[0][0].tzinfo), "")

    def _entries(self, rule: Keep) -> Iterator[Stored]:
        now = self._clock()
        # What has expired is deleted by the sweep, and is nobody's to archive.
        return (entry for entry in scanned(self._store.run, rule.prefix) if not entry.is_past(now))

    def _take_out(self, entry: Stored, done: Applied, *, dry_run: bool) -> None:
        archive = done.rule.archive
        if not dry_run and not self._is_taken_out(entry, archive, done):
            return
        if archive is None:
            done.deleted += 1
        else:
            done.archived += 1
        done.size += entry.size
        if len(done.keys) < SHOWN:
            done.keys.append(entry.key)

    def _is_taken_out(self, head: Stored, archive: Store | None, done: Applied) -> bool:
        if archive is not None:
            entry: Stored | None = self._store.run(Fetch(head.key))
            if entry is not None and DAMAGED in entry.headers:
                done.unreadable.append(head.key)
                return False
            if entry is not None and entry.etag == head.etag:
                _archive(archive, entry)
        try:
            self._store.run(Remove(head.key, self._clock(), head.etag))
        except StorageConflictError:
            done.changed += 1
            return False
        return True


def _archive(archive: Store, entry: Stored) -> None:
    """Store an entry under its key; if the archive has another version of it, under the key and its own version."""
    try:
        archive.run(Put(entry, ABSENT))
    except StorageConflictError:
        archive.run(Put(entry._replace(key=check_key(f"{entry.key}@{entry.etag}"))))


def _age(entry: Stored) -> _Age:
    return entry.stored_at, entry.key
