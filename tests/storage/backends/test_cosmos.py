"""Cosmos DB: what is sent once, what is said about failures, and items that somebody else has spoiled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import closing
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
from storage import store_at
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

REGIONS = ("West US", "East US")
"""Of the account for the tests: it is written in East US, whose host is 127.0.0.1, and can be read in both."""


class LoseOneReply(LoseReply):
    """Only the first one."""

    async def request(self, link: Link, data: bytes) -> None:
        await (link.to_server(data) if self.fired else super().request(link, data))


def entries(url: str, **options: Any) -> CosmosEntries:
    return CosmosEntries(url, KEY, DATABASE, "cosmos", timeout=20, **options)


def hosts(account: CosmosAccount, method: str, path: str) -> list[str]:
    """The hosts of the requests that the account has seen."""
    seen = [one for one in account.seen() if one["method"] == method and path in (one["path"] or "")]
    return [(one["host"] or "").partition(":")[0] for one in seen]


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


@pytest.mark.parametrize(
    ("regions", "near"),
    [((), "127.0.0.1"), (REGIONS, "localhost"), (["east us"], "127.0.0.1"), (["Mars", "West US"], "localhost")],
)
def test_reads_are_sent_to_the_first_region_and_writes_to_the_one_that_takes_them(
    cosmos_account: CosmosAccount, regions: Sequence[str], near: str
) -> None:
    store = Store(entries(cosmos_account.url, regions=regions), settings=ONCE)
    store.put("key", 1)
    cosmos_account.fail("", 500, times=0)
    store.put("key", 2)
    assert (store.load("key"), store.exists("key")) == (2, True)
    assert hosts(cosmos_account, "GET", "/docs/") == [near]
    # The write, and the query for the head.
    assert hosts(cosmos_account, "POST", "/docs") == ["127.0.0.1", near]
    store.close()


def test_a_read_goes_on_to_the_next_region_and_a_write_is_sent_once(cosmos_account: CosmosAccount) -> None:
    store = Store(entries(cosmos_account.url, regions=REGIONS), settings=ONCE)
    store.put("key", 1)
    cosmos_account.fail("/docs", 503, times=1)
    assert store.load("key") == 1
    assert hosts(cosmos_account, "GET", "/docs/") == ["localhost", "127.0.0.1"]
    for status in (408, 500, 503):
        cosmos_account.fail("/docs", status, times=9)
        with pytest.raises(StorageOutcomeUnknown, match=f"status {status}"):
            store.put("key", 2)
        assert len(hosts(cosmos_account, "POST", "/docs")) == 1
    cosmos_account.fail("", 500, times=0)
    store.close()


@pytest.mark.parametrize("autoscale", [None, 1_000, 4_000])
def test_a_container_is_made_with_a_throughput_that_grows(cosmos_account: CosmosAccount, autoscale: int | None) -> None:
    cosmos_account.fail("", 500, times=0)
    for _ in range(2):
        store = Store(entries(cosmos_account.url, container=f"grows to {autoscale}", autoscale=autoscale))
        store.put("key", 1)
        store.close()
    (made,) = (
        one for one in cosmos_account.seen() if (one["method"], one["path"]) == ("POST", f"/dbs/{DATABASE}/colls")
    )
    growing = None if autoscale is None else {"maxThroughput": autoscale}
    assert (made["fixed"], json.loads(made["growing"] or "null")) == (None, growing)


def test_a_place_has_the_regions_and_the_throughput_of_the_environment(
    cosmos_account: CosmosAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"COSMOS_KEY": KEY, "COSMOS_REGIONS": "West US,East US", "COSMOS_AUTOSCALE": "2000"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    cosmos_account.fail("", 500, times=0)
    with closing(store_at(f"cosmos+http://127.0.0.1:{cosmos_account.port}/{DATABASE}?container=named")) as store:
        assert not store.exists("key")
    assert [one["growing"] for one in cosmos_account.seen() if one["growing"]] == ['{"maxThroughput": 2000}']
    assert hosts(cosmos_account, "POST", "/docs") == ["localhost"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"regions": "West US"}, "list of names"),
        ({"regions": [""]}, "list of names"),
        ({"autoscale": 0}, "multiple of 1,000"),
        ({"autoscale": 1_500}, "multiple of 1,000"),
        ({"autoscale": True}, "multiple of 1,000"),
    ],
)
def test_regions_and_a_throughput_that_are_none_are_refused_at_once(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(StorageConfigurationError, match=reason):
        entries("http://127.0.0.1:1", **options)
