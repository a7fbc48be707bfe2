"""Redis: what is sent once, what is said about failures, and hashes that somebody else has spoiled."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

import pytest

from storage import StorageConnectionError
from storage import StorageCorruptError
from storage import StorageCredentialsRefused
from storage import Store
from storage.backends.redis.backend import RedisEntries
from storage.core.errors import StorageOutcomeUnknown
from tests.servers.network.faults import LoseReply
from tests.servers.network.link import Link
from tests.servers.network.ports import free_port
from tests.servers.network.proxy import FaultProxy
from tests.servers.redis import PASSWORD
from tests.servers.redis import RedisServer


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[Store]:
    made = Store(RedisEntries(redis_server.url))
    made.clear()
    yield made
    made.close()


class LoseOneReply(LoseReply):
    """Only the first one."""

    async def request(self, link: Link, data: bytes) -> None:
        await (link.to_server(data) if self.fired else super().request(link, data))


def test_a_put_whose_answer_was_lost_is_sent_again(
    store: Store, redis_server: RedisServer, proxy: Callable[[int], FaultProxy]
) -> None:
    etag = store.put("key", 1).etag
    # So that Redis knows this script, too; otherwise the lost answer would be that it does not.
    store.delete("other")
    between = proxy(redis_server.port)
    through = Store(RedisEntries(redis_server.url_at(between.port)))
    with between.suffering(LoseOneReply(b"EVALSHA")):
        put = through.put("key", 2, expected=etag)
    assert (store.load("key"), store.entry("key").etag) == (2, put.etag)
    with between.suffering(LoseReply(b"EVALSHA")), pytest.raises(StorageOutcomeUnknown):
        through.delete("key", expected=put.etag)
    assert not store.exists("key")
    through.close()


def test_a_server_that_cannot_be_reached_or_refuses_the_password(redis_server: RedisServer) -> None:
    gone = Store(RedisEntries(f"redis://127.0.0.1:{free_port()}"))
    with pytest.raises(StorageConnectionError, match="Could not connect to Redis"):
        gone.put("key", 1)
    refused = Store(RedisEntries(redis_server.url.replace(PASSWORD, "wrong")))
    with pytest.raises(StorageCredentialsRefused) as caught:
        refused.ping()
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("about", ["{", "[]", "{}"])
def test_a_spoiled_hash_costs_its_own_entry_only(store: Store, redis_server: RedisServer, about: str) -> None:
    for key in "abc":
        store.put(key, key)
    with redis_server.client() as client:
        client.hset("isthmus:{default}:entry:b", "about", about)
    with pytest.raises(StorageCorruptError, match="'b'"):
        store.load("b")
    assert [entry.key for entry in store.find({})] == ["a", "c"]
    assert list(store.keys()) == ["a", "b", "c"]


def test_what_redis_has_deleted_leaves_the_index(store: Store, redis_server: RedisServer) -> None:
    store.put_many({"a": 1, "b": 2, "c": 3})
    with redis_server.client() as client:
        client.delete("isthmus:{default}:entry:b")
        assert list(store.keys()) == ["a", "c"]
        assert client.zcard("isthmus:{default}:keys") == 2


def test_redis_itself_deletes_only_what_expires(store: Store, redis_server: RedisServer) -> None:
    keys = ["a", "b/\u00e9", "c"]
    with redis_server.client() as client:
        for ttl in (None, 1_000, 500, None):
            store.put(keys[0], 1, ttl=ttl)
            store.put_many(dict.fromkeys(keys[1:], 1), ttl=ttl)
            left = [client.ttl(f"isthmus:{{default}}:entry:{key}") for key in store.keys()]  # noqa: SIM118
            # -1 says that it stays.
            assert left == [-1] * 3 if ttl is None else all(0 < time <= ttl for time in left)
            assert list(store.keys()) == keys
