"""The backend of Qdrant: a point for each entry, whose id is made of its key.

Qdrant takes a condition for a write, and does not tell whether it held. So each entry has the etags of those that it
has replaced, and a writer looks whether its own is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from heapq import nsmallest
from typing import Any
from typing import ClassVar
from typing import Final
from uuid import UUID
from uuid import uuid5

import numpy as np
import orjson
import uuid_utils
from qdrant_client import models

from database.core.clock import utc_now
from database.core.context import Context
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Ping
from storage.backends.about import about
from storage.backends.about import body_as_text
from storage.backends.about import body_from_text
from storage.backends.about import from_about
from storage.backends.qdrant.collection import KIND
from storage.backends.qdrant.collection import MEMORY
from storage.backends.qdrant.collection import TOGETHER
from storage.backends.qdrant.collection import VECTOR
from storage.backends.qdrant.collection import Collection
from storage.backends.qdrant.collection import equal
from storage.backends.qdrant.collection import is_server
from storage.core.backend import StoreBackend
from storage.core.backend import require_etag
from storage.core.backend import require_expected
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import ABSENT
from storage.core.entry import Stored
from storage.core.errors import changed
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.operations import Search
from storage.core.vectors.directions import Scored
from storage.core.vectors.directions import floats
from storage.core.vectors.directions import margin
from storage.core.vectors.directions import scores
from storage.core.vectors.searching import first_fitting
from storage.core.vectors.searching import fits

LARGEST: Final = 12 << 20
"""The largest body, in bytes: Qdrant takes requests of 32 MB, in which a quotation mark of JSON takes two bytes."""

_NAMESPACE: Final = UUID("6f0a1f3c-52c5-5d0f-8d5e-6a0f2b7f9b11")
_ATTEMPTS: Final = 5
_REMEMBERED: Final = 32
"""How many etags of replaced entries are kept."""

_SPARE: Final = 16
_HEAD: Final = ("key", "etag", "before", "about")
_PLAIN_PATH: Final = re.compile(r"metadata(\.[A-Za-z0-9_-]+)+")


class QdrantEntries(StoreBackend):
    """Points in a collection of Qdrant: of a server of version 1.17 or newer, or of the client's local mode.

    A listing reads the keys of all entries.

    :param location: the URL of a server, a folder for the local mode, which one process can use, or ``:memory:``.
    :param collection: its name; it is made if it is missing.
    :param dimensions: of the vectors.
    :param exact: compare all vectors. Otherwise Qdrant uses its index: that is faster from some 100,000 vectors on, and
        misses some.
    :param timeout: seconds for each answer of a server; at least one.
    """

    kind: ClassVar[str] = KIND
    capabilities = StoreCapabilities(largest=LARGEST)

    def __init__(
        self,
        location: str,
        collection: str = "isthmus_entries",
        *,
        dimensions: int,
        api_key: str | None = None,
        exact: bool = True,
        timeout: float = 10.0,
    ) -> None:
        self.capabilities = replace(
            self.capabilities, durable=location != MEMORY, shared=is_server(location), dimensions=dimensions
        )
        self._where = {"location": location, "collection": collection}
        self._exact = exact
        self._margin = margin(dimensions)
        self._make = partial(Collection, location, collection, dimensions, api_key, timeout)
        self._create_runtime_state()
        rebuild_after_fork(self, QdrantEntries._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._points = self._make()

    def put(self, put: Put, context: Context) -> None:
        if put.expected is None:
            self._points.upsert(_point(put.entry, []))
            return
        self._exchange(put.entry, lambda present: require_expected(present, put, self.kind))

    def fetch(self, fetch: Fetch, context: Context) -> Stored | None:
        if fetch.head:
            return self._head(fetch.key)[0]
        found = self._points.get([_id(fetch.key)])
        return _stored(found[0]) if found else None

    def fetch_many(self, fetch: FetchMany, context: Context) -> list[Stored]:
        return self._of(fetch.keys, None)

    def remove(self, remove: Remove, context: Context) -> bool:
        present, _ = self._head(remove.key)
        require_etag(present, remove, self.kind)
        if present is None:
            return False
        if remove.expected is None:
            self._points.delete([_id(remove.key)])
            return not present.is_past(remove.now)
        # One of several can replace it by an entry that has expired; who has done so deletes that one.
        gone = present._replace(etag=uuid_utils.uuid7().hex, body=b"", expires_at=remove.now)
        self._exchange(gone, lambda found: require_etag(found, remove, self.kind))
        self._points.delete([_id(remove.key)], equal("etag", gone.etag))
        return not present.is_past(remove.now)

    def scan(self, scan: Scan, context: Context) -> list[Stored]:
        meant = (key for key in self._keys_with(scan.prefix) if key > (scan.after or ""))
        return self._of(nsmallest(scan.limit, meant), None if scan.bodies else _HEAD)

    def clear(self, clear: Clear, context: Context) -> int:
        now = clear.now.timestamp()
        past = models.FieldCondition(key="expires", range=models.Range(lte=now))
        found = {
            str(record.id): record.payload.get("expires", now + 1)
            for record in self._points.all(["key", "expires"], past if clear.past else None)
            if record.payload and record.payload["key"].startswith(clear.prefix)
        }
        ids = list(found)
        for first in range(0, len(ids), TOGETHER):
            # Somebody may have stored another one in the meantime.
            self._points.delete(ids[first : first + TOGETHER], past if clear.past else None)
        return sum(clear.past or expires > now for expires in found.values())

    def search(self, search: Search, context: Context) -> list[tuple[Stored, float]]:
        conditions: list[models.Condition] = [*_conditions(search.filters)]
        if search.prefix:
            # Qdrant has no condition on the beginning of a text.
            conditions.append(models.HasIdCondition(has_id=[*map(_id, self._keys_with(search.prefix))]))

        def fitting(best: Sequence[Scored]) -> list[tuple[Stored, float]]:
            of = dict(best)
            found = ((entry, of[entry.key]) for entry in self._of([key for key, _ in best], None))
            return [(entry, score) for entry, score in found if fits(search, entry)]

        return first_fitting(search.limit, lambda most: self._best(search.vector, most, conditions), fitting)

    def ping(self, ping: Ping, context: Context) -> None:
        self._points.ping()

    def close(self) -> None:
        self._points.close()

    def describe(self) -> Mapping[str, Any]:
        return self._where

    def _head(self, key: str) -> tuple[Stored | None, Sequence[str]]:
        """The entry without its body, and the etags of those that it has replaced."""
        found = self._points.get([_id(key)], _HEAD)
        return (_stored(found[0]), (found[0].payload or {}).get("before", ())) if found else (None, ())

    def _exchange(self, entry: Stored, check: Callable[[Stored | None], None]) -> None:
        """Store an entry instead of the present one.

        :param check: raises an error if the present one is not as expected.
        """
        for _ in range(_ATTEMPTS):
            present, before = self._head(entry.key)
            # It is there, or was there until somebody replaced it: now, or before an answer was lost.
            if present is not None and entry.etag in {present.etag, *before}:
                return
            check(present)
            replaced = [] if present is None else [present.etag, *before][:_REMEMBERED]
            self._points.upsert(_point(entry, replaced), ABSENT if present is None else present.etag)
        raise changed(entry.key, absent=False, backend=self.kind)

    def _keys_with(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, in any order."""
        keys = (str(record.payload["key"]) for record in self._points.all(["key"]) if record.payload)
        return (key for key in keys if key.startswith(prefix))

    def _of(self, keys: Iterable[str], fields: Sequence[str] | None) -> list[Stored]:
        """The entries of these keys, in their order."""
        ids = [_id(key) for key in keys]
        found: dict[str, Stored] = {}
        for first in range(0, len(ids), TOGETHER):
            records = self._points.get(ids[first : first + TOGETHER], fields)
            found |= {str(record.id): _stored(record) for record in records}
        return [found[id_] for id_ in ids if id_ in found]

    def _best(self, stored: bytes, wanted: int, conditions: Sequence[models.Condition]) -> list[Scored]:
        """The keys of the most similar entries, with their exact scores, the best first."""
        asked = wanted + _SPARE
        while True:
            points = self._points.nearest(stored, asked, conditions, exact=self._exact)
            # Then none of the others can be among the best.
            if len(points) < asked or points[-1].score < points[wanted - 1].score - self._margin:
                break
            asked *= 2
        if not points:
            return []
        rows = np.array([_numbers(point) for point in points], np.float32)
        keys = [str((point.payload or {}).get("key")) for point in points]
        found = zip(keys, scores(rows, floats(stored)), strict=True)
        return sorted(found, key=lambda scored: (-scored[1], scored[0]))[:wanted]


def _id(key: str) -> str:
    return str(uuid5(_NAMESPACE, key))


def _point(entry: Stored, before: Sequence[str]) -> models.PointStruct:
    payload: dict[str, Any] = {
        "key": entry.key,
        "etag": entry.etag,
        "before": list(before),
        # As text, so that its numbers stay as they are; beside it, the metadata are there to be found.
        "about": orjson.dumps(about(entry)).decode(),
        "metadata": dict(entry.metadata),
        "body": body_as_text(entry),
    }
    if entry.expires_at is not None:
        payload["expires"] = entry.expires_at.timestamp()
    vector: Any = {VECTOR: floats(entry.vector).tolist()} if entry.vector else {}
    return models.PointStruct(id=_id(entry.key), vector=vector, payload=payload)


def _stored(record: models.Record) -> Stored:
    payload = record.payload or {}
    key = str(payload.get("key"))
    try:
        known = orjson.loads(payload["about"])
        entry = from_about(known, body_from_text(payload.get("body", ""), known["headers"]))
        if _id(entry.key) != str(record.id):
            raise ValueError("it has the entry of another key")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is no entry of a store"
        return Stored.damaged(key, f"its point in Qdrant is damaged: {reason}", utc_now())
    return entry._replace(vector=np.array(_numbers(record), "<f4").tobytes()) if record.vector else entry


def _numbers(point: models.Record | models.ScoredPoint) -> Any:
    return point.vector.get(VECTOR, ()) if isinstance(point.vector, dict) else ()


def _conditions(filters: Mapping[str, Any]) -> list[models.FieldCondition]:
    """Those of the filters that Qdrant can apply; all of them are applied to what it finds."""
    return [
        equal(path, wanted)
        for path, wanted in filters.items()
        if isinstance(wanted, str | bool) and (path == "key" or _PLAIN_PATH.fullmatch(path))
    ]
