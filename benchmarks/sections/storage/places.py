"""Stores: a kilobyte is put and got in each kind of place, beside the driver by hand and libraries; and encryption."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from typing import Final

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.contenders import stores
from benchmarks.contenders.stores import StoreContender
from benchmarks.harness import Measure
from benchmarks.harness import compare
from benchmarks.harness import compare_by_turns
from benchmarks.harness import per_call
from benchmarks.harness import per_item
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from database import PostgresAdapter
from database import Schema
from database import SQLiteAdapter
from database import internal_tables
from storage import Encryption
from storage import Keys
from storage import MemoryEntries
from storage import RedisEntries
from storage import S3Entries
from storage import Store
from storage import TableEntries
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.s3 import ACCESS
from tests.servers.s3 import BUCKET
from tests.servers.s3 import S3Server

_BY_HAND: Final = "by hand"
_TARGETS: Final = {"memory": None, "SQLite": 1.5, "PostgreSQL": 1.25, "Redis": 1.25, "S3": 1.1}
_DRIVERS: Final = {"SQLite": "apsw", "PostgreSQL": "psycopg 3, prepared", "Redis": "redis-py", "S3": "boto3"}
_LARGE: Final = 1 << 20
_SEALED: Final = "Stores: encryption of 1 MiB"
_OPENED: Final = "Stores: decryption of 1 MiB"


def _title(where: str, what: str) -> str:
    return f"Stores in {where}: {what} of 1 KiB"


def _lines() -> Iterator[Line]:
    for what in ("put", "get"):
        yield Line(
            f"{what} of 1 KiB in memory", _title("memory", what), "Isthmus", "a dictionary of JSON", 5e-6, "figure"
        )
    for where, driver in _DRIVERS.items():
        for what in ("put", "get"):
            shows = where != "S3"
            yield Line(
                f"{what} of 1 KiB in {where}",
                _title(where, what),
                "Isthmus",
                driver,
                _TARGETS[where],
                shows_figure=shows,
            )
    yield Line("encryption of 1 MiB", _SEALED, "Isthmus", "AES-GCM by hand", 1.4)
    yield Line("decryption of 1 MiB", _OPENED, "Isthmus", "AES-GCM by hand", 1.4)


LINES = tuple(_lines())


def tables(plan: Plan) -> Iterator[Table]:
    """Measure each place, and encryption."""
    with TemporaryDirectory(prefix="isthmus-bench-") as folder, ExitStack() as resources:
        yield from _in_memory(plan, resources)
        yield from _in_sqlite(plan, Path(folder), resources)
        yield from _in_postgres(plan, resources)
        yield from _in_redis(plan, resources)
        yield from _in_s3(plan, resources)
    yield from _encrypted(plan)


def _in_memory(plan: Plan, resources: ExitStack) -> Iterator[Table]:
    contenders = stores.installed(
        {
            _BY_HAND: stores.dictionary,
            "Isthmus": lambda: stores.isthmus(_store(MemoryEntries(), resources)),
            "py-key-value": lambda: stores.py_key_value("memory.MemoryStore", resources),
            "LangGraph": lambda: stores.langgraph(resources),
        }
    )
    yield from _compared("memory", contenders, plan, 2_000)


def _in_sqlite(plan: Plan, folder: Path, resources: ExitStack) -> Iterator[Table]:
    by_hand = folder / "by-hand.db"
    _make_tables(by_hand)
    table = table_in_sqlite(folder / "isthmus.db", resources)
    contenders = stores.installed(
        {
            _BY_HAND: lambda: stores.sqlite(by_hand, resources),
            "Isthmus": lambda: stores.isthmus(_store(table, resources)),
            "diskcache": lambda: stores.diskcache(folder / "diskcache", resources),
            "LangGraph": lambda: stores.langgraph(resources, folder / "langgraph.db"),
        }
    )
    yield from _compared("SQLite", contenders, plan, 500, note="journal_mode=wal, synchronous=normal")


def table_in_sqlite(path: Path, resources: ExitStack, dimensions: int | None = None) -> TableEntries:
    """The table of stores in a new file."""
    _make_tables(path)
    adapter = SQLiteAdapter({"path": path, "synchronous": "normal"}, Schema.of(internal_tables.metadata))
    resources.callback(adapter.disconnect)
    return TableEntries(adapter, dimensions=dimensions)


def _make_tables(path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    internal_tables.metadata.create_all(engine)
    engine.dispose()


def _in_postgres(plan: Plan, resources: ExitStack) -> Iterator[Table]:
    server = resources.enter_context(PostgresServer(durable=True))
    database = resources.enter_context(server.database())
    database.create(internal_tables.metadata)
    adapter = PostgresAdapter(asdict(database), Schema.of(internal_tables.metadata))
    resources.callback(adapter.disconnect)
    contenders = {
        _BY_HAND: stores.postgres(database, resources),
        "Isthmus": stores.isthmus(_store(TableEntries(adapter), resources)),
    }
    yield from _by_turns("PostgreSQL", contenders, plan, 200, "over TCP, serializable, commits on disk")


def _in_redis(plan: Plan, resources: ExitStack) -> Iterator[Table]:
    server = resources.enter_context(RedisServer())
    contenders = stores.installed(
        {
            _BY_HAND: lambda: stores.redis_by_hand(server.url, resources),
            "Isthmus": lambda: stores.isthmus(_store(RedisEntries(server.url, "bench"), resources)),
            "py-key-value": lambda: stores.py_key_value("redis.RedisStore", resources, url=server.url),
        }
    )
    yield from _by_turns("Redis", contenders, plan, 300, "over TCP, nothing on disk")


def _in_s3(plan: Plan, resources: ExitStack) -> Iterator[Table]:
    server = resources.enter_context(S3Server())
    backend = S3Entries(BUCKET, "bench", endpoint=server.url, **ACCESS)
    contenders = {
        _BY_HAND: stores.s3_by_hand(server.client()),
        "Isthmus": stores.isthmus(_store(backend, resources)),
    }
    yield from _by_turns("S3", contenders, plan, 30, "a server of the tests, on the same machine")


def _store(backend: Any, resources: ExitStack, **options: Any) -> Store:
    store = Store(backend, **options)
    resources.callback(store.close)
    return store


def _keys(number: int) -> list[str]:
    return [f"notes/2026/{place:06}" for place in range(number)]


def _compared(
    where: str, contenders: dict[str, StoreContender], plan: Plan, number: int, note: str = ""
) -> Iterator[Table]:
    keys = _keys(plan.of(number))
    _fill(contenders, keys)
    for what in ("put", "get"):
        cases = {name: _measure(one, what, keys) for name, one in contenders.items()}
        yield compare(_title(where, what), cases, baseline=_BY_HAND, plan=plan, note=note)


def _measure(one: StoreContender, what: str, keys: list[str]) -> Measure:
    many: Callable[[list[str]], object] | None = getattr(one, f"{what}_many")
    if many is None:
        return per_item(getattr(one, what), lambda: keys)
    whole = per_item(many, lambda: [keys])
    return lambda: whole() / len(keys)


def _by_turns(where: str, contenders: dict[str, StoreContender], plan: Plan, number: int, note: str) -> Iterator[Table]:
    keys = _keys(plan.of(number))
    _fill(contenders, keys)
    for what in ("put", "get"):
        functions = {name: getattr(one, what) for name, one in contenders.items()}
        yield compare_by_turns(_title(where, what), functions, lambda: keys, baseline=_BY_HAND, plan=plan, note=note)


def _fill(contenders: dict[str, StoreContender], keys: list[str]) -> None:
    for name, one in contenders.items():
        for key in keys:
            one.put(key)
        assert one.get(keys[0]) == stores.VALUE, name


def _encrypted(plan: Plan) -> Iterator[Table]:
    body, nonce, raw = os.urandom(_LARGE), os.urandom(12), AESGCM(os.urandom(32))
    store = Store(MemoryEntries(), layers=[Encryption(Keys({"a": os.urandom(32)}, "a"))])
    store.put("large", body)
    sealed = raw.encrypt(nonce, body, b"large")
    assert store.load("large") == body
    held: dict[str, bytes] = {}

    def seal() -> None:
        # Kept as the store keeps it: memory that is given back and taken again is most of the difference otherwise.
        held["large"] = raw.encrypt(nonce, body, b"large")

    sealing: dict[str, Callable[[], object]] = {_BY_HAND: seal, "Isthmus": partial(store.put, "large", body)}
    opening: dict[str, Callable[[], object]] = {
        _BY_HAND: partial(raw.decrypt, nonce, sealed, b"large"),
        "Isthmus": partial(store.load, "large"),
    }
    for title, functions in ((_SEALED, sealing), (_OPENED, opening)):
        cases = {name: per_call(function, plan.of(20)) for name, function in functions.items()}
        yield compare(title, cases, baseline=_BY_HAND, plan=plan, note="a store in memory")
    store.close()
