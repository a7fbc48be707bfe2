"""Compression: smaller where it pays, and never larger than it may be when it is undone."""

from __future__ import annotations

import os

import pytest
import zstandard

from database.core.context import NO_CONTEXT
from storage import MemoryEntries
from storage import StorageCorruptError
from storage import Store
from storage.core.entry import Stored
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.layers.compression import Compression
from storage.layers.encryption import Encryption
from storage.layers.encryption import Keys

LONG = "all work and no play " * 500
KEYS = Keys({"a": os.urandom(32)}, "a")


def kept(backend: MemoryEntries, key: str) -> Stored:
    found = backend.fetch(Fetch(key), NO_CONTEXT)
    assert found is not None
    return found


@pytest.mark.parametrize("value", [LONG, {"text": LONG}, LONG.encode(), [LONG] * 3])
def test_what_is_large_becomes_small(value: object) -> None:
    backend = MemoryEntries()
    store = Store(backend, layers=[Compression()])
    put = store.put("key", value)
    assert len(kept(backend, "key").body) < 300
    assert store.load("key") == value
    assert put.size > 10_000
    assert store.entry("key").media_type == put.media_type


@pytest.mark.parametrize("value", [b"short", os.urandom(5_000), b"\0" * 1_023])
def test_what_would_not_become_smaller_stays_as_it_is(value: bytes) -> None:
    backend = MemoryEntries()
    store = Store(backend, layers=[Compression()])
    store.put("key", value)
    assert kept(backend, "key").body == value
    assert store.load("key") == value


def test_it_goes_together_with_encryption() -> None:
    backend = MemoryEntries()
    store = Store(backend, layers=[Compression(), Encryption(KEYS)])
    store.put("key", {"text": LONG}, metadata={"m": 1})
    assert len(kept(backend, "key").body) < 400
    assert store.load("key") == {"text": LONG}
    assert [entry.value for entry in store.find({"metadata.m": 1, "data.text": LONG})] == [{"text": LONG}]


def test_bytes_that_are_compressed_already_are_the_callers() -> None:
    store = Store(MemoryEntries(), layers=[Compression()])
    value = zstandard.compress(os.urandom(3_000))
    store.put("key", value, media_type="application/zstd")
    assert (store.load("key"), store.entry("key").media_type) == (value, "application/zstd")


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (zstandard.compress(b"\0" * (64 << 20)), str(64 << 20)),
        (zstandard.compress(b"\0" * (64 << 20)), "1000"),
        (zstandard.compress(b"x" * 10), "1000"),
        (b"not compressed", "14"),
        (b"", "5"),
        (zstandard.compress(b"x" * 10), "-1"),
        (zstandard.compress(b"x" * 10), "ten"),
    ],
    ids=["bomb", "hidden bomb", "shorter", "damaged", "emptied", "negative", "no number"],
)
def test_a_damaged_or_too_large_one_is_refused(body: bytes, size: str) -> None:
    backend = MemoryEntries()
    store = Store(backend, layers=[Compression(largest=1 << 20)])
    store.put("key", LONG)
    entry = kept(backend, "key")
    backend.put(Put(entry._replace(body=body, headers={**entry.headers, "packed_size": size})), NO_CONTEXT)
    with pytest.raises(StorageCorruptError, match="'key'"):
        store.load("key")
