"""Entries in a table of the application's database: SQLite, PostgreSQL, Supabase, Convex or memory.

A write joins the unit of work of its request: it is committed and rolled back with everything else. What the database
has, the store has: retries and circuit breaker, failover, sync and backups.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar
from typing import Final

from database.adapter.interface import Database
from database.core.context import SERVICE
from database.core.context import Context
from database.core.context import active_unit
from database.core.context import current_context
from database.core.errors import BackendError
from database.core.errors import ConstraintViolated
from database.core.errors import OutcomeUnknown
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Result
from database.core.result import Row
from database.purging import delete_in_parts
from storage.backends.about import body_as_text
from storage.backends.table_rows import entry_in
from storage.backends.table_rows import object_as_text
from storage.backends.table_rows import value_in
from storage.backends.table_rows import vector_as_text
from storage.backends.table_rows import vector_in
from storage.core.backend import StoreBackend
from storage.core.backend import require_expected
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import ABSENT
from storage.core.entry import Stored
from storage.core.errors import changed
from storage.core.keys import after_all
from storage.core.keys import with_nul
from storage.core.keys import without_nul
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.operations import Search
from storage.core.vectors.searching import first_fitting
from storage.core.vectors.searching import fits

if TYPE_CHECKING:
    from storage.backends.table_vectors import TableVectors

TABLE: Final = "isthmus_entries"
LARGEST: Final = 700 << 10
"""The largest body, in bytes: Convex takes documents of 1 MiB."""

_START: Final = 200
"""The characters of a key by which it is found in the index."""

_HOT_KEYS: Final = 1_000
_SHORT: Final = 200
"""Of how many keys the reads are kept, and the characters that these have at most."""

_ATTEMPTS: Final = 5

_HEAD: Final = ("id", "key", "etag", "headers", "metadata", "size", "stored_at", "expires_at")
_TOGETHER: Final = 200
_VECTORS: Final = 5_000
"""How many vectors, and how many keys of entries with vectors, are read at once."""


class TableEntries(StoreBackend):
    """A table of a database, which several stores share.

    :param database: the application's connection manager, or one adapter.
    :param store: the name by which the entries of this store are told from others.
    :param dimensions: of the vectors; without them, there are none. The process keeps those that a search has read.
    """

    kind: ClassVar[str] = "table"
    capabilities = StoreCapabilities(batches=True, joins=True, largest=LARGEST)
    protected: ClassVar[bool] = True
    table: str = TABLE
    # Of the rows of an entry: another table may have others.
    _id_column: str = "id"
    _head: tuple[str, ...] = _HEAD
    _columns: tuple[str, ...] = (*_HEAD, "body", "vector")
    # Those that a value needs; without them, a value is read as its entry is.
    _value: tuple[str, ...] = ("body", "headers", "expires_at")
    _order: tuple[Order, ...] = (Order("key_start"), Order("key"))
    # By which a put finds the present row. A key that is not named `id` must be named for a put to be sent again.
    _found_by: tuple[str, ...] = ()
    _derived: tuple[str, ...] = ("store", "key", "key_start")

    def __init__(self, database: Database, store: str = "default", dimensions: int | None = None) -> None:
        self._database = database
        self._store = store
        self.capabilities = replace(self.capabilities, dimensions=dimensions)
        self._vectors = None if dimensions is None else _vectors(dimensions)
        # To make one takes as long as all stages around the database.
        self._reads = lru_cache(_HOT_KEYS)(self._read_of)

    def execute(self, operation: Operation, context: Context) -> Result:
        # The table is the application's own; who may use a store is decided above it.
        acting = context if context.identity is SERVICE else context.acting_as(SERVICE)
        if type(operation) is Fetch and operation.value_only and self._value:
            return self._read_value(operation.key, acting)
        token = current_context.set(acting)
        try:
            return super().execute(operation, acting)
        finally:
            current_context.reset(token)

    def put(self, put: Put, context: Context) -> None:
        try:
            self._put(put)
        except OutcomeUnknown as unknown:
            # The answer was lost. An entry with this etag can only be this one.
            try:
                row = self._run(Get(self.table, self._id(put.entry.key), self._head)).first
            except BackendError:
                raise unknown from unknown.__cause__
            if row is None or row["etag"] != put.entry.etag:
                raise

    def _put(self, put: Put) -> None:
        if put.expected is None:
            self._upsert([self._row(put.entry)])
        elif put.expected == ABSENT:
            self._put_new(put)
        elif not self._replace(put, put.expected):
            self._require(put)

    def fetch(self, fetch: Fetch, context: Context) -> Stored | None:
        row = self._run(Get(self.table, self._id(fetch.key), self._head if fetch.head else self._columns)).first
        return None if row is None else self._stored(row)

    def fetch_many(self, fetch: FetchMany, context: Context) -> list[Stored]:
        return self._whole(fetch.keys)

    def remove(self, remove: Remove, context: Context) -> bool:
        id_ = self._id(remove.key)
        if remove.expected is None:
            deleted = self._run(Delete(self.table, id_, returning=True)).first
            return deleted is not None and not self._stored(deleted).is_past(remove.now)
        # Not by the id: that would be repeated if its answer is lost, and find that the entry is gone.
        where = Where(self._id_column, "eq", id_) & Where("etag", "eq", remove.expected)
        deleted = self._run(Delete(self.table, where=where, returning=True)).first
        if deleted is None:
            raise changed(remove.key, absent=False, backend=self.kind)
        return not self._stored(deleted).is_past(remove.now)

    def scan(self, scan: Scan, context: Context) -> list[Stored]:
        where = self._behind(scan.prefix, scan.after)
        columns = self._columns if scan.bodies else self._head
        rows = self._run(Select(self.table, columns, where, self._order, limit=scan.limit)).rows
        return [self._stored(row) for row in rows]

    def search(self, search: Search, context: Context) -> list[tuple[Stored, float]]:
        vectors = self._vectors
        if vectors is None:
            return super().search(search, context)
        present = self._present(search.prefix)

        def fitting(best: Sequence[tuple[str, float]]) -> list[tuple[Stored, float]]:
            keys = [with_nul(present[etag]) for etag, _ in best]
            entries = {entry.etag: entry for entry in self._whole(keys)}
            found = [(entries[etag], score) for etag, score in best if etag in entries]
            return [(entry, score) for entry, score in found if fits(search, entry)]

        return first_fitting(
            search.limit,
            lambda most: vectors.best(search.vector, most, present, self._read_vectors, search.prefix),
            fitting,
        )

    def clear(self, clear: Clear, context: Context) -> int:
        where = self._within(clear.prefix)
        past = Where("expires_at", "is_null", False) & Where("expires_at", "lte", clear.now)
        expired = self._delete(where & past)
        return expired if clear.past else self._delete(where)

    def batch(self, batch: Batch, context: Context) -> list[Any]:
        puts = [part for part in batch.operations if isinstance(part, Put) and part.expected is None]
        if len(puts) < len(batch.operations):
            if self._put_all_new(batch.operations):
                return [None] * len(batch.operations)
            with self._together():
                return [self.execute(part, context).value for part in batch.operations]
        # The last one of a key holds.
        rows = {row[self._id_column]: row for row in (self._row(put.entry) for put in puts)}
        self._upsert(list(rows.values()))
        return [None] * len(puts)

    def ping(self, ping: Ping, context: Context) -> None:
        self._database.run_alone(Ping())

    def describe(self) -> Mapping[str, Any]:
        return {"table": self.table, "store": self._store}

    def _run(self, operation: Operation) -> Result:
        return self._database.run(operation)

    def _upsert(self, rows: Sequence[Row]) -> None:
        by, derived = self._found_by, self._derived
        self._run(Upsert(self.table, rows, returning=False, on_conflict=by, derived=derived))

    def _together(self) -> AbstractContextManager[Any]:
        """A block in which all operations are carried out, or none."""
        return self._database.transaction()

    def _delete(self, where: Filter) -> int:
        return delete_in_parts(self._database, self.table, where, self._id_column)

    def _whole(self, keys: Sequence[str]) -> list[Stored]:
        rows = {row[self._id_column]: row for row in self._of(keys, self._columns)}
        return [self._stored(rows[id_]) for id_ in map(self._id, keys) if id_ in rows]

    def _of(self, keys: Sequence[str], columns: tuple[str, ...]) -> Iterator[Row]:
        """The rows of these keys, in any order."""
        for first in range(0, len(keys), _TOGETHER):
            ids = [self._id(key) for key in keys[first : first + _TOGETHER]]
            yield from self._run(Select(self.table, columns, Where(self._id_column, "in", ids))).rows

    def _present(self, prefix: str) -> dict[str, str]:
        """The keys of all entries with vectors and this prefix, as they are in the table, by etag."""
        found: dict[str, str] = {}
        after: str | None = None
        while True:
            where = self._behind(prefix, after) & Where("vector", "is_null", False)
            rows = self._run(Select(self.table, ("key", "etag"), where, self._order, limit=_VECTORS)).rows
            found |= {row["etag"]: row["key"] for row in rows}
            if len(rows) < _VECTORS:
                return found
            after = with_nul(rows[-1]["key"])

    def _read_vectors(self, keys: Sequence[str]) -> dict[str, bytes]:
        rows = self._of([with_nul(key) for key in keys], ("etag", "vector"))
        return {row["etag"]: vector_in(row) for row in rows}

    def _read_value(self, key: str, context: Context) -> Result:
        reading = self._reads(key) if len(key) <= _SHORT else self._read_of(key)
        result = self._database.run_in(context, reading)
        row = result.first
        # It is of this call alone: another one would cost as much as the value.
        result.value = None if row is None else value_in(self.table, key, row)
        return result

    def _read_of(self, key: str) -> Get:
        """The read of the value of a key."""
        return Get(self.table, self._id(key), self._value)

    def _put_all_new(self, parts: Sequence[Operation]) -> bool:
        """Store entries where there are none with one statement; False if these are others, or one is there already.

        A caller's transaction may tell only at its end that one is there.
        """
        rows = {
            part.entry.key: self._row(part.entry) for part in parts if isinstance(part, Put) and part.expected == ABSENT
        }
        if len(rows) < len(parts) or active_unit.get() is not None:
            return False
        try:
            with self._together():
                self._run(Insert(self.table, list(rows.values()), returning=False))
        except ConstraintViolated:
            return False
        return True

    def _put_new(self, put: Put) -> None:
        for _ in range(_ATTEMPTS):
            if self._run(Upsert(self.table, [self._row(put.entry)], returning=True, ignore_duplicates=True)).count:
                return
            present = self._require(put)
            # None if it was deleted in the meantime; otherwise it has expired, or is this one.
            if present is not None and (
                present.etag == put.entry.etag or self._replace(put, present.etag, expired=True)
            ):
                return
        raise changed(put.entry.key, absent=True, backend=self.kind)

    def _replace(self, put: Put, etag: str, *, expired: bool = False) -> bool:
        """Replace the entry with this etag, if it is there and has not expired, or has."""
        row, now = self._row(put.entry), put.entry.stored_at
        past = Where("expires_at", "lte", now)
        where = Where(self._id_column, "eq", row.pop(self._id_column)) & Where("etag", "eq", etag)
        where &= past if expired else Where("expires_at", "is_null", True) | Where("expires_at", "gt", now)
        return bool(self._run(Update(self.table, row, where=where, returning=False)).count)

    def _require(self, put: Put) -> Stored | None:
        """The present entry without its body. :raises StorageConflictError: if it is not as expected."""
        row = self._run(Get(self.table, self._id(put.entry.key), self._head)).first
        present = None if row is None else self._stored(row)
        require_expected(present, put, self.kind)
        return present

    def _behind(self, prefix: str, after: str | None) -> Filter:
        where = self._within(prefix)
        if after is None:
            return where
        text = without_nul(after)
        return where & Where("key_start", "gte", text[:_START]) & Where("key", "gt", text)

    def _within(self, prefix: str) -> Filter:
        """The keys that begin with a prefix, by the index."""
        start = without_nul(prefix)
        parts: list[Filter] = [Where("store", "eq", self._store)]
        if start:
            parts += [Where("key_start", "gte", start[:_START]), Where("key", "gte", start)]
        if (end := after_all(start)) is not None:
            parts += [Where("key_start", "lte", end[:_START]), Where("key", "lt", end)]
        return And(tuple(parts))

    def _id(self, key: str) -> str:
        return sha256(f"{self._store}\0{key}".encode()).hexdigest()

    def _row(self, entry: Stored) -> Row:
        key = without_nul(entry.key)
        return {
            "id": self._id(entry.key),
            "store": self._store,
            "key": key,
            "key_start": key[:_START],
            "etag": entry.etag,
            "body": body_as_text(entry),
            "size": entry.size,
            "headers": object_as_text(entry.headers),
            "metadata": object_as_text(entry.metadata),
            "stored_at": entry.stored_at,
            "expires_at": entry.expires_at,
            "vector": vector_as_text(entry),
        }

    def _stored(self, row: Row) -> Stored:
        return entry_in(self.table, row)


def _vectors(dimensions: int) -> TableVectors:
    from storage.backends.table_vectors import TableVectors  # noqa: PLC0415  # NumPy is loaded where there are vectors

    return TableVectors(dimensions)
