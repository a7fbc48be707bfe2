"""The backend of Cosmos DB: an item for each entry, changed under conditions on its tag."""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any
from typing import ClassVar
from typing import Final

import orjson

from database.core.clock import utc_now
from database.core.context import Context
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Batch
from database.core.operations import Ping
from storage.backends.about import about
from storage.backends.about import body_as_text
from storage.backends.about import body_from_text
from storage.backends.about import from_about
from storage.backends.cosmos.account import PARTITION
from storage.backends.cosmos.account import CosmosConnections
from storage.backends.cosmos.account import Item
from storage.backends.cosmos.account import Opening
from storage.backends.cosmos.container import MOST_TOGETHER
from storage.backends.cosmos.container import Container
from storage.backends.cosmos.container import check_batch
from storage.backends.cosmos.errors import KIND
from storage.backends.ordered_names import LONGEST
from storage.backends.ordered_names import key_of
from storage.backends.ordered_names import name_of
from storage.backends.ordered_names import short_name_of
from storage.core.backend import StoreBackend
from storage.core.backend import require_etag
from storage.core.backend import require_expected
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import ABSENT
from storage.core.entry import Stored
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import changed
from storage.core.keys import after_all
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan

LARGEST: Final = 900 << 10
"""The largest body, in bytes: an item has 2 MB, in which a quotation mark of JSON takes two bytes."""

_ATTEMPTS: Final = 5
_LONGEST_TTL: Final = 2**31 - 1
_GRACE: Final = 60
"""Seconds after which Cosmos DB deletes what has expired, so that its clock never decides."""

_HEAD: Final = "SELECT c.id, c._etag, c.about FROM c WHERE "
_WHOLE: Final = "SELECT c.id, c._etag, c.about, c.body FROM c WHERE "

Known = tuple[Stored | None, str]
"""An entry, and the tag by which Cosmos DB knows it."""


class CosmosEntries(StoreBackend):
    """Items in a container of Cosmos DB, in one logical partition for each store, of 20 GB at most.

    What one process has written, another one reads as the consistency of the account says. Conditional writes are
    atomic with each.

    :param url: of the account, such as ``https://name.documents.azure.com:443/``.
    :param credential: the account's key, or a credential of ``azure.identity``.
    :param database: its name.
    :param store: the partition key; the name by which the entries of this store are told from others.
    :param container: its name. Its partition key must be ``/store``.
    :param create: make the database and the container if they are missing; the key must have the right to do so.
    :param timeout: seconds for a connection, and for each answer.
    :param regions: of the account, the nearest first, such as ``["West US"]``; none by default, which sends all
        requests to ``url``. Reads are sent to the first one that answers.
    :param autoscale: the most request units per second of a container that is made, a multiple of 1,000.
    :raises StorageConfigurationError: if the regions are no names, or ``autoscale`` is no such number.
    """

    kind: ClassVar[str] = KIND
    capabilities = StoreCapabilities(batches=True, expiry="itself", largest=LARGEST)

    def __init__(  # noqa: PLR0913 - the others by name
        self,
        url: str,
        credential: Any,
        database: str,
        store: str = "default",
        *,
        container: str = "isthmus_entries",
        create: bool = True,
        timeout: float = 10.0,
        regions: Sequence[str] = (),
        autoscale: int | None = None,
    ) -> None:
        self._where = {"url": url, "database": database, "container": container, "store": store}
        self._store = store
        self._account = partial(CosmosConnections, url, credential, timeout, regions)
        self._opening = partial(Opening, database=database, name=container, create=create, autoscale=autoscale)
        self._create_runtime_state()
        rebuild_after_fork(self, CosmosEntries._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._items = Container(self._opening(self._account()), self._store)

    def put(self, put: Put, context: Context) -> None:
        item = self._item(put.entry)
        if put.expected is None:
            self._items.upsert(item)
            return
        present, tag = (None, "") if put.expected == ABSENT else self._required(put)
        for _ in range(_ATTEMPTS):
            # It is there already, if an earlier answer was lost.
            if present is not None and present.etag == put.entry.etag:
                return
            if self._items.create(item) if present is None else self._items.replace(item, tag):
                return
            present, tag = self._required(put)
        raise changed(put.entry.key, absent=put.expected == ABSENT, backend=self.kind)

    def batch(self, batch: Batch, context: Context) -> list[Any]:
        puts = [part for part in batch.operations if isinstance(part, Put)]
        if len(puts) != len(batch.operations):
            raise StorageUnsupportedError("other operations than puts in a batch", backend=self.kind)
        items = [self._item(put.entry) for put in puts]
        check_batch(items)
        for _ in range(_ATTEMPTS):
            if self._items.batch([self._part(put, item) for put, item in zip(puts, items, strict=True)]):
                return [None] * len(puts)
        raise changed(puts[0].entry.key, absent=False, backend=self.kind)

    def fetch(self, fetch: Fetch, context: Context) -> Stored | None:
        name = short_name_of(fetch.key)
        if fetch.head:
            return self._head(name)[0]
        item = self._items.get(name)
        return None if item is None else _stored(item)

    def fetch_many(self, fetch: FetchMany, context: Context) -> list[Stored]:
        names = [short_name_of(key) for key in fetch.keys]
        parameters = {f"@id{number}": name for number, name in enumerate(names)}
        found = self._items.query(f"{_WHOLE}c.id IN ({', '.join(parameters)})", parameters)
        items = {item["id"]: item for item in found}
        entries = (_stored(items[name]) for name in names if name in items)
        return [entry for entry in entries if entry is not None]

    def remove(self, remove: Remove, context: Context) -> bool:
        name = short_name_of(remove.key)
        present, tag = self._head(name)
        require_etag(present, remove, self.kind)
        if present is None:
            return False
        if not self._items.delete(name, None if remove.expected is None else tag) and remove.expected is not None:
            raise changed(remove.key, absent=False, backend=self.kind)
        return not present.is_past(remove.now)

    def scan(self, scan: Scan, context: Context) -> list[Stored]:
        found: list[Stored] = []
        # The keys of long names are in the items only.
        for _, alike in groupby(self._within(scan), key=lambda item: item["id"][:LONGEST]):
            entries = sorted(filter(None, map(_stored, alike)), key=lambda entry: entry.key)
            found += [
                entry for entry in entries if entry.key.startswith(scan.prefix) and entry.key > (scan.after or "")
            ]
            if len(found) >= scan.limit:
                break
        return found[: scan.limit]

    def clear(self, clear: Clear, context: Context) -> int:
        if clear.past:
            return self._sweep(clear.now)
        delete = self._delete_all
        return self._clear_together(
            clear, context, MOST_TOGETHER, lambda found: delete([short_name_of(entry.key) for entry in found])
        )

    def ping(self, ping: Ping, context: Context) -> None:
        self._items.ping()

    def close(self) -> None:
        self._items.close()

    def describe(self) -> Mapping[str, Any]:
        return self._where

    def _head(self, name: str) -> Known:
        item = next(self._items.query(f"{_HEAD}c.id = @id", {"@id": name}), None)
        return (None, "") if item is None else (_stored(item), item["_etag"])

    def _required(self, put: Put) -> Known:
        """The present entry. :raises StorageConflictError: if it is not as expected."""
        present, tag = self._head(short_name_of(put.entry.key))
        require_expected(present, put, self.kind)
        return present, tag

    def _part(self, put: Put, item: Item) -> tuple[Any, ...]:
        """The operation of a batch. :raises StorageConflictError: if the present entry is not as expected."""
        if put.expected is None:
            return ("upsert", (item,))
        present, tag = self._required(put)
        return ("create", (item,)) if present is None else ("replace", (item["id"], item), {"if_match_etag": tag})

    def _within(self, scan: Scan) -> Iterator[Item]:
        """The items of the keys that may be meant, in the order of their names."""
        start = name_of(scan.prefix)[:LONGEST]
        bounds = {"c.id >= @start": start}
        if (end := after_all(start)) is not None:
            bounds["c.id < @end"] = end
        if scan.after is not None:
            bounds["c.id > @after"] = name_of(scan.after)[:LONGEST]
        parameters = {bound.rpartition(" ")[2]: name for bound, name in bounds.items()}
        text = f"{_WHOLE if scan.bodies else _HEAD}{' AND '.join(bounds)} ORDER BY c.id"
        return self._items.query(text, parameters, min(scan.limit, 1_000))

    def _sweep(self, now: datetime) -> int:
        past = list(self._items.query(f"{_HEAD}c.expires <= @now", {"@now": _milliseconds(now)}))
        # Somebody may have stored another one in the meantime.
        return sum(self._items.delete(item["id"], item["_etag"]) for item in past)

    def _delete_all(self, names: Sequence[str]) -> None:
        if not self._items.batch([("delete", (name,)) for name in names]):
            # One of them is gone.
            for name in names:
                self._items.delete(name)

    def _item(self, entry: Stored) -> Item:
        item: Item = {
            "id": short_name_of(entry.key),
            PARTITION: self._store,
            "key": entry.key,
            # As text: the numbers of Cosmos DB have 53 bits.
            "about": orjson.dumps(about(entry)).decode(),
            "body": body_as_text(entry),
        }
        if entry.expires_at is not None:
            left = math.ceil((entry.expires_at - entry.stored_at).total_seconds()) + _GRACE
            item |= {"expires": _milliseconds(entry.expires_at), "ttl": min(left, _LONGEST_TTL)}
        return item


def _stored(item: Item) -> Stored | None:
    """The entry of an item; None for the item of somebody else."""
    key = key_of(item["id"])
    try:
        known = orjson.loads(item["about"])
        entry = from_about(known, body_from_text(item.get("body", ""), known["headers"]))
        if short_name_of(entry.key) != item["id"]:
            raise ValueError("it has the entry of another key")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is no entry of a store"
        return None if key is None else Stored.damaged(key, f"its item is damaged: {reason}", utc_now())
    return entry


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
