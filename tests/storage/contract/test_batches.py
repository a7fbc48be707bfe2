"""Several writes at once."""

from __future__ import annotations

import pytest

from database.core.context import NO_CONTEXT
from database.core.operations import Batch
from storage.core.entry import ABSENT
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageUnsupportedError
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.store import Store
from tests.clocks import WallClock


def test_all_are_stored_or_the_store_refuses(store: Store) -> None:
    if not store.capabilities.batches:
        with pytest.raises(StorageUnsupportedError, match="batches"):
            store.put_many({"a": 1})
        assert store.count() == 0
        return
    store.put("a", 0)
    entries = store.put_many({"a": 1, "b": b"2", "c": None}, metadata={"m": 1})
    assert [entry.key for entry in entries] == ["a", "b", "c"]
    assert [store.load(key) for key in ("a", "b", "c")] == [1, b"2", None]
    assert [store.entry(key).etag for key in ("a", "b", "c")] == [entry.etag for entry in entries]
    assert len(store.find({"metadata.m": 1})) == 3


def test_with_one_conflict_none_is_stored(store: Store) -> None:
    if not store.capabilities.batches:
        return
    store.put("b", 1)
    present = store.backend.execute(Fetch("b"), NO_CONTEXT).value
    new = [present._replace(key=key, etag=f"new {key}") for key in ("a", "b")]
    with pytest.raises(StorageConflictError):
        store.backend.execute(Batch((Put(new[0]), Put(new[1], "another"))), NO_CONTEXT)
    assert [(entry.key, entry.etag) for entry in store.page().entries] == [("b", present.etag)]
    store.backend.execute(Batch((Put(new[0]), Put(new[1], present.etag))), NO_CONTEXT)
    assert [(entry.key, entry.etag) for entry in store.page().entries] == [("a", "new a"), ("b", "new b")]


def test_new_entries_are_stored_where_there_are_none(store: Store, clock: WallClock) -> None:
    if not store.capabilities.batches:
        return

    def store_new(**etags: str) -> None:
        made = [one._replace(key=key, etag=etag, stored_at=clock()) for key, etag in etags.items()]
        store.backend.execute(Batch(tuple(Put(entry, ABSENT) for entry in made)), NO_CONTEXT)

    def etags() -> dict[str, str]:
        return {entry.key: entry.etag for entry in store.page().entries}

    store.put("old", 1, ttl=10)
    one = store.backend.execute(Fetch("old"), NO_CONTEXT).value._replace(expires_at=None)
    store_new(a="a1", b="b1")
    assert etags() == {"a": "a1", "b": "b1", "old": one.etag}
    with pytest.raises(StorageConflictError):
        store_new(c="c1", b="b2", d="d1")
    assert etags() == {"a": "a1", "b": "b1", "old": one.etag}
    # What was sent before and what has expired are not in the way.
    clock.advance(11)
    store_new(c="c1", b="b1", old="new")
    assert etags() == {"a": "a1", "b": "b1", "c": "c1", "old": "new"}
