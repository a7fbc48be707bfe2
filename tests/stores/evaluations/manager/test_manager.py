"""The storage manager: called and awaited, its cache, and what the environment makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from database.backends.memory import MemoryAdapter
from storage.asynchronous.single import FileStorage
from storage.backends.memory import MemoryEntries
from storage.core.errors import StorageConfigurationError
from storage.core.store import Store
from stores import DatabaseStorage
from stores import FlexibleStorageManager
from stores import InMemoryStorage
from stores import StorageConfig
from stores import create_storage_manager
from stores.evaluations.core import Evaluations
from stores.evaluations.manager.cache import EvaluationCache
from stores.evaluations.places.on_stores import EvaluationsInStore
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over
from tests.stores.evaluations.places import SCHEMA
from tests.stores.evaluations.services import JsonService


def test_it_is_called_or_awaited() -> None:
    manager = FlexibleStorageManager(InMemoryStorage())
    assert manager.create_evaluation("a", "1") is True
    assert manager.get_evaluation("b") is None

    async def awaited() -> None:
        assert await manager.update_evaluation("a", status="running") is True
        assert await manager.get_evaluation("b") is None
        assert (await manager.get_evaluation("a"))["status"] == "running"
        # Begun, although nobody awaits it.
        manager.add_event("a", "log", "1")
        await asyncio.gather(*(manager.add_event("a", "log", str(number)) for number in range(5)))

    asyncio.run(awaited())
    assert len(manager.get_events("a")) == 8


def test_all_that_it_offers(tmp_path: Path) -> None:
    adapter = MemoryAdapter(schema=SCHEMA)
    manager = FlexibleStorageManager(DatabaseStorage(adapter), FileStorage(str(tmp_path)), InMemoryStorage())
    large = "x" * 2_000_000
    for number in range(3):
        manager.create_evaluation(f"e{number}", f"print({number})", n=number)
    manager.update_evaluation("e1", status="running")
    manager.update_evaluation("e1", status="completed", output=large, error=b"\0\xff", m=1)
    found = manager.get_evaluation("e1")
    assert (found["output"], found["output_size"], found["output_truncated"]) == ("x" * 1024, 2_000_000, True)
    assert found["metadata"] == {"n": 1, "m": 1}
    assert (manager.get_output("e1"), manager.get_output("e1", "error")) == (large.encode(), b"\0\xff")
    assert [one["id"] for one in manager.list_evaluations()] == ["e2", "e1", "e0"]
    assert [one["id"] for one in manager.list_evaluations(limit=3, status="completed")] == ["e1"]
    assert [one["id"] for one in manager.list_evaluations(limit=1, offset=2)] == ["e0"]
    assert [one["id"] for one in manager.search_evaluations("PRINT(2", status="queued")] == ["e2"]
    assert (manager.count_evaluations(), manager.count_evaluations("queued")) == (3, 2)
    assert manager.get_statistics()["success_rate"] == 1
    manager.record_metric("e1", "memory", 7, "MiB")
    assert [(one["name"], one["value"], one["unit"]) for one in manager.get_metrics("e1")] == [("memory", 7, "MiB")]
    assert manager.get_aggregates("e1")["memory"]["mean"] == 7
    assert [event["type"] for event in manager.get_events("e1")] == ["submitted", "status_changed", "status_changed"]
    # Outputs are files, beside the database.
    assert Store(FileStorage(str(tmp_path)).store.backend).count("outputs/") == 2
    assert (manager.delete_evaluation("e1"), manager.delete_evaluation("e1")) == (True, False)
    assert Store(FileStorage(str(tmp_path)).store.backend).count() == 0


def test_the_cache_answers_and_is_never_behind_this_process() -> None:
    primary, cache = Faulty(), Store(MemoryEntries())
    manager = FlexibleStorageManager(over(primary), None, cache)
    manager.create_evaluation("a", "1")
    manager.update_evaluation("a", status="running")
    with primary.down():
        assert manager.get_evaluation("a")["status"] == "running"
    # Another process; then a write of this one, which must not be based on what the cache has.
    Evaluations(EvaluationsInStore(over(primary))).update("a", metadata={"theirs": 1})
    manager.update_evaluation("a", ours=1)
    assert manager.get_evaluation("a")["metadata"] == {"theirs": 1, "ours": 1}
    assert manager.delete_evaluation("a")
    assert manager.get_evaluation("a") is None
    manager.create_evaluation("a", "2")
    assert manager.get_evaluation("a")["code"] == "2"


def test_what_was_read_before_a_write_is_not_kept_after_it() -> None:
    cache = EvaluationCache(Store(MemoryEntries()))
    evaluations = Evaluations(EvaluationsInStore(Store(MemoryEntries())))
    evaluations.create("a", "1")
    before = evaluations.records.get("a")
    evaluations.update("a", status="running")
    after = evaluations.records.get("a")
    assert before is not None
    assert after is not None
    cache.keep(after)
    cache.keep(before)
    assert cache.get("a") == after
    cache.gone(after)
    cache.keep(after)
    assert cache.get("a") is None


def test_a_cache_that_fails_is_none() -> None:
    broken = Faulty()
    manager = FlexibleStorageManager(InMemoryStorage(), None, over(broken))
    with broken.down():
        manager.create_evaluation("a", "1")
        assert manager.get_evaluation("a")["code"] == "1"


def test_a_place_of_ones_own_is_as_good_a_primary(tmp_path: Path) -> None:
    manager = FlexibleStorageManager(JsonService(), FileStorage(str(tmp_path)), InMemoryStorage())
    manager.create_evaluation("a", "1")
    manager.update_evaluation("a", status="completed", output="x" * 2_000_000)
    assert len(manager.get_output("a")) == 2_000_000
    with pytest.raises(StorageConfigurationError, match="fallback_storage must be a DatabaseStorage, a FileStorage"):
        FlexibleStorageManager(InMemoryStorage(), JsonService())
    with pytest.raises(StorageConfigurationError, match=r"a place for evaluations is .* not str"):
        FlexibleStorageManager("./data")


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({}, "data/storage"),
        ({"ENVIRONMENT": "staging", "FILE_STORAGE_PATH": "mine"}, "mine"),
        ({"DATABASE_URL": "sqlite:///x.db"}, "data/storage"),
        ({"ENVIRONMENT": "testing"}, None),
    ],
)
def test_the_environment_decides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environ: dict[str, str], folder: str | None
) -> None:
    _with(monkeypatch, tmp_path, environ)
    manager = create_storage_manager()
    manager.create_evaluation("a", "1")
    assert manager.get_evaluation("a")["status"] == "queued"
    assert sorted(path.name for path in tmp_path.iterdir()) == ([] if folder is None else [folder.partition("/")[0]])
    assert folder is None or (tmp_path / folder).is_dir()


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"LARGE_FILE_THRESHOLD": "0"}, "LARGE_FILE_THRESHOLD"),
        ({"PREFER_DATABASE": "perhaps"}, "PREFER_DATABASE"),
        ({"DATABASE_URL": "mysql://secret@host/x", "ENVIRONMENT": "production"}, "DATABASE_URL"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environ: dict[str, str], names: str
) -> None:
    _with(monkeypatch, tmp_path, environ)
    with pytest.raises(StorageConfigurationError, match=names) as raised:
        create_storage_manager()
    assert "secret" not in str(raised.value)


def test_a_smaller_threshold_applies() -> None:
    config = StorageConfig(file_storage_path=Path("unused"), large_file_threshold=10)
    managed: Any = config.model_copy(update={"use_memory": True}).manager()
    assert isinstance(managed, FlexibleStorageManager)
    assert config.manager().evaluations.records.inline == 10


def _with(monkeypatch: pytest.MonkeyPatch, folder: Path, environ: dict[str, str]) -> None:
    for name in ("ENVIRONMENT", "DATABASE_URL", "FILE_STORAGE_PATH", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(folder)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
