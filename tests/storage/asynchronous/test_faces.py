"""Asynchronous storage in one place: the same on each, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from storage import AsyncStorage
from storage import FileStorage
from storage import MemoryEntries
from storage import MemoryStorage
from storage import SQLiteStorage
from storage import StorageConfigurationError
from storage import StorageProtocol
from storage import StorageRegistry
from storage import StorageSerializationError
from storage import Store
from storage import get_storage_registry

Work = Callable[[AsyncStorage], Awaitable[None]]
MAKERS: dict[str, Callable[[Path], AsyncStorage]] = {
    "sqlite": lambda folder: SQLiteStorage(folder / "new" / "storage.db"),
    "file": lambda folder: FileStorage(folder / "files"),
    "memory": lambda _: MemoryStorage(),
}
each = pytest.mark.parametrize("kind", MAKERS)


def used(kind: str, folder: Path, work: Work) -> None:
    """Do something with a storage of a kind, which is then closed."""

    async def use() -> None:
        async with MAKERS[kind](folder) as storage:
            await work(storage)

    asyncio.run(use())


@each
def test_values_are_saved_loaded_listed_and_deleted(kind: str, tmp_path: Path) -> None:
    async def work(storage: AsyncStorage) -> None:
        assert isinstance(storage, StorageProtocol)
        value = {"reward": 0.5, "at": datetime(2026, 1, 2, tzinfo=UTC), "none": None}
        for key in ("a:b", "a_b", "a/b", "user_1", "userX1", "USER_1"):
            await storage.save(key, {**value, "key": key})
        for key in ("a:b", "a_b", "a/b"):
            assert await storage.load(key) == {**value, "key": key}
        assert await storage.list_keys("a") == ["a/b", "a:b", "a_b"]
        assert await storage.find({"data.key": "a:b"}) == [{**value, "key": "a:b"}]
        assert await storage.count_keys() == 6
        assert (await storage.clear("user_"), await storage.list_keys("u")) == (1, ["userX1"])
        assert (await storage.exists("a:b"), await storage.exists("a")) == (True, False)
        await storage.delete("a:b")
        await storage.delete("a:b")
        with pytest.raises(KeyError):
            await storage.load("a:b")
        await storage.close()
        assert await storage.exists("a_b") is True

    used(kind, tmp_path, work)


@each
def test_a_value_that_has_no_stored_form_is_refused(kind: str, tmp_path: Path) -> None:
    async def work(storage: AsyncStorage) -> None:
        with pytest.raises(StorageSerializationError):
            await storage.save("key", object())
        assert await storage.list_keys() == []

    used(kind, tmp_path, work)


@each
def test_nothing_is_shared_with_the_caller(kind: str, tmp_path: Path) -> None:
    async def work(storage: AsyncStorage) -> None:
        value: dict[str, list[int]] = {"list": []}
        await storage.save("key", value)
        value["list"].append(1)
        (await storage.load("key"))["list"].append(2)
        assert await storage.load("key") == {"list": []}

    used(kind, tmp_path, work)


@each
def test_many_at_once(kind: str, tmp_path: Path) -> None:
    async def work(storage: AsyncStorage) -> None:
        await asyncio.gather(*(storage.save(f"key {number:02}", number) for number in range(40)))
        assert await asyncio.gather(*(storage.load(f"key {number:02}") for number in range(40))) == list(range(40))

    used(kind, tmp_path, work)


def test_the_event_loop_goes_on_while_a_store_waits() -> None:
    released = threading.Event()

    class Waiting(MemoryEntries):
        def put(self, *arguments: Any) -> None:
            assert released.wait(20)
            super().put(*arguments)

    async def use() -> None:
        storage = AsyncStorage(Store(Waiting()))
        saving = asyncio.create_task(storage.save("key", 1))
        await asyncio.sleep(0)
        assert not saving.done()
        released.set()
        await saving

    asyncio.run(use())


def test_a_file_of_sqlite_is_queried_by_others(tmp_path: Path) -> None:
    async def work(storage: AsyncStorage) -> None:
        await storage.save("episode:1", {"reward": 0.5})
        await storage.save("episode:1", {"reward": 0.75})

    used("sqlite", tmp_path, work)
    with sqlite3.connect(tmp_path / "new" / "storage.db") as connection:
        rows = connection.execute("select key, data ->> '$.reward', created_at < updated_at from storage").fetchall()
    connection.close()
    assert rows == [("episode:1", 0.75, 1)]


def test_values_in_memory_expire_and_give_way() -> None:
    async def use() -> None:
        storage = MemoryStorage(ttl_seconds=1000, max_size=2)
        for key in "abc":
            await storage.save(key, key)
        assert await storage.list_keys() == ["b", "c"]
        brief = MemoryStorage(ttl_seconds=0.001)
        await brief.save("key", 1)
        while await brief.exists("key"):
            pass

    asyncio.run(use())


@pytest.mark.parametrize("kind", [SQLiteStorage, FileStorage])
def test_nothing_is_pickled(kind: Callable[..., AsyncStorage], tmp_path: Path) -> None:
    with pytest.raises(StorageConfigurationError, match="use 'json'"):
        kind(tmp_path / "place", serializer="pickle")


def test_the_registry_makes_a_storage_by_its_name(tmp_path: Path) -> None:
    registry = get_storage_registry()
    assert registry is StorageRegistry
    assert {"convex", "file", "memory", "sqlite"} <= set(registry.list_backends())
    assert isinstance(registry.get("file", base_dir=tmp_path), FileStorage)

    class Own(MemoryStorage):
        pass

    registry.register("own", Own)
    assert isinstance(registry.get("own", max_size=1), Own)
    assert (registry.unregister("own"), registry.unregister("own")) == (True, False)
    with pytest.raises(StorageConfigurationError, match="there is no storage 'own'; use one of: convex, file"):
        registry.get("own")


@pytest.mark.parametrize("kind", [MemoryStorage(), dict, "sqlite"])
def test_only_classes_of_storage_are_registered(kind: object) -> None:
    with pytest.raises(StorageConfigurationError, match="save, load, exists"):
        StorageRegistry.register("other", kind)
