"""Records that are resolved together: bookings of one slot."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import ConfigurationError
from database import ConflictUnit
from database.backends.memory import MemoryAdapter
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.tables.schema import Schema
from database.internal_tables import metadata as internal
from database.sync import SyncManager
from database.sync.conflicts.units import UnitChange
from tests.integration.sync.support import journal

metadata = sa.MetaData()
sa.Table(
    "bookings",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("slot", sa.String, unique=True),
    sa.Column("guest", sa.String, nullable=False),
    sa.Column("priority", sa.BigInteger, nullable=False),
)
sa.Table(
    "requests",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("wanted", sa.String),
    sa.Column("state", sa.String, nullable=False),
)
SCHEMA = Schema.of(metadata, internal)

Unit = Sequence[UnitChange]
Made = Mapping[tuple[str, str], Mapping[str, Any] | None]


class Front:
    """The guest with the highest priority gets the slot; the other bookings are removed.

    :ivar seen: the records of each call.
    """

    def __init__(self) -> None:
        self.seen: list[list[tuple[str, str]]] = []

    def __call__(self, unit: Unit) -> Made:
        self.seen.append([(one.table, one.id) for one in unit])
        rows = {(one.table, one.id): one.first or one.second for one in unit}
        bookings = {key: row for key, row in rows.items() if row is not None and "priority" in row}
        best = max(bookings, key=lambda key: (bookings[key]["priority"], key), default=None)
        return {key: row if key == best or key not in bookings else None for key, row in rows.items()}


@pytest.fixture
def front() -> Front:
    return Front()


@pytest.fixture
def sides() -> tuple[MemoryAdapter, MemoryAdapter]:
    return MemoryAdapter({}, SCHEMA, "first"), MemoryAdapter({}, SCHEMA, "second")


def unit(resolve: Any, **tables: Sequence[str]) -> ConflictUnit:
    return ConflictUnit(tables or {"bookings": ["slot"]}, resolve)


def book(adapter: MemoryAdapter, record: str, slot: str | None, priority: int = 0) -> None:
    adapter.run(Insert("bookings", [{"id": record, "slot": slot, "guest": record, "priority": priority}]))


def bookings(*adapters: MemoryAdapter) -> dict[str, str]:
    """The slot of each booking, equal on all sides."""
    found = [{row["id"]: row["slot"] for row in one.table("bookings").execute()} for one in adapters]
    assert all(one == found[0] for one in found)
    return found[0]


def test_two_bookings_of_one_slot_are_resolved_together(
    sides: tuple[MemoryAdapter, MemoryAdapter], front: Front
) -> None:
    manager = SyncManager(*sides, conflict_units=[unit(front)])
    book(sides[0], "a", "9:00", 1)
    book(sides[1], "b", "9:00", 2)
    book(sides[0], "c", "10:00")
    assert manager.sync_all(), manager.get_sync_status()
    assert bookings(*sides) == {"b": "9:00", "c": "10:00"}
    assert front.seen == [[("bookings", "a"), ("bookings", "b")]]
    (entry,) = journal(*sides)
    assert (entry["record_id"], entry["rule"], entry["result"]) == ("a", "unit", None)
    assert entry["first_row"]["guest"] == "a"
    assert manager.sync_all()
    assert len(front.seen) == 1


def test_new_records_that_no_constraint_refuses_are_resolved_together(
    sides: tuple[MemoryAdapter, MemoryAdapter],
) -> None:
    def first_of_all(changes: Unit) -> Made:
        return {(one.table, one.id): one.first for one in changes}

    manager = SyncManager(*sides, conflict_units=[unit(first_of_all, requests=["wanted"])])
    for side, record in zip(sides, "ab", strict=True):
        side.run(Insert("requests", [{"id": record, "wanted": "9:00", "state": "new"}]))
    assert manager.sync_all(), manager.get_sync_status()
    assert [[row["id"] for row in side.table("requests").execute()] for side in sides] == [["a"], ["a"]]


def test_without_the_unit_both_are_failures(sides: tuple[MemoryAdapter, MemoryAdapter]) -> None:
    manager = SyncManager(*sides)
    book(sides[0], "a", "9:00")
    book(sides[1], "b", "9:00")
    assert not manager.sync_all()
    assert len(manager.get_sync_status()["failures"]) == 2


@pytest.mark.parametrize("winner", [0, 1])
def test_a_slot_that_was_agreed_on_is_given_away_on_both_sides(
    sides: tuple[MemoryAdapter, MemoryAdapter], front: Front, winner: int
) -> None:
    manager = SyncManager(*sides, conflict_units=[unit(front)])
    book(sides[0], "x", "9:00")
    book(sides[0], "other", "10:00")
    assert manager.sync_all()
    for side, record in zip(sides, "ab", strict=True):
        side.run(Update("bookings", {"slot": None}, id="x"))
        book(side, record, "9:00", int(side is sides[winner]))
    assert manager.sync_all(), manager.get_sync_status()
    assert bookings(*sides) == {"x": None, "ab"[winner]: "9:00", "other": "10:00"}
    assert front.seen == [[("bookings", "a"), ("bookings", "b")]]


def test_one_sided_changes_are_copied_without_a_call(sides: tuple[MemoryAdapter, MemoryAdapter], front: Front) -> None:
    manager = SyncManager(*sides, conflict_units=[unit(front)])
    book(sides[0], "a", "9:00")
    assert manager.sync_all()
    sides[1].run(Delete("bookings", id="a"))
    book(sides[1], "b", "9:00")
    assert manager.sync_all()
    assert bookings(*sides) == {"b": "9:00"}
    assert front.seen == []
    assert journal(*sides) == []


def test_a_unit_can_have_records_of_several_tables(sides: tuple[MemoryAdapter, MemoryAdapter], front: Front) -> None:
    manager = SyncManager(*sides, conflict_units=[unit(front, bookings=["slot"], requests=["wanted"])])
    sides[0].run(Insert("requests", [{"id": "r", "wanted": "9:00", "state": "open"}]))
    book(sides[1], "b", "9:00")
    assert manager.sync_all()
    assert front.seen == [[("bookings", "b"), ("requests", "r")]]
    assert bookings(*sides) == {"b": "9:00"}
    assert sides[1].get("requests", "r", ("state",)) == {"state": "open"}


@pytest.mark.parametrize(
    ("resolve", "problem"),
    [
        (lambda _: 1 / 0, "raised ZeroDivisionError"),
        (lambda _: {}, "for each record"),
        (lambda changes: {(one.table, one.id): {"guest": 5} for one in changes}, "guest"),
    ],
)
def test_a_unit_without_a_result_is_a_failure_of_its_records(
    sides: tuple[MemoryAdapter, MemoryAdapter], resolve: Any, problem: str
) -> None:
    manager = SyncManager(*sides, conflict_units=[unit(resolve)])
    book(sides[0], "a", "9:00")
    book(sides[1], "b", "9:00")
    book(sides[1], "c", "10:00")
    assert not manager.sync_all()
    failures = manager.get_sync_status()["failures"]
    assert [one["id"] for one in failures] == ["a", "b"]
    assert all(problem in one["reason"] for one in failures)
    assert sides[0].get("bookings", "c") is not None
    assert SyncManager(*sides, conflict_units=[unit(Front())]).sync_all()
    assert bookings(*sides) == {"b": "9:00", "c": "10:00"}


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (unit(Front(), slots=["slot"]), "not synced: slots"),
        (unit(Front(), bookings=["room"]), "bookings.room"),
        (unit(Front(), bookings="slot"), "list of columns"),
        (unit(Front(), bookings=["slot"], requests=["wanted", "state"]), "as many columns"),
        (unit(None), "a function"),
        ("bookings", "list of ConflictUnit"),
    ],
)
def test_a_wrong_unit_is_refused(sides: tuple[MemoryAdapter, MemoryAdapter], wrong: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        SyncManager(*sides, conflict_units=[wrong])
