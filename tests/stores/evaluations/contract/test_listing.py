"""Listings, searches and statistics."""

from __future__ import annotations

from datetime import timedelta
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest

from stores.evaluations.core import Evaluations
from tests.clocks import START
from tests.clocks import WallClock
from tests.stores.evaluations.places import EvaluationPlace

ENDS = ["completed", "failed", "completed", "timeout", "cancelled", "completed"]


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def evaluations(place: EvaluationPlace, tmp_path: Path, clock: WallClock) -> Evaluations:
    """Evaluations ``e0`` to ``e5``, a second apart, that have run for 0 to 5 seconds; ``e6`` runs, ``e7`` is queued."""
    made = Evaluations(*place.make(tmp_path), clock)
    for number in range(8):
        made.create(f"e{number}", f"print({number})", {"suite": "even" if number % 2 == 0 else "odd", "n": [number]})
        clock.advance(1)
    for number, end in enumerate(ENDS):
        clock.time = START + timedelta(hours=1)
        made.update(f"e{number}", status="running")
        clock.advance(number)
        made.update(
            f"e{number}", status=end, output=f"100% of {number}", error="Traceback" if end == "failed" else None
        )
    made.update("e6", status="running")
    return made


def ids(evaluations: Evaluations, **filters: Any) -> str:
    return "".join(one.id[1] for one in evaluations.page(**filters).evaluations)


def test_the_newest_come_first_and_filters_hold_before_the_limit(evaluations: Evaluations) -> None:
    page = evaluations.page()
    assert ids(evaluations) == "76543210"
    assert page.next_cursor is None
    first = page.evaluations[-1]
    assert (first.code, first.output, first.output_size) == (None, None, 9)
    assert first.metadata == {"suite": "even", "n": [0]}
    since, until = START + timedelta(seconds=2), START + timedelta(seconds=5)
    east = timezone(timedelta(hours=9))
    for filters, found in (
        ({"status": "completed"}, "520"),
        ({"status": ["failed", "timeout"]}, "31"),
        ({"status": []}, ""),
        ({"since": since}, "765432"),
        ({"since": since.astimezone(east)}, "765432"),
        ({"until": until, "since": since}, "432"),
        ({"metadata": {"suite": "odd"}}, "7531"),
        ({"metadata": {"n": [4]}, "status": "cancelled"}, "4"),
        ({"text": "PRINT(3"}, "3"),
        ({"text": "E6"}, "6"),
        ({"text": "100% of"}, "543210"),
        ({"text": "1_0%"}, ""),
        ({"text": "traceback"}, "1"),
    ):
        assert ids(evaluations, **filters) == found
        assert evaluations.count(**filters) == len(found)
        assert ids(evaluations, **filters, limit=2) == found[:2]


def test_pages_lead_on_while_others_write(evaluations: Evaluations) -> None:
    first = evaluations.page(limit=3)
    evaluations.create("new", "1")
    evaluations.delete("e4")
    second = evaluations.page(limit=3, cursor=first.next_cursor)
    third = evaluations.page(limit=3, cursor=second.next_cursor)
    assert [one.id for page in (first, second, third) for one in page.evaluations] == [
        *("e7", "e6", "e5", "e3", "e2", "e1", "e0"),
    ]  # fmt: skip
    assert third.next_cursor is None


def test_evaluations_of_one_moment_are_all_listed(evaluations: Evaluations) -> None:
    for number in range(5):
        evaluations.create(f"same{number}", "1")
    assert len({one.id for one in evaluations.every()}) == 13
    seen, cursor = [], None
    for _ in range(3):
        page = evaluations.page(limit=2, cursor=cursor)
        seen += [one.id for one in page.evaluations]
        cursor = page.next_cursor
    assert seen[:5] == [f"same{number}" for number in (4, 3, 2, 1, 0)]


def test_statistics(evaluations: Evaluations) -> None:
    found = evaluations.statistics()
    assert found["total"] == 8
    assert found["by_status"] == {
        "queued": 1, "running": 1, "completed": 3, "failed": 1, "timeout": 1, "cancelled": 1,
    }  # fmt: skip
    assert found["success_rate"] == 0.6
    assert found["runtime_ms"] == {
        "count": 6, "min": 0, "max": 5_000, "mean": 2_500, "p50": 2_000, "p90": 5_000, "p95": 5_000, "p99": 5_000,
    }  # fmt: skip
    odd = evaluations.statistics(metadata={"suite": "odd"})
    assert (odd["total"], odd["success_rate"], odd["runtime_ms"]["p50"]) == (4, 1 / 3, 3_000)
    none = evaluations.statistics(text="nothing")
    assert (none["total"], none["success_rate"], none["runtime_ms"]["p50"]) == (0, None, None)
