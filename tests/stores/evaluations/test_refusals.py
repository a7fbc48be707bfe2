"""What callers may not give: refused with the name of the field, and nothing is changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from database.core.errors import InvalidQuery
from storage.backends.memory import MemoryEntries
from storage.core.store import Store
from stores.evaluations.core import Evaluations
from stores.evaluations.places.on_stores import EvaluationsInStore


@pytest.fixture
def evaluations() -> Evaluations:
    store = Store(MemoryEntries())
    return Evaluations(EvaluationsInStore(store), store)


@pytest.mark.parametrize("id_", ["", "x" * 256, "\0" * 128, "\ud800", 7, None])
def test_what_is_no_id_is_refused(evaluations: Evaluations, id_: Any) -> None:
    with pytest.raises(InvalidQuery, match=r"id must be text|half of a surrogate"):
        evaluations.create(id_, "1")
    assert evaluations.count() == 0


@pytest.mark.parametrize("metadata", [{"a": object()}, {1: 2}, {"a": "x" * 70_000}, {"a": "\0"}, [1]])
def test_metadata_that_is_none_is_refused(evaluations: Evaluations, metadata: Any) -> None:
    evaluations.create("a", "1")
    for call in (
        lambda: evaluations.create("b", "1", metadata),
        lambda: evaluations.update("a", metadata=metadata),
        lambda: evaluations.add_event("a", "log", "m", metadata),
    ):
        with pytest.raises(InvalidQuery):
            call()
    assert [one.id for one in evaluations.every()] == ["a"]
    assert len(evaluations.events("a")) == 1


@pytest.mark.parametrize(
    ("type_", "message", "field"),
    [("", "m", "type"), ("x" * 65, "m", "type"), ("log", None, "message"), ("log", "a\0", "message"), (1, "m", "type")],
)
def test_what_is_no_event_is_refused(evaluations: Evaluations, type_: Any, message: Any, field: str) -> None:
    evaluations.create("a", "1")
    with pytest.raises(InvalidQuery, match=rf"^{field} must"):
        evaluations.add_event("a", type_, message)
    assert len(evaluations.events("a")) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None, True, 10**400])
def test_a_metric_is_a_finite_number(evaluations: Evaluations, value: Any) -> None:
    evaluations.create("a", "1")
    with pytest.raises(InvalidQuery, match=r"^value must be a finite number"):
        evaluations.record_metric("a", "memory", value)
    assert evaluations.metrics("a") == []


@pytest.mark.parametrize("limit", [0, -1, 1_001, True, "1"])
def test_limits_are_checked(evaluations: Evaluations, limit: Any) -> None:
    evaluations.create("a", "1")
    for call in (evaluations.events, evaluations.metrics):
        with pytest.raises(InvalidQuery, match=r"^limit must be an integer from 1 to 1,000"):
            call("a", limit=limit)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "done"),
        ("status", ["queued", 1]),
        ("text", "x" * 401),
        ("text", 1),
        ("since", "2026-01-01"),
        ("until", datetime(2026, 1, 1)),  # noqa: DTZ001  # that is what is refused
        ("cursor", "x"),
        ("cursor", "WzEsMl0="),
        ("limit", 0),
        ("metadata", {"a": object()}),
    ],
)
def test_what_is_no_filter_is_refused(evaluations: Evaluations, field: str, value: Any) -> None:
    with pytest.raises(InvalidQuery, match=rf"^{field} "):
        evaluations.page(**{field: value})
