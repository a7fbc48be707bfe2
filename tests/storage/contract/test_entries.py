"""Entries: what is stored, read, replaced and deleted, and under which conditions."""

from __future__ import annotations

import pytest

from storage.core.entry import JSON_TYPE
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageNotFoundError
from storage.core.store import Store

METADATA = {"category": "user", "tags": ["important", "new"], "nested": {"size": 1.5, "none": None}}


def test_a_value_is_read_as_it_was_stored(store: Store) -> None:
    put = store.put("alice", {"theme": "dark", "sizes": [1, 2.5, None, True]}, metadata=METADATA)
    found = store.entry("alice")
    assert found.value == {"theme": "dark", "sizes": [1, 2.5, None, True]}
    assert (found.key, found.etag, found.metadata, found.media_type) == ("alice", put.etag, METADATA, JSON_TYPE)
    assert (put.value, put.size, put.stored_at) == (None, found.size, found.stored_at)
    assert store.get("alice") == store.load("alice") == found.value


def test_a_missing_key(store: Store) -> None:
    assert store.get("missing") is None
    assert store.get("missing", "other") == "other"
    assert not store.exists("missing")
    assert store.head("missing") is None
    assert store.delete("missing") is False
    with pytest.raises(StorageNotFoundError, match="'missing'"):
        store.entry("missing")
    with pytest.raises(KeyError):
        store.load("missing")


def test_a_put_replaces_all_of_the_entry(store: Store) -> None:
    first = store.put("key", "a", metadata=METADATA, ttl=100)
    second = store.put("key", b"\x00\xff", media_type="image/png")
    found = store.entry("key")
    assert (found.value, found.metadata, found.expires_at, found.media_type) == (b"\x00\xff", {}, None, "image/png")
    assert first.etag != second.etag == found.etag
    assert store.count() == 1


def test_a_head_has_everything_but_the_value(store: Store) -> None:
    store.put("key", [1, 2, 3], metadata=METADATA)
    whole, head = store.entry("key"), store.head("key")
    assert head is not None
    assert (head.value, head.etag, head.size) == (None, whole.etag, len(b"[1,2,3]"))
    assert (head.metadata, head.stored_at, head.media_type) == (METADATA, whole.stored_at, JSON_TYPE)


def test_a_preview_is_the_beginning_of_a_value(store: Store) -> None:
    store.put("bytes", b"0123456789" * 1_000)
    store.put("json", {"a": [1]})
    assert store.preview("bytes") == (b"0123456789" * 1_000)[:1024]
    assert store.preview("json") == b'{"a":[1]}'
    assert store.preview("missing") is None


def test_nothing_is_shared_with_the_caller(store: Store) -> None:
    given = {"list": [1]}
    labels = {"tags": ["a"]}
    store.put("key", given, metadata=labels)
    given["list"].append(2)
    labels["tags"].append("b")
    store.load("key")["list"].append(3)
    for entry in (store.entry("key"), store.head("key"), *store.page().entries, *store.find({})):
        assert entry is not None
        entry.metadata["tags"].append("c")
    assert store.load("key") == {"list": [1]}
    assert store.entry("key").metadata == {"tags": ["a"]}


def test_a_deleted_entry_is_gone(store: Store) -> None:
    store.put("a", 1)
    store.put("b", 2)
    assert store.delete("a") is True
    assert store.delete("a") is False
    assert list(store.keys()) == ["b"]
    store.put("a", 3)
    assert store.load("a") == 3


def test_if_absent(store: Store) -> None:
    first = store.put("key", 1, if_absent=True)
    with pytest.raises(StorageConflictError, match="exists already"):
        store.put("key", 2, if_absent=True)
    assert store.load("key") == 1
    assert store.entry("key").etag == first.etag
    store.delete("key")
    store.put("key", 3, if_absent=True)
    assert store.load("key") == 3


def test_an_expected_version(store: Store) -> None:
    first = store.put("key", 1)
    second = store.put("key", 2, expected=first.etag)
    with pytest.raises(StorageConflictError, match="was changed or deleted"):
        store.put("key", 3, expected=first.etag)
    with pytest.raises(StorageConflictError):
        store.delete("key", expected=first.etag)
    assert store.load("key") == 2
    assert store.delete("key", expected=second.etag) is True
    with pytest.raises(StorageConflictError):
        store.put("key", 4, expected=second.etag)
    with pytest.raises(StorageConflictError):
        store.delete("key", expected=second.etag)
    assert not store.exists("key")


def test_the_version_of_a_deleted_entry_is_never_used_again(store: Store) -> None:
    seen = set()
    for _ in range(3):
        seen.add(store.put("key", 1).etag)
        store.delete("key")
    assert len(seen) == 3


def test_a_value_that_is_too_large(store: Store) -> None:
    with pytest.raises(StorageCapacityError, match="bytes"):
        store.put("key", b"x" * (store.capabilities.largest + 1))
    assert not store.exists("key")
