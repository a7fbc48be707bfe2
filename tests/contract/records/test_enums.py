"""An enumeration is text with some labels, sorted by code point, on every backend."""

from __future__ import annotations

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.contract.tables import MOODS
from tests.contract.tables import Colour
from tests.contract.tables import Weather
from tests.contract.tables import thing

BY_CODE_POINT = ["", "Zen", "high", "it's", "low", "élan"]


def ids(adapter: DatabaseAdapter, where: Where) -> list[str]:
    return [row["id"] for row in adapter.table("things").where(where).execute()]


def test_labels_are_text_and_sorted_by_code_point(adapter: DatabaseAdapter) -> None:
    made = adapter.run(Insert("things", [thing(str(place), mood=label) for place, label in enumerate(MOODS)])).rows
    assert [row["mood"] for row in made] == list(MOODS)
    adapter.run(Insert("things", [thing("none")]))
    found = adapter.table("things").order("mood").execute().rows
    assert [row["mood"] for row in found] == [*BY_CODE_POINT, None]
    assert [(adapter.get("things", str(place)) or {})["mood"] for place in range(len(MOODS))] == list(MOODS)
    groups = adapter.run(Select("things", group=("mood",))).rows
    assert [(row["mood"], row["count"]) for row in groups] == [(label, 1) for label in [*BY_CODE_POINT, None]]
    assert ids(adapter, Where("mood", "gt", "it's")) == ["0", "3"]
    assert ids(adapter, Where("mood", "in", ["low", "nope", "it's"])) == ["0", "5"]
    assert ids(adapter, Where("mood", "ilike", "Z%")) == ["2"]
    assert ids(adapter, Where("mood", "contains", "o")) == ["0"]
    (changed,) = adapter.run(Update("things", {"mood": "low"}, id="1", returning=True)).rows
    assert changed["mood"] == "low"
    (changed,) = adapter.run(Upsert("things", [thing("1", mood="Zen")], returning=True)).rows
    assert changed["mood"] == "Zen"


def test_members_of_the_enumeration_are_their_labels(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", colour=Colour.RED), thing("b", colour="Blue"), thing("c")]))
    assert ids(adapter, Where("colour", "eq", Colour.RED)) == ["a"]
    assert ids(adapter, Where("colour", "in", [Colour.BLUE])) == ["b"]
    assert [row["colour"] for row in adapter.table("things").order("colour").execute()] == ["Blue", "red", None]
    assert adapter.execute_query("select colour from things where id = 'a'") == [{"colour": "red"}]


@pytest.mark.parametrize(("column", "value"), [("mood", "nope"), ("colour", "RED"), ("colour", 1)])
def test_what_is_no_label_is_an_error_of_its_row(adapter: DatabaseAdapter, column: str, value: object) -> None:
    with pytest.raises(InvalidRow, match="must be") as refused:
        adapter.run(Insert("things", [thing("a"), thing("b", **{column: value})]))
    assert (refused.value.row, refused.value.column) == (1, column)
    adapter.run(Insert("things", [thing("a")]))
    with pytest.raises(InvalidQuery, match="must be"):
        adapter.run(Update("things", {column: value}, id="a"))
    if isinstance(value, str):
        assert ids(adapter, Where(column, "eq", value)) == []


def test_a_member_as_a_parameter_is_its_label(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", weather=Weather.SUN, colour=Colour.RED), thing("b", weather="RAIN")]))
    text = "select weather, colour from things where weather = :w and colour = :c"
    assert adapter.execute_query(text, {"w": Weather.SUN, "c": Colour.RED}) == [{"weather": "SUN", "colour": "red"}]
    assert adapter.execute_query("update things set weather = ? where id = 'b'", [Weather.SUN]) == 1
    assert ids(adapter, Where("weather", "eq", Weather.SUN)) == ["a", "b"]


def test_sql_text_has_labels(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", mood="low"), thing("b", mood="Zen")]))
    assert adapter.execute_query("select mood from things where mood = :v", {"v": "Zen"}) == [{"mood": "Zen"}]
    assert adapter.execute_query("update things set mood = 'high' where mood = 'low' returning mood") == [
        {"mood": "high"}
    ]
