"""What a store refuses before its backend is asked, and that nothing is changed then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageSerializationError
from storage.core.store import Store
from storage.core.values import MAX_METADATA


@pytest.mark.parametrize("key", ["", None, 7, b"key", "x" * 10_001, "half \ud800"])
def test_what_is_no_key(store: Store, key: str) -> None:
    for call in (store.load, store.get, store.exists, store.delete, lambda key: store.put(key, 1)):
        with pytest.raises(StorageKeyError):
            call(key)
    assert store.count() == 0


@pytest.mark.parametrize("value", [object(), {1: "a"}, {"a": {2}}, 1j, "half \ud800", {"a": ["half \udfff"]}])
def test_a_value_without_a_form(store: Store, value: object) -> None:
    store.put("key", "before")
    with pytest.raises(StorageSerializationError):
        store.put("key", value)
    with pytest.raises(TypeError):
        store.put("key", value)
    assert store.load("key") == "before"


def test_metadata_without_a_form_or_too_large(store: Store) -> None:
    with pytest.raises(StorageSerializationError, match="metadata"):
        store.put("key", 1, metadata={"a": object()})
    with pytest.raises(StorageCapacityError, match="metadata"):
        store.put("key", 1, metadata={"a": "x" * MAX_METADATA})
    assert not store.exists("key")


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e20, "60", timedelta()])
def test_what_is_no_time_to_live(store: Store, ttl: float) -> None:
    with pytest.raises(StorageKeyError, match="time to live"):
        store.put("key", 1, ttl=ttl)
    assert not store.exists("key")


def test_two_conditions_exclude_each_other(store: Store) -> None:
    with pytest.raises(StorageKeyError, match="give one of them"):
        store.put("key", 1, expected="x", if_absent=True)


def test_text_cannot_have_the_type_of_a_picture(store: Store) -> None:
    with pytest.raises(StorageSerializationError, match="must be bytes"):
        store.put("key", "text", media_type="image/png")


def test_with_one_that_is_refused_none_is_stored(store: Store) -> None:
    if store.capabilities.batches:
        for bad in (object(), b"x" * (store.capabilities.largest + 1)):
            with pytest.raises((StorageSerializationError, StorageCapacityError)):
                store.put_many({"a": 1, "b": bad})
        assert store.count() == 0
