"""Events and metrics, which are appended and never changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from stores.evaluations.core import Evaluations

WRITERS = 4
EACH = 5
LOW = -(2.0**60)


def test_events_are_read_in_their_order_and_on_from_one(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    made = [evaluations.add_event("a", "step", str(number), {"n": number}) for number in range(5)]
    evaluations.update("a", status="running")
    last = evaluations.add_event("a", "step", "5")
    found = evaluations.events("a")
    assert found[1:6] == made
    assert [event.event_type for event in found] == ["submitted", *["step"] * 5, "status_changed", "step"]
    assert evaluations.events("a", limit=3) == found[:3]
    assert evaluations.events("a", after=found[2].id) == found[3:]
    assert evaluations.events("a", after=last.id) == []


def test_writers_at_once_lose_nothing_and_each_keeps_its_order(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")

    def write(writer: int) -> None:
        for number in range(EACH):
            evaluations.add_event("a", str(writer + 1), str(number))
            evaluations.update("a", metadata={f"{writer}": number})

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    events = evaluations.events("a")
    assert len(events) == 1 + WRITERS * EACH
    for writer in range(WRITERS):
        assert [int(one.message) for one in events if one.event_type == str(writer + 1)] == list(range(EACH))
    assert all(first.id < second.id for first, second in pairwise(events))
    found = evaluations.get("a")
    assert found is not None
    assert found.metadata == {str(writer): EACH - 1 for writer in range(WRITERS)}


def test_logs_are_events_of_any_length(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    text = "é" * 70_000
    evaluations.logs("a", text)
    logged = [event.message for event in evaluations.events("a") if event.event_type == "log"]
    assert (len(logged), "".join(logged)) == (2, text)
    assert evaluations.logs("a", "") == []


def test_metrics_are_series_with_aggregates(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    made = [evaluations.record_metric("a", "memory", value, "MiB") for value in (2.5, 1, 4)]
    steps = evaluations.record_metric("a", "steps", LOW)
    assert evaluations.metrics("a") == [*made, steps]
    assert evaluations.metrics("a", name="memory", after=made[0].id, limit=1) == made[1:2]
    assert evaluations.aggregates("a") == {
        "memory": {"count": 3, "min": 1, "max": 4, "mean": 2.5, "sum": 7.5, "last": 4},
        "steps": {"count": 1, "min": LOW, "max": LOW, "mean": LOW, "sum": LOW, "last": LOW},
    }
    evaluations.create("b", "1")
    assert (evaluations.metrics("b"), evaluations.aggregates("b")) == ([], {})
