"""What a database deletes or changes with a deleted record: nothing of it is lost on the way to the other side."""

from __future__ import annotations

from typing import Any

import pytest

from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from tests.integration.sync.rings.conftest import Pair
from tests.integration.sync.support import journal


@pytest.fixture(autouse=True)
def teams(pair: Pair) -> None:
    """Two teams with a note, an answer to it, and a badge each, on both sides."""
    with as_application():
        pair.first.run(Insert("teams", [{"id": name, "name": name} for name in "ab"]))
        pair.first.run(Insert("notes", [{"id": name, "body": "old", "team_id": name} for name in "ab"]))
        answers = [{"id": f"0 {name}", "body": "old", "team_id": name, "under": name} for name in "ab"]
        pair.first.run(Insert("notes", answers))
        pair.first.run(Insert("badges", [{"id": name, "team_id": name} for name in "ab"]))
    pair.sync()


def _delete(pair: Pair) -> None:
    with as_application():
        pair.first.run(Delete("teams", "a"))


def test_what_was_moved_to_the_record_goes_with_a_row_in_the_journal(pair: Pair) -> None:
    _delete(pair)
    with as_application():
        pair.second.run(Update("notes", {"team_id": "a", "body": "moved"}, "b"))
        pair.second.run(Update("badges", {"team_id": "a", "body": "moved"}, "b"))
    pair.sync()
    rows = pair.rows(pair.first)
    assert rows["notes"] == []
    assert [(row["id"], row["body"], row["team_id"]) for row in rows["badges"]] == [
        ("a", None, None),
        ("b", "moved", None),
    ]
    lost = {entry["record_id"]: entry for entry in _journal(pair)}
    assert (lost["b"]["rule"], lost["b"]["second_row"]["body"], lost["b"]["result"]) == ("cascade", "moved", None)


def _one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("FIRST", "LARGEST"):
        monkeypatch.setattr(f"database.sync.chunks.{size}", 1)


def _journal(pair: Pair) -> list[dict[str, Any]]:
    with as_application():
        return journal(pair.first, pair.second)


def test_what_goes_with_a_record_goes_on_the_other_side_without_a_conflict(pair: Pair) -> None:
    _delete(pair)
    pair.sync()
    rows = pair.rows(pair.second)
    assert [row["id"] for row in rows["notes"]] == ["0 b", "b"]
    assert [row["team_id"] for row in rows["badges"]] == [None, "b"]
    assert _journal(pair) == []


def test_what_is_new_on_the_other_side_goes_with_a_row_in_the_journal(pair: Pair) -> None:
    _delete(pair)
    with as_application():
        pair.second.run(Insert("notes", [{"id": "new", "body": "there", "team_id": "a"}]))
        pair.second.run(Insert("notes", [{"id": "under", "body": "answer", "team_id": "b", "under": "new"}]))
        pair.second.run(Insert("badges", [{"id": "new", "body": "there", "team_id": "a"}]))
    pair.sync()
    rows = pair.rows(pair.first)
    assert [row["id"] for row in rows["notes"]] == ["0 b", "b"]
    assert [(row["id"], row["team_id"]) for row in rows["badges"]] == [("a", None), ("b", "b"), ("new", None)]
    lost = {(entry["table_name"], entry["record_id"]): entry for entry in _journal(pair)}
    assert lost.keys() == {("notes", "new"), ("notes", "under")}
    assert {entry["rule"] for entry in lost.values()} == {"cascade"}
    assert lost["notes", "new"]["second_row"]["body"] == "there"
    assert (lost["notes", "new"]["first_row"], lost["notes", "new"]["result"]) == (None, None)


def test_what_was_changed_on_the_other_side_goes_with_a_row_in_the_journal(pair: Pair) -> None:
    _delete(pair)
    with as_application():
        pair.second.run(Update("notes", {"body": "there"}, "0 a"))
    pair.sync()
    assert [row["id"] for row in pair.rows(pair.first)["notes"]] == ["0 b", "b"]
    assert [entry["second_row"]["body"] for entry in _journal(pair)] == ["there"]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_was_moved_before_stays(pair: Pair, one_by_one: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if all records are compared, where the deleted one comes first."""
    if one_by_one:
        _one_by_one(monkeypatch)
    with as_application(), pair.first.transaction():
        pair.first.run(Update("notes", {"team_id": "b", "body": "moved"}, "a"))
        pair.first.run(Update("notes", {"team_id": "b"}, "0 a"))
        pair.first.run(Update("badges", {"team_id": "b"}, "a"))
        pair.first.run(Delete("teams", "a"))
    before = pair.rows(pair.first)
    pair.sync()
    assert pair.rows(pair.second) == before
    assert [row["id"] for row in before["notes"]] == ["0 a", "0 b", "a", "b"]
    assert _journal(pair) == []


@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_cannot_be_moved_keeps_the_record(pair: Pair, one_by_one: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note moves to a team that cannot be copied, because its name is taken there."""
    if one_by_one:
        _one_by_one(monkeypatch)
    with as_application():
        pair.second.run(Insert("teams", [{"id": "there", "name": "c"}]))
        with pair.first.transaction():
            pair.first.run(Insert("teams", [{"id": "here", "name": "c"}]))
            pair.first.run(Update("notes", {"team_id": "here"}, "a"))
            pair.first.run(Update("notes", {"team_id": "b"}, "0 a"))
            pair.first.run(Delete("teams", "a"))
    manager = pair.manager()
    assert not manager.sync_all()
    failures = {(one["table"], one["id"]): one["reason"] for one in manager.get_sync_status()["failures"]}
    assert failures.keys() == {("teams", "here"), ("teams", "there"), ("teams", "a"), ("notes", "a")}
    reason = "record 'a' of table 'notes' refers to it and" if one_by_one else "it waits for record 'here' of table"
    assert failures["teams", "a"].startswith(f"ConstraintViolated: {reason}")
    assert "a" in [row["id"] for row in pair.rows(pair.second)["notes"]]
    with as_application():
        pair.second.run(Update("teams", {"name": "another"}, "there"))
    pair.sync()
    assert _journal(pair) == []
