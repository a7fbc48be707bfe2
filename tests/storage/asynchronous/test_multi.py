"""Storage in several places: what one has missed, and what is seen meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import FileStorage
from storage import MultiBackendStorage
from storage import StorageConfigurationError
from storage import StorageError
from storage import StorageRegistry

Work = Callable[[MultiBackendStorage], Awaitable[None]]


def used(folder: Path, work: Work, **options: object) -> None:
    """Do something with a storage in a folder, which is then closed."""

    async def use() -> None:
        places = {"sqlite_path": folder / "values.db", "file_base_dir": folder / "files"}
        storage = StorageRegistry.get("multi", **{**places, **options})
        assert isinstance(storage, MultiBackendStorage)
        async with storage:
            await work(storage)

    asyncio.run(use())


BOTH = {"sqlite": True, "file": True}


def test_a_value_is_in_every_place(tmp_path: Path) -> None:
    async def work(storage: MultiBackendStorage) -> None:
        assert await storage.save("episode:a:1", {"reward": 0.5}) == BOTH
        assert await storage.save("episode:a_1", 1) == BOTH
        assert await storage.list_keys("episode:") == ["episode:a:1", "episode:a_1"]
        found = await storage.verify_integrity()
        assert (found.consistency, found.key_counts) == (1.0, {"sqlite": 2, "file": 2})
        assert await storage.delete("episode:a_1") == BOTH
        assert await storage.clear("episode:") == 1
        found = await storage.verify_integrity()
        assert found.key_counts == {"sqlite": 0, "file": 0}

    used(tmp_path, work)


def test_what_a_place_has_missed_is_repaired(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("no folder")

    async def missing(storage: MultiBackendStorage) -> None:
        assert await storage.save("key", "new") == {"sqlite": True, "file": False}
        assert await storage.load("key") == "new"
        assert (await storage.repair()).left == 1
        (tmp_path / "files").unlink()
        assert (await storage.repair()).done == 1
        assert (await storage.verify_integrity()).consistency == 1.0
        stats = await storage.get_health_stats()
        assert stats["layers"]["mirror"]["missed"] >= 1

    used(tmp_path, missing)
    assert asyncio.run(FileStorage(tmp_path / "files").load("key")) == "new"


def test_another_process_repairs_what_one_has_left(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("no folder")

    async def leave(storage: MultiBackendStorage) -> None:
        await storage.save("key", "new")

    used(tmp_path, leave)
    (tmp_path / "files").unlink()

    async def heal(storage: MultiBackendStorage) -> None:
        await storage.exists("key")
        async with asyncio.timeout(60):
            while not (tmp_path / "files" / "key").exists():
                await storage.exists("key")

    used(tmp_path, heal)


def test_a_copy_answers_for_a_damaged_value(tmp_path: Path) -> None:
    async def work(storage: MultiBackendStorage) -> None:
        await storage.save("key", {"reward": 0.5})
        path = tmp_path / "files" / "key"
        path.write_text("{")
        assert await storage.load("key") == {"reward": 0.5}
        assert (await storage.verify_integrity(repair=True)).repaired == 0
        await storage.save("key", {"reward": 0.75})
        assert await storage.load("key") == {"reward": 0.75}

    used(tmp_path, work, backends=["file", "sqlite"], cache_enabled=False)


def test_a_full_cache_loses_nothing(tmp_path: Path) -> None:
    async def work(storage: MultiBackendStorage) -> None:
        for number in range(5):
            assert await storage.save(f"key {number}", number) == BOTH
        assert [await storage.load(f"key {number}") for number in range(5)] == list(range(5))
        assert [await storage.load(f"key {number}") for number in range(5)] == list(range(5))

    used(tmp_path, work, cache_max_size=2)


def test_one_place_needs_no_repair(tmp_path: Path) -> None:
    async def work(storage: MultiBackendStorage) -> None:
        assert await storage.save("key", 1) == {"file": True}
        assert ((await storage.repair()).left, (await storage.verify_integrity()).consistency) == (0, 1.0)

    used(tmp_path, work, backends=["file"])
    assert not (tmp_path / "values.db").exists()


@pytest.mark.parametrize("backends", [[], ["sqlite", "redis"]])
def test_other_places_are_refused(backends: list[str]) -> None:
    with pytest.raises(StorageConfigurationError, match="sqlite, file"):
        MultiBackendStorage(backends)


def test_a_table_of_others_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "values.db") as connection:
        connection.execute("create table storage (key text primary key, value blob, serializer text)")
        connection.execute("insert into storage values ('key', x'80', 'pickle')")
    connection.close()

    async def work(storage: MultiBackendStorage) -> None:
        with pytest.raises(StorageError, match="the table storage has other columns"):
            await storage.load("key")

    used(tmp_path, work, backends=["sqlite"])
