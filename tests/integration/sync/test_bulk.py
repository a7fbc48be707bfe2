"""Many records at once: in bulk, and one by one only what the bulk refused."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.sync import SyncManager
from tests.integration.sync.conftest import _sqlite
from tests.integration.sync.conftest import _supabase
from tests.integration.sync.support import Killed
from tests.integration.sync.support import MortalMemory
from tests.integration.sync.support import assert_in_sync
from tests.integration.sync.support import contents
from tests.integration.sync.support import journal

ROWS = int(os.environ.get("SYNC_LOAD_ROWS", "3000"))
"""Of the load between real databases."""

BOOKKEEPING = 3
"""Transactions that move a checkpoint, on the side that has more of them two."""


def load(adapter: DatabaseAdapter, number: int, table: str = "molecules", **values: Any) -> None:
    with as_application():
        for start in range(0, number, 1000):
            ids = range(start, min(number, start + 1000))
            rows = [{"id": f"{n:07}", "name": f"name {n}", **values} for n in ids]
            adapter.run(Insert(table, rows, returning=False))


@pytest.fixture
def sides() -> tuple[MortalMemory, MortalMemory]:
    return MortalMemory(name="here"), MortalMemory(name="there")


def test_a_first_load_takes_few_transactions(sides: tuple[MortalMemory, MortalMemory]) -> None:
    first, second = sides
    load(first, 5_000)
    assert_in_sync(SyncManager(*sides), *sides)
    # Chunks of 100, 200, 400 and 800 records, then of 1,000; pages of ids end some of them.
    assert second.backend.writes <= 12 + BOOKKEEPING


def test_of_many_one_that_is_refused_costs_itself(sides: tuple[MortalMemory, MortalMemory]) -> None:
    first, second = sides
    load(first, 1, "protocols")
    load(first, 1_000, "experiments")
    with as_application():
        first.run(Update("experiments", {"protocol_id": "0000000"}, id="0000777"))
    manager = SyncManager(*sides, sync_tables=["experiments"])
    assert not manager.sync_all()
    assert len(contents(second)["experiments"]) == 999
    assert [failure["id"] for failure in manager.get_sync_status()["failures"]] == ["0000777"]
    assert second.backend.writes <= 30


@pytest.mark.parametrize("life", [*range(8)])
@pytest.mark.parametrize("mortal", [0, 1])
def test_a_load_that_is_killed_between_two_chunks_goes_on(
    sides: tuple[MortalMemory, MortalMemory], mortal: int, life: int
) -> None:
    first, second = sides
    load(first, 1_200)
    sides[mortal].backend.life = life
    with suppress(Killed):
        SyncManager(*sides, sync_tables=["molecules"]).sync_all()
    sides[mortal].backend.life = None
    with as_application():
        second.run(Update("molecules", {"name": "edited"}, where=Where("id", "eq", "0000001")))
        deleted = second.run(Delete("molecules", where=Where("id", "eq", "0000002"))).count
        edited = second.get("molecules", "0000001") is not None
    assert_in_sync(SyncManager(*sides), *sides)
    names = {row["id"]: row["name"] for row in contents(first)["molecules"]}
    assert len(names) == 1_200 - (deleted or 0)
    assert names["0000001"] == ("edited" if edited else "name 1")
    assert journal(*sides) == []


def test_real_databases_become_equal_with_many_rows(request: pytest.FixtureRequest) -> None:
    """At full size with SYNC_LOAD_ROWS, for instance 50000."""
    first, second = _sqlite(request), _supabase(request)
    request.addfinalizer(first.disconnect)
    request.addfinalizer(second.disconnect)
    load(first, ROWS, properties={"mass": 18.0})
    with as_application():
        before = second.run(Upsert("protocols", [{"id": "p", "name": "there"}])).rows
    manager = SyncManager(first, second)
    assert_in_sync(manager, first, second)
    counts = manager.get_sync_status()["tables"]
    assert counts["molecules"]["copied_to_second"] == ROWS
    assert contents(first)["protocols"] == before
