"""The vectors of the entries in a table, kept in the process: the next search reads only those that are new.

They are compared here and not by the database: so a search is the same on all databases, also over HTTP and on those
without an extension for vectors, and it finds what its own transaction has written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from threading import Lock

from database.core.lifecycle import rebuild_after_fork
from storage.core.errors import shown
from storage.core.keys import without_nul
from storage.core.vectors.directions import Directions
from storage.core.vectors.directions import Scored

logger = logging.getLogger(__name__)

Read = Callable[[Sequence[str]], Mapping[str, bytes]]
"""Reads the vectors of keys, by the etags that their entries have by now."""


class TableVectors:
    """The vectors that this process has read, by etag. An etag names one version of an entry, so none is outdated.

    :param dimensions: of each.
    """

    def __init__(self, dimensions: int) -> None:
        self._bytes = 4 * dimensions
        self._directions = Directions(dimensions)
        self._keys: dict[str, str] = {}
        self._create_runtime_state()
        rebuild_after_fork(self, TableVectors._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._lock = Lock()

    def best(self, stored: bytes, wanted: int, present: dict[str, str], read: Read, prefix: str = "") -> list[Scored]:
        """The etags of the entries with the most similar vectors, the best first, with their scores.

        :param present: the keys of all entries with vectors, by etag; those that have changed by now are taken out.
        :param prefix: with which the keys begin that are meant.
        """
        new: Mapping[str, bytes] = {}
        while True:
            # Not while others wait for it: they may hold what the database needs for an answer.
            with self._lock:
                self._keep(new, present)
                missing = [etag for etag in present if etag not in self._directions]
                if not missing:
                    if new or not prefix:
                        self._forget_all_but(present, without_nul(prefix))
                    among = present if prefix else None
                    return self._directions.best(stored, wanted, present.__getitem__, among)
            new = self._valid(read([present[etag] for etag in missing]), present)
            for etag in missing:
                if etag not in new:
                    del present[etag]

    def _keep(self, vectors: Mapping[str, bytes], present: Mapping[str, str]) -> None:
        for etag, vector in vectors.items():
            self._directions.set(etag, vector)
            self._keys[etag] = present.get(etag, "")

    def _valid(self, vectors: Mapping[str, bytes], present: Mapping[str, str]) -> dict[str, bytes]:
        for etag, vector in vectors.items():
            if len(vector) != self._bytes and etag in present:
                logger.warning(
                    "the entry %s has a vector of %d bytes instead of %d, and is left out of the result",
                    *(shown(present[etag]), len(vector), self._bytes),
                )
        return {etag: vector for etag, vector in vectors.items() if len(vector) == self._bytes}

    def _forget_all_but(self, present: Mapping[str, str], prefix: str) -> None:
        """Forget the entries with a prefix that are not there any more."""
        if len(self._directions) > len(present):
            for etag in [one for one, key in self._keys.items() if one not in present and key.startswith(prefix)]:
                del self._keys[etag]
                self._directions.discard(etag)
