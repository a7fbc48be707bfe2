"""The cache: never the only copy, never fatal, and never behind what this process has written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from config.settings import load_settings
from database import flask_scope
from database import internal_tables
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.clock import utc_now
from database.core.context import NO_CONTEXT
from database.core.context import SERVICE
from database.core.operations import Operation
from database.core.tables.schema import Schema
from storage import Cache
from storage import MemoryEntries
from storage import RedisEntries
from storage import StorageConnectionError
from storage import StorageOutcomeUnknown
from storage import Store
from storage import TableEntries
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.layers.recent_writes import RecentWrites
from tests.clocks import ManualClock
from tests.clocks import WallClock
from tests.servers.redis import RedisServer
from tests.storage.layers.faulty import EXAMPLES
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over
from tests.storage.writers import count_up

TTL = 60


class Cached:
    """A store with a cache, and both places."""

    def __init__(self) -> None:
        self.clock = WallClock()
        self.source, self.kept = Faulty(), Faulty()
        self.cache = Cache(over(self.kept), TTL, largest=1_000, clock=self.clock)
        self.store = over(self.source, self.cache, clock=self.clock)
        self.others = over(self.source, clock=self.clock)

    def counts(self) -> tuple[int, int, int]:
        return self.cache.counts["hits"], self.cache.counts["misses"], self.cache.counts["errors"]


@pytest.fixture
def cached() -> Cached:
    return Cached()


def test_what_was_read_is_read_once(cached: Cached) -> None:
    put = cached.store.put("key", {"a": 1}, metadata={"m": 1}, ttl=10 * TTL)
    entry = cached.store.entry("key")
    with cached.source.down():
        assert cached.store.entry("key") == entry
        assert cached.store.head("key") == put
        assert cached.store.preview("key") == b'{"a":1}'
    assert cached.counts() == (3, 1, 0)
    cached.clock.advance(TTL)
    assert cached.store.entry("key") == entry
    assert cached.counts() == (3, 2, 0)


def test_an_entry_expires_in_the_cache_too(cached: Cached) -> None:
    cached.store.put("key", 1, ttl=10)
    assert cached.store.load("key") == 1
    cached.clock.advance(10)
    assert cached.store.get("key") is None


def test_what_others_have_written_is_seen_after_a_while(cached: Cached) -> None:
    cached.others.put("key", 1)
    assert cached.store.load("key") == 1
    cached.others.put("key", 2)
    assert cached.store.load("key") == 1
    cached.clock.advance(TTL)
    assert cached.store.load("key") == 2


def test_large_and_missing_entries_are_not_kept(cached: Cached) -> None:
    cached.store.put("large", b"x" * 1_001)
    for _ in range(2):
        assert len(cached.store.load("large")) == 1_001
        assert cached.store.get("missing") is None
    assert cached.counts()[0] == 0


def test_a_broken_cache_is_a_miss(cached: Cached) -> None:
    with cached.kept.down():
        cached.store.put("key", 1)
        assert cached.store.load("key") == 1
        assert cached.store.delete("key")
        assert cached.store.clear() == 0
    assert cached.counts()[0] == 0
    assert cached.cache.counts["errors"] >= 4


def test_a_full_cache_loses_nothing() -> None:
    store = Store(MemoryEntries(), layers=[Cache(Store(MemoryEntries(most_entries=2)))])
    for number in range(10):
        store.put(f"key {number}", number)
    assert [store.load(f"key {number}") for number in range(10)] == list(range(10))


def test_what_could_not_be_dropped_is_not_read(cached: Cached) -> None:
    cached.store.put("a", 1)
    cached.store.put("b", 1)
    assert (cached.store.load("a"), cached.store.load("b")) == (1, 1)
    with cached.kept.down():
        cached.store.put("a", 2)
        cached.store.delete("b")
    assert (cached.store.load("a"), cached.store.get("b")) == (2, None)
    with cached.kept.down():
        cached.store.clear()
    assert cached.store.get("a") is None


def test_a_write_of_unknown_outcome_counts_as_one(cached: Cached) -> None:
    cached.store.put("key", 1)
    assert cached.store.load("key") == 1
    with cached.source.losing_answers(), pytest.raises(StorageOutcomeUnknown):
        cached.store.put("key", 2)
    assert cached.store.load("key") == 2
    with cached.source.down(), pytest.raises(StorageConnectionError):
        cached.store.put("key", 3)
    assert cached.store.load("key") == 2


def test_what_is_read_before_a_write_and_kept_after_it_is_not_read(cached: Cached) -> None:
    cached.store.put("key", 1)

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, Put):
            cached.kept.heal()
            cached.store.put("key", 2)

    cached.kept.before = meanwhile
    assert cached.store.load("key") == 1
    assert cached.kept.backend.fetch(Fetch("key"), NO_CONTEXT) is not None
    assert cached.store.load("key") == 2


def test_of_several_writes_at_once_none_is_taken_for_the_last_one() -> None:
    recent = RecentWrites(10)
    recent.begin("a")
    recent.begin("a")
    recent.end("a", "2")
    recent.end("a", "1")
    assert (recent.allow("a", "1"), recent.allow("a", "2")) == (False, False)
    recent.begin("a")
    recent.end("a", "3")
    assert recent.allow("a", "3")
    recent.begin_clearing("")
    recent.begin("a")
    recent.end_clearing("")
    recent.end("a", "4")
    assert not recent.allow("a", "4")


def test_what_was_cleared_is_cached_again(cached: Cached) -> None:
    cached.store.clear()
    for _ in range(2):
        cached.store.put("key", 1)
        cached.store.load("key")
        assert cached.store.load("key") == 1
    assert cached.cache.counts["hits"] == 2
    clock = ManualClock()
    recent = RecentWrites(10, clock=clock)
    recent.begin("b")  # and never ended
    recent.begin_clearing("a")
    recent.end_clearing("a")
    assert (recent.allow("a", "1"), recent.allow("b", "1"), recent.allow("c", "1")) == (False, False, True)
    clock.advance(10)
    assert recent.allow("a", "1")
    assert recent.allow("b", "1")
    recent.begin("c")
    recent.end("b", "2")  # so late that it was forgotten
    assert not recent.allow("b", "2")


def test_a_value_is_that_of_the_last_write_of_this_process() -> None:
    store = Store(MemoryEntries(), layers=[Cache()])

    def count(key: str) -> None:
        for number in range(150):
            store.put(key, number)
            assert store.load(key) == number
            if number % 10 == 0:
                assert store.delete(key)
                assert store.get(key) is None

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(lambda: [store.get(key) for _ in range(300) for key in "ab"]) for _ in range(2)]
        for done in [threads.submit(count, key) for key in "ab"] + readers:
            done.result()


def test_increments_are_exact_though_each_process_has_a_cache() -> None:
    source = MemoryEntries()
    processes = [Store(source, layers=[Cache()]) for _ in range(2)]
    processes[0].put("counter", 0)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda store: count_up(store, 50), processes))
    assert Store(source).load("counter") == 100


def test_another_process_puts_what_is_old_into_a_cache_that_all_share(cached: Cached) -> None:
    others = over(cached.source, Cache(over(shared := Faulty(cached.kept.backend)), clock=cached.clock))
    cached.store.put("key", 1)

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, Put):
            shared.heal()
            cached.store.put("key", 2)

    shared.before = meanwhile
    assert others.load("key") == 1
    assert cached.store.load("key") == 2
    assert others.load("key") == 2


def test_a_cache_in_redis_forgets_by_itself(redis_server: RedisServer) -> None:
    place = RedisEntries(redis_server.url, "cache of a test")
    cache = Cache(Store(place), ttl=TTL)
    store = Store(MemoryEntries(), layers=[cache])
    put = store.put("key", {"a": b"\0"}, metadata={"m": [1]}, ttl=10 * TTL)
    assert [store.entry("key").expires_at for _ in range(2)] == [put.expires_at] * 2
    assert store.load("key") == {"a": b"\0"}
    assert dict(cache.counts) == {"misses": 1, "hits": 2}
    kept = place.fetch(Fetch("key"), NO_CONTEXT)
    assert kept is not None
    assert kept.expires_at is not None
    assert timedelta() < kept.expires_at - utc_now() <= timedelta(seconds=TTL)
    store.delete("key")
    assert place.fetch(Fetch("key"), NO_CONTEXT) is None
    store.close()


@pytest.fixture
def manager() -> Iterator[ConnectionManager]:
    adapter = MemoryAdapter(schema=Schema.of(internal_tables.metadata))
    made = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})
    yield made
    made.disconnect()


def test_what_a_request_has_not_committed_is_no_phantom(manager: ConnectionManager) -> None:
    store = Store(TableEntries(manager), layers=[cache := Cache()])
    store.put("key", "before")
    app = Flask(__name__)
    flask_scope.init_app(app, manager, caller=SERVICE)

    @app.post("/<int:status>")
    def change(status: int) -> tuple[str, int]:
        assert store.load("key") == "before"
        store.put("key", "after")
        store.put("new", "after")
        assert (store.load("key"), store.load("new")) == ("after", "after")
        return "", status

    @app.get("/")
    def show() -> str:
        return str(store.load("key"))

    client = app.test_client()
    assert client.post("/400").status_code == 400
    assert [client.get("/").text for _ in range(2)] == ["before", "before"]
    assert store.get("new") is None
    assert client.post("/200").status_code == 200
    assert [client.get("/").text for _ in range(2)] == ["after", "after"]
    assert cache.counts["hits"] == 1  # what was committed is cached again


def test_a_transaction_reads_past_the_cache(manager: ConnectionManager) -> None:
    cache = Cache()
    store, others = Store(TableEntries(manager), layers=[cache]), Store(TableEntries(manager))
    others.put("key", 1)
    assert store.load("key") == 1
    others.put("key", 2)
    with manager.transaction():
        assert store.load("key") == 2
        store.put("key", 3)
    assert store.load("key") == 3


def test_the_order_of_transactions_is_known_to_the_database_only(manager: ConnectionManager) -> None:
    source = Faulty()
    source.capabilities = replace(source.capabilities, joins=True)
    store, others = over(source, Cache()), over(source)
    for value in (1, 2):
        with manager.transaction():
            store.put("key", value)
    assert store.load("key") == 2
    others.put("key", 1)  # the first one was committed last
    assert store.load("key") == 1


def test_recent_writes_are_forgotten_and_limited() -> None:
    clock = ManualClock()
    recent = RecentWrites(10, most=3, clock=clock)
    recent.begin("a")
    recent.end("a", "1")
    assert (recent.allow("a", "1"), recent.allow("a", "0"), recent.allow("b", "0")) == (True, False, True)
    clock.advance(10)
    assert recent.allow("a", "0")
    for key in "bcde":
        recent.begin(key)
        recent.end(key, "1")
    # Too many to be known one by one: none is shown but the newest ones.
    assert (recent.allow("b", "0"), recent.allow("z", "0"), recent.allow("e", "1")) == (False, False, True)
    clock.advance(10)
    assert recent.allow("z", "0")


KEYS = st.sampled_from(["a", "ab", "b"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "get", "delete", "clear", "break", "heal", "batch"]), KEYS, st.integers()),
    max_size=25,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(STEPS)
def test_a_cached_store_is_a_dictionary(steps: list[tuple[str, str, int]]) -> None:
    cached, model = Cached(), dict[str, int]()
    for verb, key, value in steps:
        if verb == "put":
            cached.store.put(key, value)
            model[key] = value
        elif verb == "batch":
            cached.store.put_many({"a": value, key: value})
            model |= {"a": value, key: value}
        elif verb == "delete":
            assert cached.store.delete(key) is (model.pop(key, None) is not None)
        elif verb == "clear":
            cached.store.clear(key)
            model = {name: kept for name, kept in model.items() if not name.startswith(key)}
        elif verb == "break":
            cached.kept.before = _broken
        elif verb == "heal":
            cached.kept.heal()
        assert {name: cached.store.get(name) for name in ("a", "ab", "b")} == {
            name: model.get(name) for name in ("a", "ab", "b")
        }


def _broken(_: Operation) -> None:
    raise StorageConnectionError("it is down")
