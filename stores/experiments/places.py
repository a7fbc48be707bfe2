"""Where records are: which store has a key, and what is done to keys of several stores."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice

from database.core.context import as_application
from storage.asynchronous.convex.records import PREFIXES
from storage.asynchronous.convex.records import prefix_of
from storage.core.entry import Entry
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageNotFoundError
from storage.core.errors import shown
from storage.core.keys import check_key
from storage.core.keys import check_prefix
from storage.core.keys import without_nul
from storage.core.store import MAX_PAGE
from storage.core.store import Store
from storage.core.store import check_limit
from stores.experiments.kinds import KINDS
from stores.experiments.kinds import LONGEST
from stores.experiments.kinds import OF_PREFIX


class RecordPlaces:
    """Records in a store for each kind, which may be the same one; their keys say of which kind they are.

    They are read and written as the application: also where a store has access rules for callers.

    :param general: where values with other keys are; without it, such keys are refused.
    """

    def __init__(self, rl_data: Store, experiments: Store, runs: Store, general: Store | None = None) -> None:
        self._stores = dict(zip((kind.table for kind in KINDS), (rl_data, experiments, runs), strict=True))
        self._general = general

    def entry(self, key: str) -> Entry | None:
        """The record of a key with its version and times, or None; reinforcement-learning data with all its fields."""
        try:
            return self.existing(key)
        except StorageNotFoundError:
            return None

    @as_application()
    def existing(self, key: str) -> Entry:
        """As :meth:`entry`. :raises StorageNotFoundError: if there is none."""
        return self._of(key).entry(key)

    @as_application()
    def exists(self, key: str) -> bool:
        """Whether there is a value. :raises StorageError: if that cannot be known."""
        return self._of(key).exists(key)

    @as_application()
    def delete(self, key: str) -> bool:
        """Delete a value; returns whether there was one."""
        return self._of(key).delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with ``prefix``, in order; read as they are needed."""
        recorded = (key for store, part in self._parts(check_prefix(prefix)) for key in store.keys(part))
        return merge(recorded, self._general_keys(prefix))

    def list_keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with ``prefix``, in order."""
        return list(self.keys(prefix))

    def count(self, prefix: str = "") -> int:
        """How many keys begin with ``prefix``."""
        return sum(1 for _ in self.keys(prefix))

    @as_application()
    def page(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> tuple[list[str], str | None]:
        """Keys that begin with ``prefix``, in order, and the cursor of the next page; None after the last one.

        :param cursor: that of an earlier page.
        :param limit: how many at most, from 1 to 999.
        """
        check_limit(limit, MAX_PAGE - 1)
        after = check_prefix(cursor or "")
        found = list(islice(self._recorded(check_prefix(prefix), after, limit + 1), limit + 1))
        keys = list(merge(found, islice(self._general_keys(prefix, after), limit + 1)))
        return keys[:limit], keys[limit - 1] if len(keys) > limit else None

    @as_application()
    def clear(self, prefix: str = "") -> int:
        """Delete what begins with ``prefix``; returns the number of values."""
        cleared = sum([store.clear(part) for store, part in self._parts(check_prefix(prefix))])
        return cleared + sum([self.delete(key) for key in list(self._general_keys(prefix))])

    def close(self) -> None:
        """Close all connections; the next call opens them again."""
        for store in {id(store): store for store in (*self._stores.values(), self._general) if store}.values():
            store.close()

    def _of(self, key: str) -> Store:
        """The store of a key. :raises StorageKeyError: if there is none for it."""
        if self._general is not None and self._is_general(key):
            return self._general
        kind = OF_PREFIX[prefix_of(key)]
        if len(without_nul(key.removeprefix(kind.beginning))) > LONGEST:
            raise StorageKeyError(f"the key {shown(key)} is too long: it may have {LONGEST} characters")
        return self._stores[kind.table]

    def _is_general(self, key: str) -> bool:
        return self._general is not None and not self._has_record(key)

    @staticmethod
    def _has_record(key: str) -> bool:
        """Whether a key has the prefix of a record, be there an id behind it or not."""
        prefix, colon, _ = check_key(key).partition(":")
        return bool(colon) and prefix in PREFIXES

    def _parts(self, prefix: str) -> Iterator[tuple[Store, str]]:
        """The stores of the records with a prefix, each with a prefix of records only; in the order of the keys."""
        for one in sorted(f"{name}:" for name in PREFIXES):
            if one.startswith(prefix) or prefix.startswith(one):
                yield self._stores[OF_PREFIX[one[:-1]].table], max(one, prefix)

    def _recorded(self, prefix: str, after: str, limit: int) -> Iterator[str]:
        """The first keys of records behind ``after``, from each place at most ``limit``."""
        for store, part in self._parts(prefix):
            if after.startswith(part) or after < part:
                page = store.page(part, cursor=after if after.startswith(part) else None, limit=limit)
                yield from (entry.key for entry in page.entries)

    def _general_keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """The keys of other values behind ``after``, in order."""
        if self._general is None or (after > prefix and not after.startswith(prefix)):
            return
        cursor = after if after.startswith(prefix) and after else None
        while True:
            with as_application():
                page = self._general.page(prefix, cursor=cursor, limit=MAX_PAGE)
            yield from (entry.key for entry in page.entries if not self._has_record(entry.key))
            if (cursor := page.next_cursor) is None:
                return
