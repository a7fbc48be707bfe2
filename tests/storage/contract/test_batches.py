"""Several writes at once."""

from __future__ import annotations

import pytest

from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageSerializationError
from storage.core.errors import StorageUnsupportedError
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


@pytest.mark.parametrize("bad", [object(), b"x" * (1 << 27)])
def test_with_one_that_is_refused_none_is_stored(store: Store, bad: object) -> None:
    if store.capabilities.batches:
        with pytest.raises((StorageSerializationError, StorageCapacityError)):
            store.put_many({"a": 1, "b": bad})
        assert store.count() == 0
