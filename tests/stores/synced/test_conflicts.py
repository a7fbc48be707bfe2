"""Two changes of one record, on both sides: one of them stays as a whole, or what belongs together does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from database.backends.memory import MemoryAdapter
from database.core.context import as_application
from database.core.operations import Get
from storage import MemoryEntries
from storage import Store
from tests.stores.synced.conftest import SCHEMA
from tests.stores.synced.conftest import Side
from tests.stores.synced.conftest import sqlite
from tests.stores.synced.conftest import sync


@pytest.fixture
def near_sides(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    blobs = Store(MemoryEntries())
    with ExitStack() as closing, as_application():
        yield Side(sqlite(request, tmp_path, closing), blobs), Side(MemoryAdapter(schema=SCHEMA), blobs)


def merge(sides: tuple[Side, Side]) -> None:
    sync(*sides, conflict_resolution="merge")


def test_a_record_of_experiments_stays_as_a_whole(near_sides: tuple[Side, Side]) -> None:
    first, second = (side.experiments for side in near_sides)
    first.save("episode:\0é", {"reward": 0.5, "bytes": b"\xff"})
    first.save("run:r", {"status": "started", "system_name": "a", "algorithm_name": "a"})
    merge(near_sides)
    assert second.load("episode:\0é") == {"reward": 0.5, "bytes": b"\xff"}
    first.save("run:r", {"status": "completed", "system_name": "a", "algorithm_name": "a"})
    second.save("run:r", {"status": "started", "system_name": "b", "algorithm_name": "a"})
    second.delete("episode:\0é")
    merge(near_sides)
    record = first.load("run:r")
    assert record == second.load("run:r")
    assert first.list_keys() == second.list_keys() == ["run:r"]
    for side in near_sides:
        row = side.adapter.run(Get("optimization_runs", "r")).first
        assert row is not None
        assert {name: row[name] for name in record} == record


def test_a_state_stays_with_its_time(near_sides: tuple[Side, Side]) -> None:
    first, second = clients = [side.agents for side in near_sides]
    for name in ("0", "1"):
        first.save_state("a", name, {"timestamp": "2026-01-01T00:00:00", "v": 0})
    merge(near_sides)
    # Each side changes both values, and the time of one.
    for number, client in enumerate(clients):
        for name in ("0", "1"):
            client.save_state("a", name, {"timestamp": f"2026-01-0{1 + (name == str(number))}T00:00:00", "v": number})
    merge(near_sides)
    for side in near_sides:
        for row in side.rows()["agent_states"]:
            assert row["timestamp"].isoformat() == row["state"]["timestamp"]
    assert [first.get_state("a", name) for name in "01"] == [second.get_state("a", name) for name in "01"]


@pytest.mark.parametrize("strategy", ["last_modified", "merge"])
def test_of_two_states_the_last_one_stays(near_sides: tuple[Side, Side], strategy: str) -> None:
    first, second = (side.agents for side in near_sides)
    for values in ((0, 1), (1, 0)):
        for name, (earlier, later) in (("f", (second, first)), ("s", (first, second))):
            for client, value in zip((earlier, later), values, strict=True):
                client.save_state("a", name, {"v": value})
        sync(*near_sides, conflict_resolution=strategy)
        assert [first.get_state("a", name) for name in "fs"] == [{"v": values[1]}, {"v": values[1]}]
        assert near_sides[0].rows() == near_sides[1].rows()


def test_an_evaluation_has_the_times_of_its_status_and_the_size_of_its_output(near_sides: tuple[Side, Side]) -> None:
    first, second = (side.evaluations for side in near_sides)
    first.create("e", "1")
    merge(near_sides)
    second.update("e", status="running")
    first.update("e", status="completed", output="short")
    second.update("e", output="x" * 2_000)
    second.update("e", error="x", metadata={"seen": True})
    merge(near_sides)
    found = first.get("e")
    assert found == second.get("e")
    assert found is not None
    assert found.metadata == {"seen": True}
    assert (found.status == "running") == (found.completed_at is None)
    assert b"".join(first.output("e").chunks) in {b"short", b"x" * 2_000}
    assert first.output("e").size == len(b"".join(first.output("e").chunks))
