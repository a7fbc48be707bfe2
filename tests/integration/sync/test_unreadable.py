"""A record that cannot be read on one side waits for itself alone: nothing is taken for its deletion."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.query.filters import Where
from database.core.result import Row
from database.sync import SyncManager
from database.sync import failures as failures_module
from database.sync.failures import FAILURES
from database.sync.failures import Failures
from tests.integration.spoiled import SPOILED
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert

BAD = "infinity"
GOOD = "2030-01-01T00:00:00.000000Z"


class Spoiled(NamedTuple):
    """A database with another program that writes to it, and one beside it.

    :ivar move: gives a molecule, by its id, another ``updated_at``, past the adapter.
    """

    adapter: DatabaseAdapter
    other: DatabaseAdapter
    move: Callable[[str, str], object]
    manager: SyncManager


KINDS = [f"{kind} {place}" for kind in ("sqlite", "postgresql", "convex") for place in ("first", "second")]


@pytest.fixture(params=[*KINDS, "http second"])
def spoiled(request: pytest.FixtureRequest) -> Iterator[Spoiled]:
    kind, place = request.param.split()
    with ExitStack() as stack:
        adapter, move = SPOILED[kind](request, stack)
        stack.callback(adapter.disconnect)
        other = MemoryAdapter()
        sides = (adapter, other) if place == "first" else (other, adapter)
        yield Spoiled(adapter, other, move, SyncManager(*sides))


def names(adapter: DatabaseAdapter, table: str = "molecules") -> dict[str, str]:
    return {row["id"]: row["name"] for row in contents(adapter)[table]}


def failures(spoiled: Spoiled) -> list[tuple[str, str]]:
    return [(one["table"], one["id"]) for one in spoiled.manager.get_sync_status()["failures"]]


def change(adapter: DatabaseAdapter, record_id: str, **values: object) -> Row | None:
    with as_application():
        return adapter.run(Update("molecules", values, id=record_id)).first


def test_it_waits_alone_and_heals_by_itself(spoiled: Spoiled, caplog: pytest.LogCaptureFixture) -> None:
    for record_id in ("new", "odd", "well"):
        insert(spoiled.adapter, record_id)
    spoiled.move("new", BAD)
    assert not spoiled.manager.sync_all()
    spoiled.move("odd", BAD)
    change(spoiled.adapter, "well", name="changed here")
    insert(spoiled.other, "there")
    insert(spoiled.adapter, "p", "protocols")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert not spoiled.manager.sync_all()
    assert names(spoiled.adapter) == {"well": "changed here", "there": "there"}
    assert names(spoiled.other) == {"odd": "odd", "well": "changed here", "there": "there"}
    assert names(spoiled.other, "protocols") == {"p": "p"}
    assert sorted(failures(spoiled)) == [("molecules", "new"), ("molecules", "odd")]
    reasons = [one["reason"] for one in spoiled.manager.get_sync_status()["failures"]]
    assert all("column 'updated_at'" in reason for reason in reasons), reasons
    # Once for each of the two, and not once for each of four cycles.
    assert len([line for line in caplog.messages if "cannot be synced" in line]) == 2
    change(spoiled.other, "odd", name="changed there")
    assert not spoiled.manager.sync_all()
    spoiled.move("new", GOOD)
    spoiled.move("odd", "2020-01-01T00:00:00.000000Z")
    assert spoiled.manager.sync_all()
    assert failures(spoiled) == []
    assert contents(spoiled.adapter) == contents(spoiled.other)
    assert names(spoiled.adapter)["odd"] == "changed there"


def test_a_comparison_of_everything_takes_it_for_no_deletion(spoiled: Spoiled) -> None:
    insert(spoiled.adapter, "odd")
    insert(spoiled.adapter, "well")
    assert spoiled.manager.sync_all()
    spoiled.move("odd", BAD)
    with as_application():
        for side in (spoiled.adapter, spoiled.other):
            side.run(Delete("isthmus_sync_cursors", where=Where("id", "neq", "")))
    assert not spoiled.manager.sync_all()
    assert set(names(spoiled.other)) == {"odd", "well"}
    assert failures(spoiled) == [("molecules", "odd")]


@pytest.mark.parametrize("spoiled", ["sqlite first"], indirect=True)
def test_pages_of_what_sync_remembers_go_on_behind_what_cannot_be_read(
    spoiled: Spoiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures_module, "PAGE", 2)
    row = {"pair": spoiled.manager.pair.name, "table_name": "molecules", "reason": "for a reason"}
    with as_application():
        spoiled.adapter.run(Insert(FAILURES, [{**row, "id": name, "record_id": name} for name in "abcde"]))
    with closing(apsw.Connection(str(tmp_path / "synced.db"))) as file:
        file.execute(f"update {FAILURES} set reason = x'00' where id < 'd'")
    kept = Failures(spoiled.manager.pair)
    kept.load()
    assert kept.keys() == [("molecules", "d"), ("molecules", "e")]
