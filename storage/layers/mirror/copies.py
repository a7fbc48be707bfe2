"""The copies of a store: how they are compared with it, and made equal again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from itertools import chain
from typing import Any
from typing import Final

from database.core.clock import utc_now
from database.core.errors import DataError
from database.core.operations import Operation
from storage.core.entry import DAMAGED
from storage.core.entry import Stored
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.store import Store
from storage.layers.mirror.integrity import Integrity
from storage.layers.mirror.integrity import same
from storage.layers.mirror.integrity import side_by_side
from storage.layers.mirror.repair_queue import Mark
from storage.layers.scanning import scanned

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 20

Run = Callable[[Operation], Any]
"""Carries out an operation, and returns its value."""


class Copies:
    """Stores that must have what the main one has.

    :param main: the name of the main store.
    :param stores: the others by their names.
    :param run: carries out an operation in the main store.
    :param counts: gets the number of entries that were repaired.
    """

    def __init__(self, main: str, stores: Mapping[str, Store], run: Run, counts: Counter[str]) -> None:
        self.stores = dict(stores)
        self._main = main
        self._run = run
        self._counts = counts

    def compared(self, *, bodies: bool, repair: bool) -> Integrity:
        """Compare all entries, and if wanted, make the copies equal."""
        found = Integrity.of(self._main, self.stores)
        places = {self._main: scanned(self._run, bodies=bodies)}
        places |= {name: scanned(store.run, bodies=bodies) for name, store in self.stores.items()}
        for key, entries in side_by_side(places):
            found.count(entries)
            right = entries.get(self._main)
            if not all(same(entries.get(name), right) for name in self.stores):
                self._look_again(Fetch(key, head=not bodies), found, repair=repair)
        return found

    def make_equal(self, mark: Mark) -> bool:
        """Make the copies of the marked keys equal; returns whether they are."""
        try:
            behind = [key for key in self._marked(mark) if not self._bring(key)]
        except DataError as error:
            logger.warning("copies cannot be repaired now: %s", error)
            return False
        return not behind

    def _look_again(self, fetch: Fetch, found: Integrity, *, repair: bool) -> None:
        """Note a difference, unless it was one of a write that was under way."""
        right: Stored | None = self._run(fetch)
        for name, store in self.stores.items():
            entry: Stored | None = store.run(fetch)
            if not same(entry, right):
                found.note(fetch.key, name, right, entry)
        if repair and fetch.key in found.wrong and self._bring(fetch.key):
            found.repaired += 1

    def _marked(self, mark: Mark) -> Iterable[str]:
        if mark.prefix is None:
            return mark.keys
        runs: list[Run] = [self._run, *(store.run for store in self.stores.values())]
        return {entry.key for entry in chain.from_iterable(scanned(run, mark.prefix) for run in runs)}

    def _bring(self, key: str) -> bool:
        """Make all copies of an entry what it is; returns whether they are.

        :raises DataError: if the main store cannot be reached.
        """
        for _ in range(_ATTEMPTS):
            right: Stored | None = self._run(Fetch(key))
            if right is not None and DAMAGED in right.headers:
                logger.warning("the entry %.64r is damaged, and not copied: %s", key, right.headers[DAMAGED])
                return False
            equal = [self._bring_one(name, key, right) for name in self.stores]
            # As after a write: the last one who writes a copy looks whether the store still has what he wrote.
            if same(self._run(Fetch(key)), right):
                return all(equal)
        return False

    def _bring_one(self, name: str, key: str, right: Stored | None) -> bool:
        store = self.stores[name]
        try:
            if not same(store.run(Fetch(key)), right):
                store.run(Remove(key, utc_now()) if right is None else Put(right))
                self._counts["repaired"] += 1
        except DataError as error:
            logger.warning("the copy %s cannot be repaired now: %s", name, error)
            return False
        return True
