"""Databases that fail while they are kept equal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from threading import Event
from typing import Any

import pytest

from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.core.errors import BackendError
from database.core.operations import Delete
from database.core.operations import Update
from database.sync import SyncManager
from tests.integration.sync.support import ForgetfulMemory
from tests.integration.sync.support import Killed
from tests.integration.sync.support import MortalMemory
from tests.integration.sync.support import assert_in_sync
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert
from tests.integration.sync.support import journal

PATIENCE = 20.0  # seconds after which a test that hangs fails
IMPATIENT = {"retry_count": 0, "circuit_breaker_threshold": 0}


@pytest.fixture
def sides() -> tuple[FaultyAdapter, FaultyAdapter]:
    supabase, convex = (FaultyAdapter(MemoryAdapter(), config=IMPATIENT, name=name) for name in ("supabase", "convex"))
    return supabase, convex


@pytest.fixture
def manager(sides: tuple[FaultyAdapter, FaultyAdapter]) -> Iterator[SyncManager]:
    """A manager that cycles fast."""
    manager = SyncManager(*sides, sync_interval=0.01)
    yield manager
    manager.stop_sync_thread()


class Errors:
    """A callback that keeps what it is told, and tells that it was."""

    def __init__(self, wanted: int = 1) -> None:
        self.errors: list[Exception] = []
        self.enough = Event()
        self._wanted = wanted

    def __call__(self, error: Exception) -> None:
        self.errors.append(error)
        if len(self.errors) >= self._wanted:
            self.enough.set()


@pytest.mark.parametrize("fault", ["cut", "error_after_commit", "refuse", "error_before"])
@pytest.mark.parametrize("place", range(4))
def test_whatever_call_is_lost_the_next_cycle_goes_on(
    sides: tuple[FaultyAdapter, FaultyAdapter], manager: SyncManager, fault: Any, place: int
) -> None:
    supabase, convex = sides
    insert(supabase.inner, "a")
    assert manager.sync_all()
    convex.inner.run(Update("molecules", {"name": "changed"}, id="a"))
    insert(supabase.inner, "b")
    sides[place % 2].faults.next(fault, *[fault] * (place // 2))
    while not manager.sync_all():
        assert manager.get_sync_status()["last_error"] is not None
    assert contents(supabase.inner) == contents(convex.inner)
    assert [row["name"] for row in contents(convex.inner)["molecules"]] == ["changed", "b"]
    assert_in_sync(manager, supabase, convex)


@pytest.mark.parametrize("lives", [*product([*range(4), None], repeat=2)])
def test_a_deletion_after_a_crash_is_one_wherever_it_happened(lives: tuple[int | None, int | None]) -> None:
    """The crash makes nobody forget what was agreed on."""
    supabase, convex = MortalMemory(name="supabase"), MortalMemory(name="convex")
    insert(supabase, "changed")
    insert(supabase, "deleted")
    assert_in_sync(SyncManager(supabase, convex), supabase, convex)
    supabase.run(Update("molecules", {"name": "new"}, id="changed"))
    supabase.backend.life, convex.backend.life = lives
    with suppress(Killed):
        SyncManager(supabase, convex).sync_all()
    supabase.backend.life = convex.backend.life = None
    convex.run(Delete("molecules", id="deleted"))
    assert_in_sync(SyncManager(supabase, convex), supabase, convex)
    assert [(row["id"], row["name"]) for row in contents(convex)["molecules"]] == [("changed", "new")]
    assert journal(supabase, convex) == []


def test_what_is_changed_between_the_look_and_the_write_is_not_overwritten() -> None:
    supabase, convex = MortalMemory(name="supabase"), MortalMemory(name="convex")
    manager = SyncManager(supabase, convex, conflict_resolution="second_wins")
    insert(supabase, "a")
    assert manager.sync_all()
    supabase.run(Update("molecules", {"name": "from supabase"}, id="a"))

    convex.backend.interruption = lambda: convex.run(Update("molecules", {"name": "from convex"}, id="a"))
    assert_in_sync(manager, supabase, convex)
    assert supabase.get("molecules", "a", ("name",)) == {"name": "from convex"}
    (entry,) = journal(supabase, convex)
    assert entry["first_row"]["name"] == "from supabase"


def test_random_faults_delay_and_lose_nothing(sides: tuple[FaultyAdapter, FaultyAdapter], manager: SyncManager) -> None:
    for side in sides:
        side.faults.cut = side.faults.error_after_commit = side.faults.error_before = 0.03
    for number in range(30):
        insert(sides[number % 2].inner, f"{number:02}")
        sides[number % 2].inner.run(Update("molecules", {"formula": str(number)}, id=f"{number:02}"))
        manager.sync_all()
    for side in sides:
        side.faults.cut = side.faults.error_after_commit = side.faults.error_before = 0
    assert_in_sync(manager, *sides)
    assert [row["formula"] for row in contents(sides[0])["molecules"]] == [str(number) for number in range(30)]
    assert all(side.table("isthmus_sync_conflicts").select().execute().rows == [] for side in sides)


def test_an_outage_is_logged_once_and_survived(
    sides: tuple[FaultyAdapter, FaultyAdapter], manager: SyncManager, caplog: pytest.LogCaptureFixture
) -> None:
    supabase, convex = sides
    errors, complete = Errors(wanted=3), Event()
    convex.faults.refuse = 1.0
    insert(supabase, "a")
    manager.set_callbacks(on_sync_error=errors)
    with caplog.at_level(logging.WARNING, "database.sync"):
        assert manager.start_sync()
        assert errors.enough.wait(PATIENCE)
        manager.set_callbacks(on_sync_complete=lambda _: complete.set())
        convex.faults.refuse = 0.0
        assert complete.wait(PATIENCE)
    assert convex.get("molecules", "a") is not None
    assert all(isinstance(error, BackendError) for error in errors.errors)
    assert [record.message.split("supabase:convex ")[1].split(";")[0] for record in caplog.records] == [
        "failed",
        "works again",
    ]


def test_a_stop_is_not_held_up_by_an_outage_or_a_long_interval(sides: tuple[FaultyAdapter, FaultyAdapter]) -> None:
    errors = Errors()
    sides[0].faults.refuse = 1.0
    manager = SyncManager(*sides, sync_interval=3600)
    manager.set_callbacks(on_sync_error=errors)
    manager.start_sync()
    assert errors.enough.wait(PATIENCE)
    manager.stop_sync_thread()
    manager.stop_sync_thread()
    assert not manager.get_sync_status()["running"]


def test_changes_that_the_feed_has_forgotten_are_found() -> None:
    """A gap does not make anybody forget what was agreed on: a deletion in it is one."""
    supabase, convex = MemoryAdapter(), ForgetfulMemory()
    manager = SyncManager(supabase, convex)
    for record_id in ("changed", "deleted", "gone from both"):
        insert(supabase, record_id)
    assert manager.sync_all()
    where = convex.changes().cursor
    convex.run(Update("molecules", {"name": "new"}, id="changed"))
    convex.run(Delete("molecules", id="deleted"))
    for side in (supabase, convex):
        side.run(Delete("molecules", id="gone from both"))
    insert(convex, "another", "protocols")
    assert convex.changes(where).gap
    assert_in_sync(manager, supabase, convex)
    assert [(row["id"], row["name"]) for row in contents(supabase)["molecules"]] == [("changed", "new")]
    insert(supabase, "gone from both", name="anew")
    assert_in_sync(manager, supabase, convex)
    assert convex.get("molecules", "gone from both", ("name",)) == {"name": "anew"}
