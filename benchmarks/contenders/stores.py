"""Stores of one kilobyte of JSON under a key: Isthmus, the drivers by hand, and three libraries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from typing import Final

import apsw
import orjson
import psycopg
import redis
import uuid_utils

from database.internal_tables import SCHEMA
from database.internal_tables import entries
from storage import Store
from tests.servers.postgres import PostgresDatabase
from tests.servers.s3 import BUCKET

VALUE: Final[dict[str, Any]] = {"title": "Boiling", "at": 99.97, "tags": ["water"], "notes": "n" * 960}
"""One KiB as JSON."""

_COLUMNS: Final = tuple(column.name for column in entries.columns)
_CHANGED: Final = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in {"id", "created_at"})


@dataclass(frozen=True, slots=True)
class StoreContender:
    """One way to store and read a value.

    :ivar put: stores :data:`VALUE` under a key.
    :ivar get: reads it.
    :ivar put_many: does so with several keys, for one whose calls belong into an event loop.
    :ivar get_many: likewise.
    """

    put: Callable[[str], object]
    get: Callable[[str], Any]
    put_many: Callable[[Sequence[str]], object] | None = None
    get_many: Callable[[Sequence[str]], object] | None = None


def isthmus(store: Store) -> StoreContender:
    """A store."""
    return StoreContender(lambda key: store.put(key, VALUE), store.get)


def dictionary() -> StoreContender:
    """A dictionary of JSON, which is the least that copies values in and out."""
    held: dict[str, bytes] = {}

    def put(key: str) -> None:
        held[key] = orjson.dumps(VALUE)

    return StoreContender(put, lambda key: orjson.loads(held[key]))


def sqlite(path: Path, resources: ExitStack) -> StoreContender:
    """The driver by hand, with the same table and the same columns."""
    connection = apsw.Connection(str(path))
    resources.callback(connection.close)
    for pragma in ("journal_mode = wal", "synchronous = normal", "cache_size = -16384"):
        connection.execute(f"pragma {pragma}")
    upsert, read = _statements("?")

    def get(key: str) -> Any:
        row: Any = connection.execute(read, (_id(key),)).fetchone()
        return orjson.loads(row[0])

    return StoreContender(lambda key: connection.execute(upsert, _row(key, str)), get)


def postgres(database: PostgresDatabase, resources: ExitStack) -> StoreContender:
    """Psycopg by hand, with prepared statements, the same table and the same columns."""
    connection = psycopg.connect(database.dsn, autocommit=True)
    resources.callback(connection.close)
    connection.execute("set default_transaction_isolation = 'serializable'")
    connection.execute(f"set search_path to {SCHEMA}".encode())
    upsert, read = (text.encode() for text in _statements("%s"))

    def get(key: str) -> Any:
        row: Any = connection.execute(read, (_id(key),), prepare=True).fetchone()
        return orjson.loads(row[0])

    def put(key: str) -> None:
        connection.execute(upsert, _row(key, datetime.fromisoformat), prepare=True)

    return StoreContender(put, get)


def redis_by_hand(url: str, resources: ExitStack) -> StoreContender:
    """redis-py by hand: a string."""
    client = redis.Redis.from_url(url)
    resources.callback(client.close)

    def get(key: str) -> Any:
        found: Any = client.get(f"by hand:{key}")
        return orjson.loads(found)

    return StoreContender(lambda key: client.set(f"by hand:{key}", orjson.dumps(VALUE)), get)


def s3_by_hand(client: Any) -> StoreContender:
    """boto3 by hand: an object."""

    def put(key: str) -> None:
        client.put_object(Bucket=BUCKET, Key=f"by hand/{key}", Body=orjson.dumps(VALUE))

    def get(key: str) -> Any:
        return orjson.loads(client.get_object(Bucket=BUCKET, Key=f"by hand/{key}")["Body"].read())

    return StoreContender(put, get)


def py_key_value(store: str, resources: ExitStack, **options: Any) -> StoreContender:
    """py-key-value, which is asynchronous: a call on its own runs an event loop until its end.

    :param store: the module and the class.
    """
    module, _, name = store.rpartition(".")
    loop = asyncio.new_event_loop()
    resources.callback(loop.close)
    run: Callable[[Coroutine[Any, Any, Any]], Any] = loop.run_until_complete

    async def make() -> Any:
        made = getattr(import_module(f"key_value.aio.stores.{module}"), name)(**options)
        await made.setup()
        return made

    made = run(make())
    if hasattr(made, "close"):
        resources.callback(lambda: run(made.close()))

    def put(key: str) -> Coroutine[Any, Any, Any]:
        made_now: Coroutine[Any, Any, Any] = made.put(key=key, value=VALUE)
        return made_now

    def get(key: str) -> Coroutine[Any, Any, Any]:
        made_now: Coroutine[Any, Any, Any] = made.get(key=key)
        return made_now

    async def each(call: Callable[[str], Coroutine[Any, Any, Any]], keys: Sequence[str]) -> None:
        for key in keys:
            await call(key)

    return StoreContender(
        lambda key: run(put(key)),
        lambda key: run(get(key)),
        lambda keys: run(each(put, keys)),
        lambda keys: run(each(get, keys)),
    )


def diskcache(folder: Path, resources: ExitStack) -> StoreContender:
    """diskcache: pickled values in SQLite."""
    cache = import_module("diskcache").Cache(str(folder))
    resources.callback(cache.close)
    return StoreContender(lambda key: cache.set(key, VALUE), cache.get)


def langgraph(resources: ExitStack, path: Path | None = None) -> StoreContender:
    """LangGraph's store in memory, or in an SQLite file."""
    if path is None:
        store = import_module("langgraph.store.memory").InMemoryStore()
    else:
        store = resources.enter_context(import_module("langgraph.store.sqlite").SqliteStore.from_conn_string(str(path)))
        store.setup()
    namespace = ("bench",)
    return StoreContender(
        lambda key: store.put(namespace, key, VALUE), lambda key: getattr(store.get(namespace, key), "value", None)
    )


def installed(makers: dict[str, Callable[[], StoreContender]]) -> dict[str, StoreContender]:
    """All contenders, without libraries that are not installed."""
    packages = {"py-key-value": "key_value", "diskcache": "diskcache", "LangGraph": "langgraph"}
    missing = {name for name, package in packages.items() if find_spec(package) is None}
    return {name: make() for name, make in makers.items() if name not in missing}


def _statements(hole: str) -> tuple[str, str]:
    """The SQL of a put and of a get."""
    names, holes = ", ".join(_COLUMNS), ", ".join([hole] * len(_COLUMNS))
    put = f"insert into {entries.name} ({names}) values ({holes}) on conflict (id) do update set {_CHANGED}"  # noqa: S608
    return put, f"select body from {entries.name} where id = {hole}"  # noqa: S608


def _id(key: str) -> str:
    return sha256(f"bench\0{key}".encode()).hexdigest()


def _row(key: str, time: Callable[[str], Any]) -> tuple[Any, ...]:
    now = time(datetime.now(UTC).isoformat())
    body = orjson.dumps(VALUE)
    values = {
        "id": _id(key),
        "store": "bench",
        "key": key,
        "key_start": key,
        "etag": uuid_utils.uuid7().hex,
        "body": body.decode(),
        "size": len(body),
        "headers": "{}",
        "metadata": "{}",
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "stored_at": now,
        "expires_at": None,
        "vector": None,
    }
    return tuple(values[name] for name in _COLUMNS)
