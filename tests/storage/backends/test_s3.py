"""S3: names in the order of the keys, what is sent once, and objects that somebody else has spoiled."""

from __future__ import annotations

import base64
import os
import tracemalloc
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import S3Entries
from storage import StorageConfigurationError
from storage import StorageConflictError
from storage import StorageConnectionError
from storage import StorageCorruptError
from storage import StorageOutcomeUnknown
from storage import Store
from storage.backends.ordered_names import key_of
from storage.backends.ordered_names import name_of
from storage.backends.s3.parts import PART
from tests.servers.network.faults import LoseReply
from tests.servers.network.link import Link
from tests.servers.network.ports import free_port
from tests.servers.network.proxy import FaultProxy
from tests.servers.s3 import ACCESS
from tests.servers.s3 import BUCKET
from tests.servers.s3 import S3Server

MEBIBYTES = int(os.environ.get("STORAGE_STREAMED", "32"))
CHUNK = 1 << 20

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text(alphabet="./-_09azAZ~\0é", max_size=8)


class LoseOneReply(LoseReply):
    """Only the first one."""

    async def request(self, link: Link, data: bytes) -> None:
        await (link.to_server(data) if self.fired else super().request(link, data))


def entries(url: str, bucket: str = BUCKET) -> S3Entries:
    return S3Entries(bucket, "s3", endpoint=url, timeout=20, **ACCESS)


@pytest.fixture
def store(s3_server: S3Server) -> Iterator[Store]:
    made = Store(entries(s3_server.url))
    made.clear()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(s3_server: S3Server) -> Iterator[Any]:
    made = s3_server.client()
    yield made
    made.close()


def test_names_of_single_characters_are_in_order() -> None:
    characters = [chr(code) for code in (*range(0x180), 0xFEFF, 0x10FFFF)]
    names = [name_of(character) for character in characters]
    assert names == sorted(names)
    assert [key_of(name) for name in names] == characters


@given(one=texts, other=texts)
def test_names_are_in_the_order_of_the_keys(one: str, other: str) -> None:
    assert (one < other, one == other) == (name_of(one) < name_of(other), name_of(one) == name_of(other))
    assert name_of(one + other).startswith(name_of(one))
    assert key_of(name_of(one)) == one


def test_long_keys_are_in_order_behind_a_cursor(store: Store) -> None:
    keys = sorted(
        ["a", "b", "x" * 799, "x" * 800, "x" * 801, *("x" * 900 + letter for letter in "dacb"), "x" * 799 + "y"]
    )
    for key in reversed(keys):
        store.put(key, key)
    assert [store.page(cursor=after, limit=1).entries[0].key for after in [None, *keys[:-1]]] == keys
    assert list(store.keys("x" * 900)) == keys[5:9]


def test_a_put_whose_answer_was_lost_is_sent_again(
    store: Store, s3_server: S3Server, proxy: Callable[[int], FaultProxy]
) -> None:
    etag = store.put("key", 1).etag
    between = proxy(s3_server.port)
    through = Store(entries(s3_server.url_at(between.port)))
    with between.suffering(LoseOneReply(b"PUT ")):
        put = through.put("key", 2, expected=etag)
    with between.suffering(LoseOneReply(b"PUT ")):
        through.put("new", 3, if_absent=True)
    assert (store.load("key"), store.entry("key").etag, store.load("new")) == (2, put.etag, 3)
    with between.suffering(LoseReply(b"DELETE ")), pytest.raises(StorageOutcomeUnknown):
        through.delete("key", expected=put.etag)
    with pytest.raises(StorageConflictError):
        through.delete("key", expected=put.etag)
    through.close()


def test_a_server_that_cannot_be_reached_and_a_bucket_that_is_missing(s3_server: S3Server) -> None:
    gone = Store(entries(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(StorageConnectionError, match="could not connect"):
        gone.put("key", 1)
    missing = Store(entries(s3_server.url, "no-such-bucket"))
    for call in (missing.ping, lambda: missing.put("key", 1), lambda: missing.load("key"), missing.page):
        with pytest.raises(StorageConfigurationError, match="no such bucket"):
            call()


@pytest.mark.parametrize("text", [b"", b"{", b"[]\n1", b'{"key": "b"}\n1', b"\0" * 10_000])
def test_a_spoiled_object_costs_its_own_entry_only(store: Store, client: Any, text: bytes) -> None:
    for key in "abc":
        store.put(key, key)
    client.put_object(Bucket=BUCKET, Key="s3/b", Body=text)
    with pytest.raises(StorageCorruptError, match="'b'"):
        store.load("b")
    assert [entry.key for entry in store.find({})] == ["a", "c"]
    assert list(store.keys()) == ["a", "b", "c"]
    store.put("b", "again")
    assert store.load("b") == "again"


def test_an_object_that_was_exchanged_is_damaged(store: Store, client: Any) -> None:
    store.put("alice", 1)
    client.copy_object(Bucket=BUCKET, CopySource={"Bucket": BUCKET, "Key": "s3/alice"}, Key="s3/bob")
    with pytest.raises(StorageCorruptError, match="another key"):
        store.load("bob")


def test_objects_of_others_are_left_alone(store: Store, client: Any) -> None:
    store.put("a", 1)
    names = ["s3/README.md", "s3/b/c", "s3/!2f", "other"]
    for name in names:
        client.put_object(Bucket=BUCKET, Key=name, Body=b"theirs")
    assert list(store.keys()) == ["a"]
    assert store.clear() == 1
    assert [client.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names] == [b"theirs"] * 4
    client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": name} for name in names]})


def test_metadata_that_is_longer_than_what_a_head_reads(store: Store) -> None:
    store.put("key", 1, metadata={"long": "x" * 15_000})
    head = store.head("key")
    assert head is not None
    assert head.metadata == {"long": "x" * 15_000}


def parts(size: int) -> Iterator[bytes]:
    """So many bytes, in chunks of which none is like another one."""
    for number in range(0, size, CHUNK):
        yield (b"%08x" % number) * (min(CHUNK, size - number) // 8)


def test_a_large_body_is_stored_in_parts_and_need_not_fit_in_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("parts", "backend"):
        monkeypatch.setattr(f"storage.backends.s3.{module}.PART", 5 << 20)
    tracemalloc.start()
    store.upload("large", parts(MEBIBYTES << 20), metadata={"m": 1})
    entry, stream = store.stream("large")
    assert entry.size == MEBIBYTES << 20
    assert entry.metadata == {"m": 1}
    for _ in stream:
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 25 << 20
    assert store.read("large", entry.size - 16).value == (b"%08x" % (entry.size - CHUNK)) * 2


def test_conditions_of_a_large_body(store: Store, client: Any) -> None:
    size = PART + 8
    etag = store.upload("key", parts(size), if_absent=True).etag
    for condition in ({"if_absent": True}, {"expected": "another"}):
        with pytest.raises(StorageConflictError):
            store.upload("key", parts(size), **condition)
    assert store.upload("key", parts(size + 8), expected=etag).size == size + 8

    def broken() -> Iterator[bytes]:
        yield from parts(size)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.upload("key", broken())
    assert store.read("key", 0, 0).size == size + 8
    assert client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


def test_a_large_body_whose_answer_was_lost(
    store: Store, s3_server: S3Server, proxy: Callable[[int], FaultProxy], client: Any
) -> None:
    between = proxy(s3_server.port)
    through = Store(entries(s3_server.url_at(between.port)))
    with between.suffering(LoseOneReply(b"<CompleteMultipartUpload")):
        etag = through.upload("key", parts(PART + 8)).etag
    assert store.read("key", 0, 0).etag == etag
    # The chunks are gone, so nothing is sent again.
    with between.suffering(LoseReply(b"partNumber=2")), pytest.raises(StorageConnectionError):
        through.upload("key", parts(PART + 8))
    assert store.read("key", 0, 0).etag == etag
    assert client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    through.close()


def test_a_large_body_with_long_metadata(store: Store) -> None:
    store.upload("key", parts(PART + 8), metadata={"long": "x" * 15_000})
    assert store.read("key", 0, 8).size == PART + 8
    assert store.read("key", PART, PART + 8).value == b"%08x" % (PART // CHUNK * CHUNK)


def test_an_object_of_an_earlier_version_is_read(store: Store, client: Any) -> None:
    entry = store.put("key", "value")
    found = client.get_object(Bucket=BUCKET, Key="s3/key")
    line = base64.b64decode(found["Metadata"]["isthmus"])
    client.put_object(Bucket=BUCKET, Key="s3/key", Body=line + b"\n" + found["Body"].read())
    assert (store.load("key"), store.entry("key").etag, store.read("key", 1, 3).value) == ("value", entry.etag, b"va")
