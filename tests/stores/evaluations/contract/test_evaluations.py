"""What an evaluation is, and what becomes of it, in every place."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from database.core.errors import Conflict
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from stores.evaluations.core import Evaluations
from stores.evaluations.meaning.statuses import WrongStep

HOSTILE = [
    *("../../escaped", "..", "/", "a/b", "a_b", "a:b", "a", "A", "a%", "%2F", "\\", "~1"),
    *("a\0b", "a\x01b", "\n", "é", "e\u0301", "\U0001f600", "'; drop table evaluations; --", "x" * 255),
]


def test_an_evaluation_is_what_was_created(evaluations: Evaluations) -> None:
    code = "print('Héllo')\n"
    made = evaluations.create("eval-123", code, {"tags": ["a"], "nested": {"n": 1}})
    found = evaluations.get("eval-123")
    assert found == made
    assert (made.code, made.status, made.metadata) == (code, "queued", {"tags": ["a"], "nested": {"n": 1}})
    assert (made.code_hash, made.code_size) == (sha256(code.encode()).hexdigest(), len(code.encode()))
    assert (made.output, made.output_size, made.started_at, made.completed_at) == (None, None, None, None)
    assert evaluations.get("another") is None
    (submitted,) = evaluations.events("eval-123")
    assert (submitted.event_type, submitted.metadata) == ("submitted", {"code_hash": made.code_hash})


def test_an_id_is_taken_once(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    with pytest.raises(Conflict, match="there is an evaluation 'a' already"):
        evaluations.create("a", "2")
    found = evaluations.get("a")
    assert found is not None
    assert found.code == "1"
    assert len(evaluations.events("a")) == 1


def test_ids_are_any_text_and_are_kept_apart(evaluations: Evaluations) -> None:
    for number, id_ in enumerate(HOSTILE):
        evaluations.create(id_, str(number))
        if number % 3 == 0:
            evaluations.add_event(id_, "log", str(number))
    assert [one.code for id_ in HOSTILE if (one := evaluations.get(id_))] == list(map(str, range(len(HOSTILE))))
    for number, id_ in enumerate(HOSTILE):
        assert [event.message for event in evaluations.events(id_)][1:] == ([] if number % 3 else [str(number)])
    assert {one.id for one in evaluations.every()} == set(HOSTILE)
    assert evaluations.delete("a")
    assert evaluations.count() == len(HOSTILE) - 1


def test_a_run_has_its_times_and_its_events(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    running = evaluations.update("a", status="running")
    ended = evaluations.update("a", status="completed", output="Hello", error="")
    assert running.started_at == ended.started_at is not None
    assert ended.completed_at is not None
    assert ended.runtime_ms == (ended.completed_at - ended.started_at).total_seconds() * 1000 // 1
    assert (ended.output, ended.output_size, ended.output_truncated) == ("Hello", 5, False)
    assert (ended.error, ended.error_size) == ("", 0)
    assert evaluations.get("a") == ended
    steps = [event.metadata for event in evaluations.events("a") if event.event_type == "status_changed"]
    assert steps == [
        {"old_status": "queued", "new_status": "running"},
        {"old_status": "running", "new_status": "completed"},
    ]


@pytest.mark.parametrize("end", ["completed", "cancelled"])
def test_a_queued_one_may_end_and_stays_as_it_is(evaluations: Evaluations, end: str) -> None:
    evaluations.create("a", "1")
    ended = evaluations.update("a", status=end, output="x")
    assert (ended.status, ended.runtime_ms, ended.started_at) == (end, None, None)
    for status in ("queued", "running", "failed"):
        with pytest.raises(WrongStep, match=f"is {end} and cannot become {status}"):
            evaluations.update("a", status=status, metadata={"lost": True})
    with pytest.raises(Conflict, match=f"is {end} and has its output"):
        evaluations.update("a", output="y")
    assert evaluations.get("a") == ended
    # What it has none of may come late.
    assert evaluations.update("a", error="late", metadata={"note": 1}).error == "late"


def test_a_wrong_step_is_refused(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    evaluations.update("a", status="running")
    with pytest.raises(WrongStep, match="is running and cannot become queued: it can become completed"):
        evaluations.update("a", status="queued")
    with pytest.raises(InvalidQuery, match="status must be one of queued, running"):
        evaluations.update("a", status="done")
    with pytest.raises(NotFound, match="there is no evaluation 'b'"):
        evaluations.update("b", status="running")
    assert evaluations.update("a", status="running").etag == evaluations.update("a").etag


def test_metadata_is_merged_and_keeps_its_types(evaluations: Evaluations) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    given: dict[str, Any] = {"custom": 1, "at": at, "price": Decimal("1.50"), "$type": "x", "list": [1, [2.5], None]}
    evaluations.create("a", "1", given)
    evaluations.update("a", metadata={"custom": 2, "more": {"é": True}})
    found = evaluations.get("a")
    assert found is not None
    assert found.metadata == {**given, "custom": 2, "more": {"é": True}}
    evaluations.add_event("a", "log", "m", {"at": at})
    assert evaluations.events("a")[-1].metadata == {"at": at}


def test_an_update_may_expect_a_version(evaluations: Evaluations) -> None:
    first = evaluations.create("a", "1")
    second = evaluations.update("a", metadata={"n": 1}, expected=first.etag)
    with pytest.raises(Conflict, match="was changed or deleted"):
        evaluations.update("a", metadata={"n": 2}, expected=first.etag)
    with pytest.raises(Conflict):
        evaluations.put_output("a", "output", [b"x"], expected=first.etag)
    assert evaluations.get("a") == second


def test_a_deletion_takes_everything_along(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    evaluations.add_event("a", "log", "m")
    evaluations.record_metric("a", "memory", 1)
    evaluations.put_output("a", "output", [b"x" * 3_000_000])
    assert (evaluations.delete("a"), evaluations.delete("a"), evaluations.get("a")) == (True, False, None)
    for call in (
        lambda: evaluations.events("a"),
        lambda: evaluations.metrics("a"),
        lambda: evaluations.output("a"),
        lambda: evaluations.add_event("a", "log", "m"),
        lambda: evaluations.record_metric("a", "memory", 1),
    ):
        with pytest.raises(NotFound, match="there is no evaluation 'a'"):
            call()
    assert evaluations.blobs is not None
    assert list(evaluations.blobs.keys("outputs/")) == []
    evaluations.create("a", "2")
    assert [event.event_type for event in evaluations.events("a")] == ["submitted"]
    assert evaluations.metrics("a") == []
