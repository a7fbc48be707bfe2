"""Cosmos DB: what is sent once, what is said about failures, and items that somebody else has spoiled."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from azure.cosmos import CosmosClient
from azure.cosmos import PartitionKey

from database.resilience.settings import ResilienceSettings
from storage import CosmosEntries
from storage import StorageCapacityError
from storage import StorageConfigurationError
from storage import StorageConnectionError
from storage import StorageCorruptError
from storage import StorageCredentialsRefused
from storage import StorageOutcomeUnknown
from storage import StorageThrottled
from storage import Store
from tests.clocks import WallClock
from tests.servers.cosmos.account import KEY
from tests.servers.cosmos.account import CosmosAccount
from tests.servers.network.faults import LoseReply
from tests.servers.network.link import Link
from tests.servers.network.ports import free_port
from tests.servers.network.proxy import FaultProxy

DATABASE = "isthmus"
CONTAINER = "isthmus_entries"
ONCE = ResilienceSettings(retry_count=0)


class LoseOneReply(LoseReply):
    """Only the first one."""

    async def request(self, link: Link, data: bytes) -> None:
        await (link.to_server(data) if self.fired else super().request(link, data))


def entries(url: str, **options: Any) -> CosmosEntries:
    return CosmosEntries(url, KEY, DATABASE, "cosmos", timeout=20, **options)


@pytest.fixture
def store(cosmos_account: CosmosAccount) -> Iterator[Store]:
    made = Store(entries(cosmos_account.url), settings=ONCE)
    made.clear()
    yield made
    made.close()


@pytest.fixture
def client(cosmos_account: CosmosAccount) -> Iterator[CosmosClient]:
    made = CosmosClient(cosmos_account.url, KEY, enable_endpoint_discovery=False)
    yield made
    made.close()


def test_a_put_whose_answer_was_lost_is_sent_again(
    store: Store, cosmos_account: CosmosAccount, proxy: Callable[[int], FaultProxy]
) -> None:
    etag = store.put("key", 1).etag
    between = proxy(cosmos_account.port)
    through = Store(entries(cosmos_account.url_at(between.port)))
    through.ping()
    with between.suffering(LoseOneReply(b"PUT ")):
        put = through.put("key", 2, expected=etag)
    with between.suffering(LoseOneReply(b"POST ")):
        through.put("new", 3, if_absent=True)
    with between.suffering(LoseOneReply(b"x-ms-cosmos-batch-atomic")):
        through.put_many({"a": 4, "b": 5})
    assert (store.load("key"), store.entry("key").etag, store.load("new")) == (2, put.etag, 3)
    assert (store.load("a"), store.load("b")) == (4, 5)
    with between.suffering(LoseReply(b"DELETE ")), pytest.raises(StorageOutcomeUnknown):
        through.delete("key", expected=put.etag)
    assert not store.exists("key")
    through.close()


def test_the_client_sends_nothing_twice(store: Store, cosmos_account: CosmosAccount) -> None:
    store.put("key", 1)
    for status, expected in ((429, StorageThrottled), (449, StorageThrottled), (503, StorageConnectionError)):
        cosmos_account.fail("/docs", status, times=9, retry_after=0.5)
        with pytest.raises(expected) as caught:
            store.load("key")
        assert cosmos_account.requests() == 1
        assert caught.value.retry_after == (0.5 if expected is StorageThrottled else None)
    for status in (408, 500, 503):
        cosmos_account.fail("/docs", status, times=9)
        with pytest.raises(StorageOutcomeUnknown):
            store.put("key", 2)
        assert cosmos_account.requests() == 1
    cosmos_account.fail("", 500, times=0)
    assert store.load("key") == 1


def test_what_cannot_be_reached_or_refuses_the_key(cosmos_account: CosmosAccount) -> None:
    gone = Store(entries(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(StorageConnectionError, match="could not connect"):
        gone.put("key", 1)
    wrong, malformed = "wrong" + KEY[5:], KEY[:-1]
    for key, expected in ((wrong, StorageCredentialsRefused), (malformed, StorageConfigurationError)):
        with pytest.raises(expected) as caught:
            Store(CosmosEntries(cosmos_account.url, key, DATABASE)).ping()
        assert key not in str(caught.value)


def test_a_container_that_is_missing_or_would_lose_entries(cosmos_account: CosmosAccount, client: CosmosClient) -> None:
    missing = Store(entries(cosmos_account.url, container="missing", create=False))
    with pytest.raises(StorageConfigurationError, match="create it"):
        missing.put("key", 1)
    database = client.create_database_if_not_exists(DATABASE)
    database.create_container_if_not_exists("by id", PartitionKey("/id"))
    database.create_container_if_not_exists("short-lived", PartitionKey("/store"), default_ttl=60)
    for container, reason in (("by id", "partition key /store"), ("short-lived", "time to live to -1")):
        with pytest.raises(StorageConfigurationError, match=reason):
            Store(entries(cosmos_account.url, container=container)).put("key", 1)


def test_a_batch_that_is_too_large_is_not_sent(store: Store, cosmos_account: CosmosAccount) -> None:
    store.ping()
    cosmos_account.fail("", 500, times=0)
    for values in ({f"{number}": 1 for number in range(101)}, {f"{number}": b"x" * 700_000 for number in range(3)}):
        with pytest.raises(StorageCapacityError, match="smaller batches"):
            store.put_many(values)
    assert cosmos_account.requests() == 0


def test_the_largest_entry(store: Store) -> None:
    largest = '"' * (store.capabilities.largest // 2 - 1)
    store.put("\x01" * 10_000, largest, metadata={"all": '"' * 8_000})
    assert store.load("\x01" * 10_000) == largest


def test_cosmos_deletes_what_has_expired_by_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.backends.cosmos.backend._GRACE", 0)
    store = Store(store.backend, clock=WallClock())
    store.put("short", 1, ttl=1)
    store.put("long", 1, ttl=1e10)
    deadline = time.monotonic() + 30
    while store.exists("short") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(store.keys()) == ["long"]


@pytest.mark.parametrize("known", ["", "{", "[]", '{"key": "b"}', 7, None])
def test_a_spoiled_item_costs_its_own_entry_only(store: Store, client: CosmosClient, known: object) -> None:
    for key in "abc":
        store.put(key, key)
    items = client.get_database_client(DATABASE).get_container_client(CONTAINER)
    items.upsert_item({**items.read_item("b", "cosmos"), "about": known})
    items.upsert_item({"id": "a,b", "store": "cosmos", "theirs": True})
    with pytest.raises(StorageCorruptError, match="'b'"):
        store.load("b")
    assert [entry.key for entry in store.find({})] == ["a", "c"]
    assert list(store.keys()) == ["a", "b", "c"]
    store.put("b", "again")
    assert store.load("b") == "again"
