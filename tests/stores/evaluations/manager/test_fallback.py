"""What becomes of writes and reads while the primary place is out of reach, and afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from database.core.errors import Conflict
from database.core.errors import NotFound
from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.core.errors import StorageConnectionError
from storage.core.store import Store
from stores import FlexibleStorageManager
from stores.evaluations.core import Evaluations
from stores.evaluations.manager.journal import Write
from stores.evaluations.manager.replay import carry_out
from stores.evaluations.meaning.statuses import WrongStep
from stores.evaluations.places.on_stores import EvaluationsInStore
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over


@pytest.fixture
def primary() -> Faulty:
    return Faulty()


@pytest.fixture
def manager(primary: Faulty, tmp_path: Path) -> FlexibleStorageManager:
    return another(primary, tmp_path)


def another(primary: Faulty, folder: Path) -> FlexibleStorageManager:
    """The manager of another process, with the same places."""
    return FlexibleStorageManager(over(primary), Store(FileEntries(folder)), Store(MemoryEntries()))


def in_primary(primary: Faulty) -> Evaluations:
    return Evaluations(EvaluationsInStore(over(primary)))


def test_what_is_written_during_an_outage_is_known_and_arrives(
    primary: Faulty, manager: FlexibleStorageManager, tmp_path: Path
) -> None:
    manager.create_evaluation("known", "1", a=1)
    with primary.down():
        assert manager.create_evaluation("new", "print(1)", suite="s")
        assert manager.update_evaluation("new", status="running")
        assert manager.update_evaluation("new", status="completed", output="Hello", b=2)
        assert manager.update_evaluation("known", status="running", b=2)
        assert manager.add_event("known", "log", "1")
        assert manager.record_metric("new", "memory", 7)
        during = manager.get_evaluation("new")
        assert (during["status"], during["output"], during["metadata"]) == (
            "completed",
            "Hello",
            {"suite": "s", "b": 2},
        )
        assert manager.get_evaluation("known")["status"] == "running"
        events = manager.get_events("new")
        assert [event["type"] for event in events] == ["submitted", "status_changed", "status_changed"]
        with pytest.raises(StorageConnectionError):
            manager.get_events("known")
    assert manager.pending() == 6
    # Another process comes first.
    other = another(primary, tmp_path)
    after = other.get_evaluation("new")
    assert {name: after[name] for name in during if name not in {"etag", "updated_at"}} == {
        name: value for name, value in during.items() if name not in {"etag", "updated_at"}
    }
    assert other.get_events("new") == events
    assert [event["type"] for event in other.get_events("known")] == ["submitted", "status_changed", "log"]
    assert in_primary(primary).aggregates("new")["memory"]["last"] == 7
    assert (other.pending(), manager.pending(), manager.refused()) == (0, 0, [])
    assert manager.get_evaluation("known")["metadata"] == {"a": 1, "b": 2}
    assert Store(FileEntries(tmp_path)).count() == 0


def test_what_nobody_has_acknowledged_is_nowhere(primary: Faulty, tmp_path: Path) -> None:
    cache = Store(MemoryEntries())
    manager = FlexibleStorageManager(over(primary), None, cache)
    with primary.down(), pytest.raises(StorageConnectionError):
        manager.create_evaluation("phantom", "1")
    assert manager.get_evaluation("phantom") is None
    assert list(cache.keys()) == []


def test_what_cannot_be_known_is_an_error_and_no_guess(primary: Faulty, manager: FlexibleStorageManager) -> None:
    in_primary(primary).create("unknown", "1")
    with primary.down():
        calls: list[Callable[[], object]] = [
            lambda: manager.get_evaluation("unknown"),
            lambda: manager.update_evaluation("unknown", status="running"),
            lambda: manager.delete_evaluation("unknown"),
            manager.list_evaluations,
            manager.count_evaluations,
            manager.get_statistics,
        ]
        for call in calls:
            with pytest.raises(StorageConnectionError):
                call()
        # What needs no knowledge is kept.
        assert manager.add_event("unknown", "log", "1")
    assert [event["type"] for event in manager.get_events("unknown")] == ["submitted", "log"]


def test_a_refused_write_is_refused_at_once(manager: FlexibleStorageManager, primary: Faulty) -> None:
    with primary.down():
        manager.create_evaluation("a", "1")
        with pytest.raises(Conflict, match="there is an evaluation 'a' already"):
            manager.create_evaluation("a", "2")
        manager.update_evaluation("a", status="failed")
        with pytest.raises(WrongStep, match="is failed and cannot become running"):
            manager.update_evaluation("a", status="running")
    assert (manager.heal(), manager.refused()) == (2, [])


def test_what_the_primary_refuses_later_is_put_aside(primary: Faulty, manager: FlexibleStorageManager) -> None:
    manager.create_evaluation("a", "1")
    with primary.down():
        manager.update_evaluation("a", status="completed", output="ours")
        manager.create_evaluation("b", "ours")
        manager.add_event("never", "log", "1")
    theirs = in_primary(primary)
    theirs.update("a", status="cancelled")
    theirs.create("b", "theirs")
    assert manager.get_evaluation("a")["status"] == "cancelled"
    assert manager.get_evaluation("b")["code"] == "theirs"
    refused = manager.refused()
    assert [one["reason"].partition(" ")[0] for one in refused] == ["the", "there", "there"]
    assert refused[0]["row"]["output_preview"] == "ours"
    assert manager.pending() == 0


def test_a_deletion_arrives_too(primary: Faulty, manager: FlexibleStorageManager) -> None:
    manager.create_evaluation("a", "1")
    with primary.down():
        assert manager.delete_evaluation("a")
        with pytest.raises(StorageConnectionError):
            manager.get_evaluation("a")
    assert manager.get_evaluation("a") is None
    assert in_primary(primary).get("a") is None


def test_answers_that_are_lost_have_one_effect(primary: Faulty, manager: FlexibleStorageManager) -> None:
    manager.create_evaluation("a", "1")
    with primary.losing_answers():
        assert manager.create_evaluation("b", "1")
        assert manager.update_evaluation("a", status="running")
        assert manager.add_event("a", "log", "1")
    assert [event["type"] for event in manager.get_events("a")] == ["submitted", "status_changed", "log"]
    assert [event["type"] for event in manager.get_events("b")] == ["submitted"]
    assert manager.refused() == []


def test_carrying_out_twice_is_the_same_as_once() -> None:
    store = Store(MemoryEntries())
    evaluations = Evaluations(EvaluationsInStore(store), store)
    row = evaluations.records.get(evaluations.create("model", "1", {"a": 1}).id)
    assert row is not None
    plain = {name: value for name, value in row.items() if name not in {"uid", "history", "etag"}}
    event: dict[str, Any] = {**row["history"][0], "evaluation_id": "new", "id": "01"}
    step = {**event, "id": "02", "event_type": "status_changed"}
    log = {**event, "id": "03", "event_type": "log"}
    writes = [
        Write("insert", "new", {**plain, "id": "new"}, event),
        Write("change", "new", {"status": "running", "metadata": {"b": 2}}, step),
        Write("append", "new", log, None, "events"),
        Write("change", "new", {"metadata": {"c": 3}}),
        Write("change", "new", {"output_preview": "x", "output_size": 1, "output_type": "t", "output_s3_key": None}),
        Write("remove", "model", {"created_at": plain["created_at"]}),
    ]
    for write in writes:
        carry_out(evaluations.records, write)
        carry_out(evaluations.records, write)
    found = evaluations.get("new")
    assert found is not None
    assert (found.status, found.metadata, found.output) == ("running", {"a": 1, "b": 2, "c": 3}, "x")
    assert [one.id for one in evaluations.events("new")] == ["01", "02", "03"]
    assert evaluations.get("model") is None
    # A later evaluation with the same id is another one.
    evaluations.create("model", "2")
    carry_out(evaluations.records, writes[-1])
    assert evaluations.get("model") is not None
    assert evaluations.delete("model")
    with pytest.raises(NotFound):
        carry_out(evaluations.records, Write("change", "model", {"status": "running"}))
