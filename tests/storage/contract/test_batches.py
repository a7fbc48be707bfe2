"""Several writes at once."""

from __future__ import annotations

import pytest

from database.core.context import NO_CONTEXT
from database.core.operations import Batch
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageUnsupportedError
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.store import Store


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
