"""Timestamps without time zone, which nothing shifts, and text of a fixed width, whose blanks at the end are none."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.contract.backends import Backend
from tests.contract.tables import thing

NOON = datetime(2024, 2, 29, 12)  # noqa: DTZ001
LEAST = timedelta(microseconds=1)


def ids(adapter: DatabaseAdapter, where: Any) -> list[str]:
    return [row["id"] for row in adapter.table("things").where(where).order("id").execute()]


def test_every_spelling_is_one_value(adapter: DatabaseAdapter) -> None:
    spelled = ["2024-02-29T12:00", "2024-02-29 12:00:00", "2024-02-29T12:00:00.0", NOON, NOON.replace(fold=1)]
    adapter.run(Insert("things", [thing(str(place), noted=value) for place, value in enumerate(spelled)]))
    assert {row["noted"].isoformat() for row in adapter.table("things").execute()} == {"2024-02-29T12:00:00"}
    assert ids(adapter, Where("noted", "eq", "2024-02-29T12:00:00.000000")) == [*"01234"]
    (group,) = adapter.run(Select("things", group=("noted",))).rows
    assert group == {"noted": NOON, "count": 5}


def test_they_are_sorted_and_compared_by_microseconds(adapter: DatabaseAdapter) -> None:
    values = {"a": NOON + LEAST, "b": NOON - LEAST, "c": NOON, "d": datetime(1, 1, 1), "e": None}  # noqa: DTZ001
    adapter.run(Insert("things", [thing(name, noted=value) for name, value in values.items()]))
    assert [row["id"] for row in adapter.table("things").order("noted").execute()] == [*"dbcae"]
    assert ids(adapter, Where("noted", "gt", NOON)) == ["a"]
    assert ids(adapter, Where("noted", "lte", NOON)) == ["b", "c", "d"]
    assert ids(adapter, Where("noted", "in", [NOON, NOON + LEAST])) == ["a", "c"]


def test_the_summer_of_no_country_moves_them(adapter: DatabaseAdapter) -> None:
    """02:30 on these days is no time, or two, in Berlin and New York."""
    hours = [datetime(2024, 3, 31, 2, 30), datetime(2024, 3, 10, 2, 30), datetime(2024, 11, 3, 1, 30)]  # noqa: DTZ001
    adapter.run(Insert("things", [thing(str(place), noted=value) for place, value in enumerate(hours)]))
    (row,) = adapter.run(Update("things", {"noted": hours[1]}, id="0")).rows
    assert row["noted"] == hours[1]
    assert [row["noted"] for row in adapter.table("things").execute()] == [hours[1], *hours[1:]]


def test_sql_text_has_them(adapter: DatabaseAdapter, backend: Backend) -> None:
    adapter.run(Insert("things", [thing("a", noted=NOON, cell="x "), thing("b")]))
    text = "select noted, cell from things where noted = :noted"
    assert adapter.execute_query(text, {"noted": NOON}) == [{"noted": NOON, "cell": "x"}]
    changed = adapter.execute_query(
        "update things set noted = :noted where id = 'b' returning noted", {"noted": NOON + LEAST}
    )
    assert changed == [{"noted": NOON + LEAST}]
    assert ids(adapter, Where("noted", "gt", NOON)) == ["b"]


def test_blanks_at_the_end_are_none(adapter: DatabaseAdapter) -> None:
    given = {"a": "ab", "b": "ab  ", "c": "    ", "d": "", "e": " ab", "f": "ab\t", "g": "a", "h": "abc     "}
    adapter.run(Insert("things", [thing(name, cell=value) for name, value in given.items()]))
    cells = {row["id"]: row["cell"] for row in adapter.table("things").execute()}
    assert cells == {"a": "ab", "b": "ab", "c": "", "d": "", "e": " ab", "f": "ab\t", "g": "a", "h": "abc"}
    for same in ("ab", "ab ", "ab       "):
        assert ids(adapter, Where("cell", "eq", same)) == ["a", "b"]
        assert ids(adapter, Where("cell", "in", [same, "zz"])) == ["a", "b"]
        assert ids(adapter, Where("cell", "gt", same)) == ["f", "h"]
        assert ids(adapter, Where("cell", "lt", same)) == ["c", "d", "e", "g"]
    assert ids(adapter, Where("cell", "eq", "")) == ["c", "d"]
    assert ids(adapter, Where("cell", "gt", "ab longer than the column")) == ["h"]
    assert ids(adapter, Where("cell", "like", "%b")) == ["a", "b", "e"]
    assert ids(adapter, Where("cell", "ilike", "A_")) == ["a", "b"]
    assert ids(adapter, Where("cell", "contains", " ")) == ["e"]
    groups = adapter.run(Select("things", group=("cell",))).rows
    assert [(row["cell"], row["count"]) for row in groups] == [
        ("", 2), (" ab", 1), ("a", 1), ("ab", 2), ("ab\t", 1), ("abc", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("alone", [True, False])
def test_a_key_of_a_fixed_width_has_one_spelling(calm: DatabaseAdapter, alone: bool) -> None:
    def change() -> None:
        assert calm.run(Insert("codes", [{"code": "ab ", "name": "first"}])).rows == [{"code": "ab", "name": "first"}]
        for same in ("ab", "ab    "):
            assert calm.get("codes", same) == {"code": "ab", "name": "first"}
        assert calm.run(Upsert("codes", [{"code": "ab  ", "name": "second"}])).rows[0]["name"] == "second"
        assert calm.run(Update("codes", {"name": "third"}, id="ab  ")).count == 1

    if alone:
        change()
        with pytest.raises(ConstraintViolated):
            calm.run(Insert("codes", [{"code": "ab   "}]))
    else:
        with calm.transaction():
            change()
    assert calm.table("codes").execute().rows == [{"code": "ab", "name": "third"}]
    with pytest.raises(InvalidQuery, match="must not be empty"):
        calm.run(Insert("codes", [{"code": "   "}]))
