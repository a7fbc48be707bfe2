"""Old evaluations are moved to an archive, or deleted; those that have not ended stay."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from database.core.errors import Conflict
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from storage.backends.memory import MemoryEntries
from storage.core.store import Store
from stores import EvaluationRetention
from stores.evaluations.core import Evaluations
from tests.clocks import WallClock
from tests.stores.evaluations.places import EvaluationPlace

BYTES = bytes(range(256)) * 8_000


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def evaluations(place: EvaluationPlace, tmp_path: Path, clock: WallClock) -> Evaluations:
    """``e0`` to ``e3``, a day apart, of which the first three have ended."""
    made = Evaluations(*place.make(tmp_path), clock)
    for number in range(4):
        made.create(f"e{number}", "print(1)", {"n": number})
        if number < 3:
            made.update(f"e{number}", status="completed", output=BYTES if number == 0 else "Hello")
        clock.advance(86_400)
    made.add_event("e0", "log", "late")
    made.record_metric("e0", "memory", 7)
    return made


def test_what_has_ended_long_ago_is_moved_and_comes_back(evaluations: Evaluations, clock: WallClock) -> None:
    archive = Store(MemoryEntries())
    retention = EvaluationRetention(evaluations, max_age=timedelta(days=2.5), archive=archive)
    before, events, metrics = evaluations.get("e0"), evaluations.events("e0"), evaluations.metrics("e0")
    assert retention.apply(dry_run=True, now=clock()).ids == ["e1", "e0"]
    assert evaluations.count() == 4
    done = retention.apply(now=clock())
    assert (done.seen, done.ids, done.archived, done.deleted) == (3, ["e1", "e0"], 2, 0)
    assert [one.id for one in evaluations.every()] == ["e3", "e2"]
    assert evaluations.blobs is not None
    assert list(evaluations.blobs.keys("outputs/")) == []
    assert list(retention.archived()) == ["e0", "e1"]
    retention.restore("e0")
    after = evaluations.get("e0")
    assert before is not None
    assert after is not None
    known = {name: value for name, value in before.known().items() if name not in {"etag", "output_s3_key"}}
    assert {name: after.known()[name] for name in known} == known
    assert (evaluations.events("e0"), evaluations.metrics("e0")) == (events, metrics)
    assert b"".join(evaluations.output("e0").chunks) == BYTES
    assert list(archive.keys()) == ["archive/e1"]
    with pytest.raises(NotFound, match="no evaluation 'e0' in the archive"):
        retention.restore("e0")
    evaluations.create("e1", "another")
    with pytest.raises(Conflict, match="there is an evaluation 'e1' already"):
        retention.restore("e1")
    assert list(retention.archived()) == ["e1"]


def test_the_newest_stay(evaluations: Evaluations) -> None:
    retention = EvaluationRetention(evaluations, max_count=1)
    done = retention.apply()
    assert (done.ids, done.archived, done.deleted) == (["e1", "e0"], 0, 2)
    assert [one.id for one in evaluations.every()] == ["e3", "e2"]
    assert retention.apply().ids == []
    with pytest.raises(InvalidQuery, match="needs a max_age, a max_count"):
        EvaluationRetention(evaluations)
    with pytest.raises(InvalidQuery, match="has no archive"):
        retention.restore("e0")
