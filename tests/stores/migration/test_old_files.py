"""Evaluations in the old layout of files become evaluations, and nothing of them is lost or changed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.stores.migration import migrate_old_data
from storage import FileEntries
from storage import StorageConfigurationError
from storage import Store
from stores.migration.evaluations import copy_evaluations
from stores.migration.old_files import old_evaluations
from tests.stores.migration.test_evaluations import LARGE
from tests.stores.migration.test_evaluations import in_store

ROOT = Path(__file__).parents[3]
WRONG = {"strange", "another", "torn", "listed", "events/nobody"}

DONE = {
    "id": "eval-1",
    "code": "print('Hello')",
    "code_hash": "?",
    "status": "completed",
    "engine": "docker",
    "created_at": "2024-05-01T10:00:00",
    "started_at": "2024-05-01T10:00:01+00:00",
    "output": LARGE,
    "completed_at": "2024-05-01T12:00:03+02:00",
    "runtime_ms": 2000,
    "code_lines": 1,
    "error": None,
}
EVENTS = [
    {"type": "submitted", "message": "Evaluation submitted", "timestamp": "2024-05-01T10:00:00", "code_hash": "?"},
    {"type": "status_changed", "message": "", "old_status": None, "new_status": "completed"},
    {"type": "log", "message": "same", "timestamp": "2024-05-01T10:00:02"},
    {"type": "log", "message": "same", "timestamp": "2024-05-01T10:00:02"},
]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "old"

    def write(kind: str, id_: str, value: Any) -> None:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"{id_}.json").write_text(json.dumps(value))

    write("evaluations", "eval-1", DONE)
    write("events", "eval-1", EVENTS)
    write("metadata", "eval-1", {"owner": "ada", "engine": "firecracker"})
    write("evaluations", "eval-2", {"status": "submitted", "code": "2"})
    write("evaluations", "strange", {"id": "strange", "status": "exploded"})
    write("evaluations", "another", {"id": "eval-1"})
    write("evaluations", "listed", {"id": "listed"})
    write("events", "listed", [{"type": "log", "metadata": ["no object"]}])
    write("events", "nobody", [])
    (folder / "evaluations" / "torn.json").write_text("{")
    return folder


def test_the_old_layout_is_read_as_it_was(old: Path) -> None:
    target = in_store()
    wrong: dict[str, str] = {}
    found = copy_evaluations(old_evaluations(old, wrong.__setitem__), target)
    assert (found.seen, found.moved, found.left, set(wrong)) == (2, 2, {}, WRONG)
    assert "status must be one of queued" in wrong["strange"]
    first, second = target.get("eval-1"), target.get("eval-2")
    assert first is not None
    assert second is not None
    assert (first.status, first.runtime_ms, first.error, first.output_size) == ("completed", 2000, None, len(LARGE))
    assert first.created_at == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert first.completed_at == datetime(2024, 5, 1, 10, 0, 3, tzinfo=UTC)
    assert first.metadata == {"engine": "firecracker", "owner": "ada", "code_lines": 1}
    assert b"".join(target.output("eval-1").chunks).decode() == LARGE
    assert (second.status, [one.event_type for one in target.events("eval-2")]) == ("queued", ["submitted"])
    events = target.events("eval-1")
    assert [one.message for one in events] == ["Evaluation submitted", "", "same", "same"]
    assert (events[1].metadata, events[2].timestamp.second) == ({"old_status": None, "new_status": "completed"}, 2)
    target.add_event("eval-1", "log", "new")
    assert target.events("eval-1")[-1].message == "new"
    again = copy_evaluations(old_evaluations(old, wrong.__setitem__), target)
    assert (again.moved, again.same) == (0, 2)


def test_another_folder_is_not_the_old_layout(tmp_path: Path) -> None:
    with pytest.raises(StorageConfigurationError, match="no folder"):
        list(old_evaluations(tmp_path, dict[str, str]().__setitem__))


def test_the_documented_command(old: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in old.rglob("*.json")}
    target = tmp_path / "new"

    words = ["--source", str(old), "--target", str(target), "--json"]

    def moved(*more: str) -> Any:
        done = CliRunner().invoke(migrate_old_data, [*words, *more])
        assert done.exit_code == 1, done.output
        return json.loads(done.output)["moved"]

    assert moved("--dry-run") == 2
    assert not target.exists()
    command = [sys.executable, "storage/migrate_old_data.py", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert set(json.loads(done.stdout)["left"]) == WRONG
    assert in_store(Store(FileEntries(target))).count(status="completed") == 1
    assert moved() == 0
    assert {path: path.read_bytes() for path in old.rglob("*.json")} == before
