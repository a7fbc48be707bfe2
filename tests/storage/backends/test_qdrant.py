"""Qdrant: a server and the local mode, what is said about failures, and points that somebody else has spoiled."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient
from qdrant_client import models

from storage import QdrantEntries
from storage import StorageConfigurationError
from storage import StorageConflictError
from storage import StorageConnectionError
from storage import StorageCorruptError
from storage import StorageCredentialsRefused
from storage import StorageOutcomeUnknown
from storage import Store
from storage.backends.qdrant.collection import _check_version
from tests.servers.network.faults import LoseReply
from tests.servers.network.link import Link
from tests.servers.network.ports import free_port
from tests.servers.network.proxy import FaultProxy
from tests.servers.qdrant.server import KEY
from tests.servers.qdrant.server import QdrantServer
from tests.storage.writers import count_up


class LoseOneReply(LoseReply):
    """Only the first one."""

    async def request(self, link: Link, data: bytes) -> None:
        await (link.to_server(data) if self.fired else super().request(link, data))


def entries(url: str, collection: str = "entries", **options: Any) -> QdrantEntries:
    return QdrantEntries(url, collection, **{"dimensions": 2, "api_key": KEY, "timeout": 20, **options})


@pytest.fixture
def store(qdrant_server: QdrantServer) -> Iterator[Store]:
    made = Store(entries(qdrant_server.url))
    made.clear()
    yield made
    made.close()


def test_a_server_keeps_entries(store: Store, qdrant_server: QdrantServer) -> None:
    assert (store.capabilities.shared, store.capabilities.durable) == (True, True)
    store.put("a/ä", {"text": "Boiling"}, metadata={"tags": ["x"]}, vector=[3, 4])
    store.put("b", b"\0\xff", vector=[0, 1])
    store.put("none", 1)
    assert list(store.keys()) == ["a/ä", "b", "none"]
    other = Store(entries(qdrant_server.url, exact=False))
    found = other.search([1, 0], filters={"metadata.tags": "x"})
    assert [(one.key, one.value, one.score, one.vector) for one in found] == [
        ("a/ä", {"text": "Boiling"}, 0.6, store.entry("a/ä").vector)
    ]
    assert [(one.key, one.score) for one in other.search([0, 5])] == [("b", 1.0), ("a/ä", 0.8)]
    other.close()
    assert store.clear("a") == 1
    assert [one.key for one in store.search([1, 0])] == ["b"]


def test_conditions_hold_on_a_server(store: Store, qdrant_server: QdrantServer) -> None:
    other = Store(entries(qdrant_server.url))
    put = store.put("key", 1, if_absent=True)
    changed = other.put("key", 2, expected=put.etag)
    for call in (
        lambda: store.put("key", 3, if_absent=True),
        lambda: store.put("key", 3, expected=put.etag),
        lambda: store.delete("key", expected=put.etag),
    ):
        with pytest.raises(StorageConflictError):
            call()
    assert other.delete("key", expected=changed.etag)
    assert store.count() == 0
    store.put("counter", 0)
    for one in (store, other):
        count_up(one, 20)
    assert store.load("counter") == 40
    other.close()


def overtake(store: Store, by: Callable[[], object], *, before: bool) -> None:
    """Have another writer write just before, or just after, the next conditional write of the store."""
    backend: Any = store.backend
    upsert = backend._points.upsert

    def upsert_once(*arguments: Any) -> None:
        backend._points.upsert = upsert
        if before:
            by()
        upsert(*arguments)
        if not before:
            by()

    backend._points.upsert = upsert_once


def test_of_two_writers_the_first_one_wins(store: Store, qdrant_server: QdrantServer) -> None:
    other = Store(entries(qdrant_server.url))
    for value in (1, 2):
        etag = store.put("key", 0).etag
        overtake(store, lambda: other.put("key", value, expected=etag), before=True)  # noqa: B023
        with pytest.raises(StorageConflictError):
            store.put("key", "lost", expected=etag) if value == 1 else store.delete("key", expected=etag)
        assert store.load("key") == value
    overtake(store, lambda: other.put("new", 1, if_absent=True), before=True)
    with pytest.raises(StorageConflictError):
        store.put("new", "lost", if_absent=True)
    assert store.load("new") == 1
    other.close()


def test_a_writer_that_is_overtaken_knows_that_it_was_applied(store: Store, qdrant_server: QdrantServer) -> None:
    other = Store(entries(qdrant_server.url))
    etag = store.put("key", 0).etag
    overtake(store, lambda: other.put("key", 2, expected=other.entry("key").etag), before=False)
    first = store.put("key", 1, expected=etag)
    assert store.load("key") == 2
    assert first.etag != store.entry("key").etag
    other.close()


def test_a_put_whose_answer_was_lost_is_sent_again(
    store: Store, qdrant_server: QdrantServer, proxy: Callable[[int], FaultProxy]
) -> None:
    etag = store.put("key", 1).etag
    between = proxy(qdrant_server.port)
    through = Store(entries(qdrant_server.url_at(between.port)))
    through.ping()
    with between.suffering(LoseOneReply(b"PUT ")):
        put = through.put("key", 2, expected=etag)
    with between.suffering(LoseOneReply(b"PUT ")):
        through.put("new", 3, if_absent=True)
    assert (store.load("key"), store.entry("key").etag, store.load("new")) == (2, put.etag, 3)
    with between.suffering(LoseReply(b"/points/delete")), pytest.raises(StorageOutcomeUnknown):
        through.delete("key", expected=put.etag)
    assert not store.exists("key")
    through.close()


def test_a_server_that_cannot_be_reached_or_refuses_the_key(qdrant_server: QdrantServer) -> None:
    gone = Store(entries(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(StorageConnectionError, match="could not connect"):
        gone.put("key", 1)
    refused = Store(entries(qdrant_server.url, api_key="wrong"))
    with pytest.raises(StorageCredentialsRefused):
        refused.ping()


def test_a_collection_or_a_server_that_is_not_as_it_must_be(store: Store, qdrant_server: QdrantServer) -> None:
    store.ping()
    for dimensions in (1, 3):
        with pytest.raises(StorageConfigurationError, match="dimensions"):
            Store(entries(qdrant_server.url, dimensions=dimensions)).put("key", 1)
    for version in ("1.16.3", "0.11.0", ""):
        with pytest.raises(StorageConfigurationError, match=r"1\.17 or newer"):
            _check_version(version)
    for version in ("1.17.0", "1.20.1-dev", "2.0.0"):
        _check_version(version)


def test_the_memory_of_the_process() -> None:
    store = Store(QdrantEntries(":memory:", dimensions=2))
    assert (store.capabilities.shared, store.capabilities.durable) == (False, False)
    etag = store.put("a", 1, vector=[1, 2]).etag
    store.put("b", 2, vector=[2, 1])
    assert [(one.key, one.score) for one in store.search([1, 2])] == [("a", 1.0), ("b", 0.8)]
    with pytest.raises(StorageConflictError):
        store.put("a", 3, if_absent=True)
    store.close()
    # Closing it would lose them.
    assert store.delete("a", expected=etag)
    assert list(store.keys()) == ["b"]


# The client leaves the file open with which it has tried to lock the folder.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_folder_keeps_entries_for_one_process_at_a_time(tmp_path: Path) -> None:
    store = Store(QdrantEntries(str(tmp_path), dimensions=2))
    assert (store.capabilities.shared, store.capabilities.durable) == (False, True)
    etag = store.put("key", 1, vector=[1, 2]).etag
    with pytest.raises(StorageConfigurationError, match="another process uses"):
        Store(QdrantEntries(str(tmp_path), dimensions=2)).load("key")
    store.close()
    again = Store(QdrantEntries(str(tmp_path), dimensions=2))
    assert (again.entry("key").etag, again.search([2, 4])[0].score) == (etag, 1.0)
    again.close()


@pytest.mark.parametrize("known", ["", "{", "[]", '{"key": "b"}', 7, None])
def test_a_spoiled_point_costs_its_own_entry_only(store: Store, qdrant_server: QdrantServer, known: object) -> None:
    for key in "abc":
        store.put(key, key, vector=[1, 1])
    client = QdrantClient(url=qdrant_server.url, api_key=KEY, check_compatibility=False)
    (point,) = (point for point in client.scroll("entries")[0] if point.payload and point.payload["key"] == "b")
    payload = {**(point.payload or {}), "about": known}
    client.upsert("entries", [models.PointStruct(id=point.id, vector={"vector": [1, 1]}, payload=payload)])
    client.close()
    with pytest.raises(StorageCorruptError, match="'b'"):
        store.load("b")
    assert [entry.key for entry in store.find({})] == [entry.key for entry in store.search([1, 1])] == ["a", "c"]
    store.put("b", "again")
    assert store.load("b") == "again"
