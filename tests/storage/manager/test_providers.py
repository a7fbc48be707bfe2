"""What single providers do beside storing: tables that people can query, and channels of Redis."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC
from datetime import datetime
from queue import Queue
from typing import Any

import psycopg
import pytest

from storage import BaseStorageProvider
from storage import DataManager
from storage import MemoryEntries
from storage import PostgreSQLProvider
from storage import QdrantProvider
from storage import RedisProvider
from storage import StorageConfigurationError
from storage import StorageConnectionError
from storage import StorageCorruptError
from storage import StorageCredentialsRefused
from storage import StorageKeyError
from storage import StorageNotFoundError
from storage import StorageSerializationError
from storage import StorageUnsupportedError
from storage import StorageVectorError
from storage import Store
from storage import StoreProvider
from tests.servers.network.ports import free_port
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.redis import PASSWORD
from tests.servers.redis import RedisServer


@pytest.fixture
def postgresql(postgres_database: PostgresDatabase) -> Iterator[PostgreSQLProvider]:
    provider = PostgreSQLProvider(**asdict(postgres_database))
    yield provider
    provider.close()


def test_a_value_keeps_its_type(postgresql: PostgreSQLProvider) -> None:
    values: tuple[Any, ...] = (
        *(None, True, 7, 2.0, 1e300, -0.0, "text", "\0", "", [], {}, [None], {"a": {"b": [1.5]}}, {"$type": "decimal"}),
        *(b"", b"\0\xff", datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), 2**70, {"big": 2**70, "nul": "a\0b"}),
    )
    for value in values:
        postgresql.store("key", value, {})
        assert repr(postgresql.retrieve("key")) == repr(value)


def test_people_see_values_and_may_change_them(
    postgresql: PostgreSQLProvider, postgres_database: PostgresDatabase
) -> None:
    postgresql.store("key", {"reward": 0.5, "tags": ["a"]}, {"kind": "episode"})
    with psycopg.connect(postgres_database.dsn) as connection:
        (first,) = connection.execute("select created_at from storage").fetchall()
        connection.execute("update storage set data = jsonb_set(data, '{reward}', '0.75')")
    assert postgresql.retrieve("key") == {"reward": 0.75, "tags": ["a"]}
    postgresql.store("key", 2, {})
    with psycopg.connect(postgres_database.dsn) as connection:
        assert connection.execute("select created_at from storage").fetchall() == [first]
        assert connection.execute("select data, metadata from storage").fetchall() == [(2, {})]
        connection.execute("""update storage set headers = '{"media_type": "image/png", "base64": ""}'""")
    with pytest.raises(StorageCorruptError, match="its row in storage is damaged"):
        postgresql.retrieve("key")


def test_several_create_the_table_at_once(postgres_database: PostgresDatabase) -> None:
    providers = [PostgreSQLProvider(**asdict(postgres_database)) for _ in range(6)]
    with ThreadPoolExecutor(len(providers)) as threads:
        results = threads.map(lambda one: one[1].store(str(one[0]), one[0], {}), enumerate(providers))
        assert all(result.success for result in results)
    assert sorted(providers[0].query({}, 10)) == list(range(len(providers)))
    for provider in providers:
        provider.close()


def test_each_table_is_a_store_of_its_own(postgres_database: PostgresDatabase, postgresql: PostgreSQLProvider) -> None:
    other = PostgreSQLProvider(**asdict(postgres_database), table="other")
    other.store("key", 1, {})
    with pytest.raises(StorageNotFoundError):
        postgresql.retrieve("key")
    other.close()


@pytest.mark.parametrize("table", ["", "Storage", "a b", "a;drop table b", "1a", "x" * 64])
def test_a_table_has_a_plain_name(table: str) -> None:
    with pytest.raises(StorageConfigurationError, match="small letters"):
        PostgreSQLProvider(table=table)


def test_a_key_that_the_index_does_not_take_is_refused(postgresql: PostgreSQLProvider) -> None:
    postgresql.store("\u20ac" * 666, 1, {})
    with pytest.raises(StorageKeyError, match="at most 2,000 bytes"):
        postgresql.store("\u20ac" * 667, 1, {})


def test_a_refused_password_names_its_variable(postgres_database: PostgresDatabase) -> None:
    provider = PostgreSQLProvider(**{**asdict(postgres_database), "password": "wrong"})
    with pytest.raises(StorageCredentialsRefused, match="POSTGRES_PASSWORD"):
        provider.retrieve("key")
    provider.close()


@pytest.mark.parametrize(
    "make",
    [lambda: QdrantProvider(":memory:", vector_size=2), lambda: StoreProvider(Store(MemoryEntries(dimensions=2)))],
)
def test_data_is_found_by_its_vector_also_after_it_was_put_back(
    dm: DataManager, make: Callable[[], BaseStorageProvider]
) -> None:
    dm.register_provider("vectors", make())
    data = {"name": "east", "vector": [2.0, 0.0]}
    dm.store(data, "vectors", "east", {"kind": "main"})
    dm.store({"name": "north", "vector": (0, 1)}, "vectors", "north")
    dm.store({"name": "nowhere"}, "vectors", "nowhere")
    with suppress(LookupError), dm.transaction():
        dm.store({"name": "west", "vector": [-1, 0]}, "vectors", "east")
        dm.delete_by_key("vectors", "north")
        raise LookupError
    assert dm.search("vectors", [1, 0]) == [(data, 1.0), ({"name": "north", "vector": [0, 1]}, 0.0)]
    assert dm.search("vectors", [1, 0], filters={"metadata.kind": "main"}) == [(data, 1.0)]
    with pytest.raises(StorageVectorError):
        dm.store({"vector": [1, 2, 3]}, "vectors")
    with pytest.raises(StorageUnsupportedError, match="vectors"):
        dm.search("first", [1, 0])


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RedisProvider]:
    provider = RedisProvider(host="127.0.0.1", port=redis_server.port, password=PASSWORD)
    yield provider
    provider.close()


def test_messages_are_received_by_those_who_listen(redis: RedisProvider) -> None:
    received: Queue[Any] = Queue()
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    assert redis.publish("channel", 0) == 0
    with redis.subscribe("channel", received.put), redis.subscribe("other", received.put):
        assert redis.publish("channel", {"at": moment, "bytes": b"\0"}) == 1
        assert received.get(timeout=20) == {"at": moment, "bytes": b"\0"}
    assert received.empty()
    with pytest.raises(StorageSerializationError):
        redis.publish("channel", object())


def test_a_listener_goes_on_after_a_failure_of_its_callback(
    redis: RedisProvider, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    received: Queue[Any] = Queue()

    def callback(message: Any) -> None:
        if message == "bad":
            raise LookupError(message)
        received.put(message)

    with redis.subscribe("channel", callback):
        redis.publish("channel", "bad")
        with redis_server.client() as client:
            client.publish("channel", "no JSON")
        redis.publish("channel", "good")
        assert received.get(timeout=20) == "good"
    assert caplog.text.count("a step of the worker subscription to 'channel' failed") == 2


def test_a_listener_connects_again(redis_server: RedisServer, proxy: Callable[[int], FaultProxy]) -> None:
    between = proxy(redis_server.port)
    provider = RedisProvider(host="127.0.0.1", port=between.port, password=PASSWORD)
    received: Queue[Any] = Queue()
    with provider.subscribe("channel", received.put):
        with redis_server.client() as client:
            client.client_kill_filter(_type="pubsub")
            while not client.pubsub_numsub("channel")[0][1]:
                pass
        provider.publish("channel", 1)
        assert received.get(timeout=20) == 1
    provider.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"host": "::1", "db": 2}, {"host": "::1", "port": 6379, "db": 2}),
        ({"host": "cache", "port": 7, "password": "a@b:c/d?e"}, {"host": "cache", "port": 7, "db": 0}),
        ({"host": "cache", "ssl": True}, {"host": "cache", "port": 6379, "db": 0}),
    ],
)
def test_the_address_of_redis(options: dict[str, Any], expected: dict[str, Any]) -> None:
    described = RedisProvider(**options).describe()
    assert {name: described[name] for name in expected} == expected
    assert "a@b" not in str(described)


def test_a_listener_needs_a_server() -> None:
    provider = RedisProvider(port=free_port())
    with pytest.raises(StorageConnectionError, match="Could not connect to Redis"):
        provider.subscribe("channel", print)
    with pytest.raises(StorageConnectionError, match="Could not connect to Redis"):
        provider.publish("channel", 1)
