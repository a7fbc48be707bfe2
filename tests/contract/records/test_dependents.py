"""Check constraints, and what a declared ``ON DELETE`` makes of the records that refer to a deleted one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where


@pytest.fixture(autouse=True)
def _two_shelves(calm: DatabaseAdapter) -> None:
    calm.run(Insert("shelves", [{"id": "s"}, {"id": "t"}]))
    calm.run(Insert("boxes", [{"id": "a", "shelf_id": "s", "weight": 1}, {"id": "z", "shelf_id": "t"}]))
    calm.run(Insert("boxes", [{"id": "b", "inside_id": "a"}]))
    calm.run(Insert("boxes", [{"id": "c", "inside_id": "b"}, {"id": "d", "inside_id": "b", "shelf_id": "s"}]))
    calm.run(Insert("lids", [{"id": "l", "box_id": "c"}, {"id": "m", "box_id": "z"}]))


def _ids(calm: DatabaseAdapter, table: str) -> list[str]:
    ids: list[str] = calm.table(table).execute().ids
    return ids


@pytest.mark.parametrize("delete", [Delete("shelves", id="s"), Delete("shelves", where=Where("id", "lt", "t"))])
def test_a_deletion_takes_what_goes_with_it(calm: DatabaseAdapter, delete: Delete) -> None:
    before = calm.get("lids", "l")
    assert calm.run(delete).count == 1
    assert (_ids(calm, "shelves"), _ids(calm, "boxes"), _ids(calm, "lids")) == (["t"], ["z"], ["l", "m"])
    lid = calm.get("lids", "l")
    assert lid is not None
    assert before is not None
    assert lid["box_id"] is None
    assert calm.get("lids", "m", ("box_id",)) == {"box_id": "z"}


def test_a_reference_to_a_neighbour_is_forgotten(calm: DatabaseAdapter) -> None:
    calm.run(Update("boxes", {"beside_id": "a"}, id="z"))
    calm.run(Update("boxes", {"beside_id": "a"}, id="a"))
    calm.run(Delete("boxes", id="a"))
    assert _ids(calm, "boxes") == ["z"]
    assert calm.get("boxes", "z", ("beside_id", "shelf_id")) == {"beside_id": None, "shelf_id": "t"}


def test_records_in_a_circle_go_together(calm: DatabaseAdapter) -> None:
    calm.run(Update("boxes", {"inside_id": "c"}, id="a"))
    calm.run(Delete("boxes", id="b"))
    assert _ids(calm, "boxes") == ["z"]


def test_a_reference_without_an_action_keeps_all(calm: DatabaseAdapter) -> None:
    calm.run(Insert("lids", [{"id": "n", "kept_id": "d"}]))
    before = [calm.table(table).execute().rows for table in ("shelves", "boxes", "lids")]
    with pytest.raises(ConstraintViolated) as refused:
        calm.run(Delete("shelves", id="s"))
    assert refused.value.kind is ConstraintKind.FOREIGN_KEY
    assert [calm.table(table).execute().rows for table in ("shelves", "boxes", "lids")] == before


def test_what_a_transaction_has_made_goes_as_well(calm: DatabaseAdapter) -> None:
    with calm.transaction():
        calm.run(Insert("boxes", [{"id": "e", "inside_id": "c"}, {"id": "f", "shelf_id": "t"}]))
        calm.run(Update("lids", {"box_id": "e"}, id="m"))
        calm.run(Delete("shelves", id="s"))
    assert _ids(calm, "boxes") == ["f", "z"]
    assert [row["box_id"] for row in calm.table("lids").execute()] == [None, None]


@pytest.mark.parametrize(
    "operation",
    [
        Insert("boxes", [{"weight": 100}]),
        Insert("boxes", [{"weight": 1}, {"weight": 200}]),
        Insert("boxes", [{"name": "no"}]),
        Upsert("boxes", [{"id": "a", "weight": 100}]),
        Update("boxes", {"weight": 100}, id="a"),
        Update("boxes", {"weight": 100}, where=Where("shelf_id", "eq", "s")),
    ],
)
def test_a_check_constraint_holds(calm: DatabaseAdapter, operation: Operation) -> None:
    before = calm.table("boxes").execute().rows
    with pytest.raises(ConstraintViolated) as refused:
        calm.run(operation)
    assert refused.value.kind is ConstraintKind.CHECK
    assert "boxes_light" in (refused.value.constraint or "")
    assert calm.table("boxes").execute().rows == before


def test_a_check_constraint_lets_unknown_pass(calm: DatabaseAdapter) -> None:
    calm.run(Insert("boxes", [{"id": "y", "weight": None, "name": None}, {"id": "x", "weight": 99}]))
    assert _ids(calm, "boxes") == ["a", "b", "c", "d", "x", "y", "z"]


def test_a_condition_on_a_decimal_is_about_its_value(calm: DatabaseAdapter) -> None:
    for number, price in enumerate(["0.50", "99.99", 8, None, Decimal("7.01")]):
        calm.run(Insert("boxes", [{"id": f"good {number}", "price": price}]))
    for price in ("0.49", 100, "100.01", -1, 7, "7.25"):
        with pytest.raises(ConstraintViolated) as refused:
            calm.run(Insert("boxes", [{"id": "bad", "price": price}]))
        assert "boxes_price" in (refused.value.constraint or "")
    with pytest.raises(ConstraintViolated):
        calm.run(Update("boxes", {"price": "0.4"}, id="good 0"))
    assert calm.table("boxes").select(count=True).limit(0).execute().count == 10
