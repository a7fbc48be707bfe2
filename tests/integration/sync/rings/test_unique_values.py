"""Records that exchange unique values arrive on the other side, whatever the values are."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from tests.integration.sync.rings.conftest import LONG
from tests.integration.sync.rings.conftest import Pair


def exchange(adapter: DatabaseAdapter, table: str, new: Mapping[Any, Mapping[str, Any]], spare: Sequence[Any]) -> None:
    """Give records of one table their new values, over spare ones, in one transaction."""
    with as_application(), adapter.transaction():
        for (key, values), value in zip(new.items(), spare, strict=True):
            adapter.run(Update(table, dict.fromkeys(values, value) if not isinstance(value, dict) else value, key))
        for key, values in new.items():
            adapter.run(Update(table, values, key))


def slots(number: int) -> list[dict[str, Any]]:
    return [
        {"id": f"{n:04}", "title": "x", "place": n, "code": f"c{n}", "number": n + 1, "room": "r", "hour": n}
        for n in range(number)
    ]


def strict(number: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{n:04}",
            "code": f"c{n}",
            "token": str(UUID(int=n)),
            "level": n + 1,
            "price": Decimal(n),
            "day": date(2024, 1, 1 + n),
            "raw": bytes([n]),
            "owner": f"owner {n // 2}",
            "role": ("admin", "guest")[n % 2],
        }
        for n in range(number)
    ]


def insert(adapter: DatabaseAdapter, table: str, rows: Sequence[dict[str, Any]]) -> None:
    with as_application():
        adapter.run(Insert(table, rows, returning=False))


@pytest.mark.parametrize("side", ["first", "second"])
@pytest.mark.parametrize("length", [2, 5])
def test_rings_of_values_that_can_be_null(pair: Pair, side: str, length: int) -> None:
    insert(pair.first, "slots", slots(length))
    pair.sync()
    for column in ("place", "code", "number", "hour"):
        rows = pair.rows(pair.first)["slots"]
        new = {row["id"]: {column: rows[n - 1][column]} for n, row in enumerate(rows)}
        exchange(getattr(pair, side), "slots", new, [None] * length)
    before = pair.rows(getattr(pair, side))
    manager = pair.sync()
    assert pair.rows(pair.first) == before
    assert manager.get_sync_status()["failures"] == []
    assert manager.get_sync_status()["tables"]["slots"]["conflicts"] == 0


@pytest.mark.parametrize(
    ("column", "spare"),
    [
        ("code", ["x1", "x2", "x3"]),
        ("token", [str(UUID(int=90 + n)) for n in range(3)]),
        ("level", [91, 92, 93]),
        ("price", [Decimal("9.91"), Decimal("9.92"), Decimal("9.93")]),
        ("day", [date(2023, 1, n) for n in (1, 2, 3)]),
        ("raw", [b"x1", b"x2", b"x3"]),
        ("owner", ["y1", "y2", "y3"]),
    ],
)
def test_rings_of_values_that_cannot_be_null(pair: Pair, column: str, spare: list[Any]) -> None:
    rows = strict(3)
    rows[2]["role"] = rows[1]["role"] = "admin"
    rows[1]["owner"] = "owner x"
    insert(pair.first, "strict", rows)
    pair.sync()
    new = {row["id"]: {column: rows[n - 1][column]} for n, row in enumerate(rows)}
    exchange(pair.first, "strict", new, spare)
    before = pair.rows(pair.first)
    pair.sync()
    assert pair.rows(pair.second) == before


def test_labels_are_exchanged_within_a_set_of_columns(pair: Pair) -> None:
    """Neither the owner nor the role can be null, and the role has few labels."""
    insert(pair.second, "strict", strict(4))
    pair.sync()
    new = {"0000": {"role": "guest"}, "0001": {"role": "admin"}, "0002": {"role": "guest"}, "0003": {"role": "admin"}}
    exchange(pair.second, "strict", new, [{"role": "user"}, {"role": "admin"}, {"role": "user"}, {"role": "admin"}])
    before = pair.rows(pair.second)
    pair.sync()
    assert pair.rows(pair.first) == before


def test_values_that_are_unique_in_some_rows_only(pair: Pair) -> None:
    rows = [{"number": n, "name": f"name {n // 2}", "active": bool(n % 2)} for n in range(6)]
    insert(pair.first, "handles", rows)
    pair.sync()
    new: dict[Any, dict[str, Any]] = {1: {"name": "name 1"}, 3: {"name": "name 2"}, 5: {"name": "name 0"}}
    exchange(pair.first, "handles", new, ["x", "y", "z"])
    # The active one of two records with one name becomes the other one.
    exchange(pair.first, "handles", {1: {"active": False}, 2: {"active": True}}, [{"active": False}] * 2)
    before = pair.rows(pair.first)
    pair.sync()
    assert pair.rows(pair.second) == before


@pytest.mark.usefixtures("small_chunks")
def test_a_long_ring_and_a_long_chain(pair: Pair) -> None:
    """Every record gets the value of the next one, in a ring; and the chain of another column shifts by one."""
    rows = slots(LONG)
    insert(pair.first, "slots", rows)
    pair.sync()
    new = {row["id"]: {"place": rows[n - 1]["place"]} for n, row in enumerate(rows)}
    exchange(pair.first, "slots", new, [None] * LONG)
    shifted = {row["id"]: {"number": row["number"] + 1} for row in reversed(rows)}
    exchange(pair.first, "slots", shifted, [{"title": "y"}] * LONG)
    before = pair.rows(pair.first)
    manager = pair.sync()
    assert pair.rows(pair.second) == before
    assert manager.get_sync_status()["tables"]["slots"]["copied_to_second"] == LONG


@pytest.mark.usefixtures("small_chunks")
def test_a_ring_of_values_that_only_the_database_knows_to_be_unique(pair: Pair) -> None:
    rows = [{"id": f"{n:04}", "body": f"body {n}"} for n in range(LONG)]
    insert(pair.first, "badges", rows)
    pair.sync()
    new = {row["id"]: {"body": rows[n - 1]["body"]} for n, row in enumerate(rows)}
    exchange(pair.first, "badges", new, [None] * LONG)
    before = pair.rows(pair.first)
    manager = pair.sync()
    assert pair.rows(pair.second) == before
    assert manager.get_sync_status()["failures"] == []


def test_rings_of_both_sides_at_once_with_deletions_and_new_records(pair: Pair) -> None:
    insert(pair.first, "slots", slots(8))
    pair.sync()
    exchange(pair.first, "slots", {"0000": {"place": 1}, "0001": {"place": 0}}, [None] * 2)
    exchange(pair.second, "slots", {"0002": {"place": 3}, "0003": {"place": 2}}, [None] * 2)
    with as_application():
        for adapter, gone, new in ((pair.first, "0004", 4), (pair.second, "0005", 5)):
            adapter.run(Delete("slots", gone))
            adapter.run(Insert("slots", [{"id": f"new {new}", "place": new, "code": f"c{new}"}]))
    # A value of a deleted record goes to one that has given up its own for a new one.
    with as_application():
        pair.first.run(Delete("slots", "0006"))
        pair.first.run(Update("slots", {"place": 6}, "0007"))
        pair.first.run(Insert("slots", [{"id": "0000 before all", "place": 7, "code": "c6"}]))
    pair.sync()
    places = {row["id"]: row["place"] for row in pair.rows(pair.first)["slots"]}
    assert places == {
        "0000": 1, "0000 before all": 7, "0001": 0, "0002": 3, "0003": 2, "0007": 6, "new 4": 4, "new 5": 5
    }  # fmt: skip


def test_a_value_that_both_sides_have_given_is_a_failure_and_stops_no_other(pair: Pair) -> None:
    insert(pair.first, "slots", slots(4))
    pair.sync()
    insert(pair.first, "slots", [{"id": "here", "place": 100}])
    insert(pair.second, "slots", [{"id": "there", "place": 100}])
    exchange(pair.first, "slots", {"0000": {"place": 1}, "0001": {"place": 0}}, [None] * 2)
    manager = pair.manager()
    assert not manager.sync_all()
    failures = {failure["id"]: failure["reason"] for failure in manager.get_sync_status()["failures"]}
    assert failures.keys() == {"here", "there"}
    assert all(reason.startswith("ConstraintViolated: ") for reason in failures.values())
    assert {row["id"]: row["place"] for row in pair.rows(pair.second)["slots"]}.items() >= {
        "0000": 1,
        "0001": 0,
    }.items()
    with as_application():
        pair.second.run(Update("slots", {"place": 101}, "there"))
    pair.sync()


def test_who_waits_for_a_failure_says_so(pair: Pair) -> None:
    insert(pair.first, "slots", slots(3))
    pair.sync()
    insert(pair.second, "slots", [{"id": "there", "place": 100}])
    with as_application():
        pair.first.run(Update("slots", {"place": 100}, "0002"))
        pair.first.run(Update("slots", {"place": 2}, "0001"))
        pair.first.run(Update("slots", {"place": 1}, "0000"))
    manager = pair.manager()
    assert not manager.sync_all()
    failures = {failure["id"]: failure["reason"] for failure in manager.get_sync_status()["failures"]}
    assert failures.keys() == {"there", "0000", "0001", "0002"}
    for waiting in ("0000", "0001"):
        assert "it waits for record '0002' of table 'slots', which cannot be synced: " in failures[waiting]
    with as_application():
        pair.second.run(Delete("slots", "there"))
    pair.sync()
