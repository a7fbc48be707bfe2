"""Bodies in parts: from chunks, in ranges, as streams; and by links, where there are some.

The store itself does so for backends without uploads, so one of them is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageNotFoundError
from storage.core.errors import StorageUnsupportedError
from storage.core.store import Store
from tests.clocks import WallClock
from tests.storage.contract.places import PLACES
from tests.storage.contract.places import Place


@pytest.fixture(scope="module", params=["memory", "memory_stacked", "s3"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with PLACES[request.param](request) as found:
        yield found


CHUNKS = [b"ab", b"", b"cdef", b"\0\xff"]
WHOLE = b"".join(CHUNKS)


def test_chunks_become_one_value_that_is_read_in_ranges(store: Store) -> None:
    put = store.upload("key", CHUNKS, media_type="image/png", metadata={"m": 1})
    found = store.entry("key")
    assert (found.value, found.media_type, found.metadata, found.etag) == (WHOLE, "image/png", {"m": 1}, put.etag)
    assert put.size == found.size == len(WHOLE)
    for start, stop in ((0, None), (0, 1), (2, 5), (7, 8), (7, 100), (8, None), (50, 60), (3, 3)):
        part = store.read("key", start, stop)
        assert (part.value, part.size, part.etag) == (WHOLE[start:stop], len(WHOLE), put.etag)
    entry, stream = store.stream("key", 1, 7)
    assert (b"".join(stream), entry.value, entry.media_type) == (WHOLE[1:7], None, "image/png")
    assert b"".join(store.stream("key")[1]) == WHOLE


def test_nothing_and_json_in_parts(store: Store) -> None:
    store.upload("empty", [])
    assert (store.load("empty"), store.read("empty").value, b"".join(store.stream("empty")[1])) == (b"", b"", b"")
    store.put("json", {"title": "Boiling"})
    assert (store.read("json").value, store.read("json", 2, 7).value) == (b'{"title":"Boiling"}', b"title")
    store.put("long", "x", metadata={"m": "y" * 16_000})
    assert (store.read("long").value, store.read("long", 1, 2).value, store.read("long", 9).value) == (
        b'"x"',
        b"x",
        b"",
    )


def test_chunks_that_end_with_an_exception_store_nothing(store: Store) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    etag = store.put("key", b"before").etag
    for key in ("key", "new"):
        with pytest.raises(ConnectionResetError):
            store.upload(key, broken())
    assert (store.entry("key").etag, list(store.keys())) == (etag, ["key"])


def test_conditions_of_an_upload(store: Store) -> None:
    etag = store.upload("key", CHUNKS, if_absent=True).etag
    for condition in ({"if_absent": True}, {"expected": "another"}):
        with pytest.raises(StorageConflictError):
            store.upload("key", CHUNKS, **condition)
    with pytest.raises(StorageKeyError, match="give one of them"):
        store.upload("key", CHUNKS, expected=etag, if_absent=True)
    assert store.upload("key", [b"new"], expected=etag).etag == store.entry("key").etag
    assert store.load("key") == b"new"


def test_a_part_is_of_the_version_that_is_expected(store: Store, clock: WallClock) -> None:
    etag = store.put("key", b"abc", ttl=10).etag
    assert store.read("key", 1, expected=etag).value == b"bc"
    changed = store.put("key", b"def", ttl=10).etag
    with pytest.raises(StorageConflictError):
        store.read("key", 1, expected=etag)
    with pytest.raises(StorageConflictError):
        store.stream("key", expected=etag)
    for start, stop in ((-1, None), (2, 1)):
        with pytest.raises(StorageKeyError, match="range"):
            store.read("key", start, stop)
    clock.advance(11)
    for key in ("key", "missing"):
        with pytest.raises(StorageNotFoundError):
            store.read(key, expected=changed)
        with pytest.raises(StorageNotFoundError):
            store.stream(key)


def test_more_than_a_store_without_uploads_takes(store: Store) -> None:
    if store.capabilities.uploads:
        return
    chunk = b"x" * (store.capabilities.largest // 3)
    with pytest.raises(StorageCapacityError, match="bytes"):
        store.upload("key", [chunk] * 4)
    assert store.count() == 0


def test_a_link_reads_a_body(store: Store, clock: WallClock) -> None:
    store.put("key", b"\0\xff", media_type="image/png", ttl=60)
    if not store.capabilities.uploads:
        with pytest.raises(StorageUnsupportedError, match="links"):
            store.link("key")
        return
    with urlopen(store.link("key", 60)) as answer:  # noqa: S310 - of a test's server
        assert (answer.read(), answer.headers["content-type"]) == (b"\0\xff", "image/png")
    with pytest.raises(StorageKeyError, match="seconds"):
        store.link("key", 604_801)
    store.put("long", 1, metadata={"m": "x" * 15_000})
    with pytest.raises(StorageUnsupportedError, match="too long"):
        store.link("long")
    clock.advance(61)
    for key in ("key", "missing"):
        with pytest.raises(StorageNotFoundError):
            store.link(key)
