"""Upserts that find a row by another unique value than its id."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import acting_as
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.kinds.json_texts import JsonText
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from tests.contract.callers import ADA
from tests.contract.callers import BOB
from tests.contract.tables import thing
from tests.contract.transactions.test_concurrency import THREADS
from tests.contract.transactions.test_concurrency import at_once

PLACE = ("room", "number")


def seat(id: str, room: str | None, number: int | None, **values: Any) -> dict[str, Any]:  # noqa: A002
    return {"id": id, "owner_id": ADA.subject, "room": room, "number": number, **values}


def rows_of(adapter: DatabaseAdapter, table: str = "things") -> list[dict[str, Any]]:
    return adapter.table(table).execute().rows


def types_of(document: dict[str, Any]) -> dict[str, type]:
    return {name: type(part) for name, part in document.items()}


def test_the_row_with_the_value_is_updated_and_keeps_its_id(adapter: DatabaseAdapter) -> None:
    (old,) = adapter.run(Insert("things", [thing("a", code="x", title="kept", rank=1)]))
    query = adapter.table("things").upsert({"label": "new", "code": "x", "rank": 2}, on_conflict="code")
    result = query.execute()
    assert result.count == 1
    assert result.rows == [old | {"label": "new", "rank": 2, "version": 2, "updated_at": result.rows[0]["updated_at"]}]
    assert result.rows[0]["updated_at"] > old["updated_at"]
    assert rows_of(adapter) == result.rows


def test_an_id_that_is_given_is_for_a_new_row(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", code="x"), thing("b", code="y")]))
    given = [thing("c", code="x", rank=1), thing("d", code="z"), thing("b", code="x", rank=2), thing("e"), thing("f")]
    result = adapter.table("things").upsert(given, on_conflict=["code"]).execute()
    assert [(row["id"], row["version"], row["rank"]) for row in result] == [
        ("a", 2, 1),
        ("d", 1, 0),
        ("a", 3, 2),
        ("e", 1, 0),
        ("f", 1, 0),
    ]
    assert [row["code"] for row in rows_of(adapter)] == ["x", "y", "z", None, None]


def test_nothing_but_the_value_makes_a_new_version(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("seats", [seat("a", "r", 1, title="kept")]))
    given = {"owner_id": ADA.subject, "room": "r", "number": 1}
    (row,) = adapter.table("seats").upsert(given, on_conflict="number, room").execute()
    assert (row["id"], row["version"], row["title"]) == ("a", 2, "kept")


def test_several_columns_are_compared_together(adapter: DatabaseAdapter) -> None:
    before = [seat("a", "r", 1), seat("b", "r", 2), seat("c", "s", 1), seat("d", "r", None)]
    adapter.run(Insert("seats", before))
    given = [seat("e", "s", 1, title="t"), seat("f", "s", 2), seat("g", "r", None), seat("h", None, 1)]
    result = adapter.run(Upsert("seats", given, on_conflict=PLACE))
    assert [(row["id"], row["version"]) for row in result] == [("c", 2), ("f", 1), ("g", 1), ("h", 1)]
    titles = {row["id"]: row["title"] for row in rows_of(adapter, "seats")}
    assert titles == {"a": None, "b": None, "c": "t", "d": None, "f": None, "g": None, "h": None}


@pytest.mark.parametrize("by", ["", "code"])
def test_duplicates_are_ignored(adapter: DatabaseAdapter, by: str) -> None:
    (old,) = adapter.run(Insert("things", [thing("a", code="a")]))
    given = [thing(name, code=name, rank=rank) for rank, name in enumerate("abcb")]
    query = adapter.table("things").upsert(given, on_conflict=by, ignore_duplicates=True)
    result = query.execute()
    assert [(row["id"], row["rank"], row["version"]) for row in result] == [("b", 1, 1), ("c", 2, 1)]
    assert result.count == 2
    assert rows_of(adapter) == [old, *result.rows]
    again = adapter.run(Upsert("things", given, False, on_conflict=("code",), ignore_duplicates=True))
    assert (again.rows, again.count) == ([], 0)
    silent = adapter.run(Upsert("things", [thing("d")], False, on_conflict=("code",), ignore_duplicates=True))
    assert (silent.rows, silent.count) == ([], 1)


@pytest.mark.parametrize("ignoring", [False, True])
def test_other_unique_values_stay_constraints(calm: DatabaseAdapter, ignoring: bool) -> None:
    calm.run(Insert("things", [thing("a", code="x"), thing("b", code="y")]))
    before = rows_of(calm)
    for rows, by in (
        ([thing("c", code="z"), thing("a", code="w")], ("code",)),
        ([thing("c"), thing("d", code="x")], ()),
    ):
        with pytest.raises(ConstraintViolated):
            calm.run(Upsert("things", rows, on_conflict=by, ignore_duplicates=ignoring))
        assert rows_of(calm) == before


def test_a_transaction_finds_what_it_has_written(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", code="x"), thing("b", code="y"), thing("c", code="z")]))
    with adapter.transaction():
        adapter.run(Update("things", {"code": "w"}, id="a"))
        adapter.table("things").delete().eq("id", "b").execute()
        adapter.run(Insert("things", [thing("d", code="v")]))
        given = [thing(f"n{code}", code=code, rank=1) for code in "vwxyz"]
        result = adapter.table("things").upsert(given, on_conflict="code").execute()
        assert [row["id"] for row in result] == ["d", "a", "nx", "ny", "c"]
        some = [thing("o", code="w"), thing("p", code="u")]
        assert adapter.table("things").upsert(some, on_conflict="code", ignore_duplicates=True).execute().ids == ["p"]
    codes = {row["id"]: (row["code"], row["rank"]) for row in rows_of(adapter)}
    assert codes == {"a": ("w", 1), "c": ("z", 1), "d": ("v", 1), "nx": ("x", 1), "ny": ("y", 1), "p": ("u", 0)}


def test_many_rows_with_values_of_every_length(calm: DatabaseAdapter) -> None:
    places = [("r" * (1 + number % 90), number) for number in range(250)]
    calm.run(Insert("seats", [seat(f"a{n:03}", *place) for n, place in enumerate(places[::2])], returning=False))
    given = [seat(f"b{n:03}", *place, title="new") for n, place in enumerate(places)]
    result = calm.run(Upsert("seats", given, on_conflict=PLACE))
    assert [row["id"] for row in result] == [f"b{n:03}" if n % 2 else f"a{n // 2:03}" for n in range(250)]
    assert len(calm.table("seats").eq("title", "new").execute()) == 250


def test_one_row_wins_a_race_and_the_others_update_it(adapter: DatabaseAdapter) -> None:
    def work(number: int) -> str:
        row = {"label": f"{number}", "code": "x"}
        (found,) = adapter.table("things").upsert(row, on_conflict="code").execute()
        return str(found["id"])

    ids = at_once(work)
    (row,) = rows_of(adapter)
    assert (set(ids), row["version"]) == ({row["id"]}, THREADS)


def test_only_own_rows_are_updated(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("seats", [seat("a", "r", 1), seat("b", "r", 2) | {"owner_id": BOB.subject}]))
    before = rows_of(adapter, "seats")
    with acting_as(ADA):
        (row,) = adapter.run(Upsert("seats", [{"room": "r", "number": 1, "title": "t"}], on_conflict=PLACE))
        assert (row["id"], row["version"], row["title"]) == ("a", 2, "t")
        # Where the server hides the row, it is the place that is taken.
        with pytest.raises((PermissionDenied, ConstraintViolated)):
            adapter.run(Upsert("seats", [{"room": "r", "number": 2, "title": "t"}], on_conflict=PLACE))
        new = [{"room": "r", "number": number} for number in (1, 3)]
        (made,) = adapter.run(Upsert("seats", new, on_conflict=PLACE, ignore_duplicates=True))
    assert rows_of(adapter, "seats") == sorted([row, before[1], made], key=lambda row: str(row["id"]))
    assert made["owner_id"] == ADA.subject


def test_all_columns_are_no_value_to_compare(calm: DatabaseAdapter) -> None:
    with pytest.raises(InvalidQuery, match="must name columns"):
        calm.table("things").upsert(thing("a"), on_conflict="*")


def test_a_document_whose_text_is_known_is_stored_as_it_is(adapter: DatabaseAdapter) -> None:
    """What its writer has made the text of need not be made again; backends that have no use for it take the value."""
    document = {"number": 1.5, "text": "wässer", "inside": [{"a": None}, True]}
    text = JsonText(orjson.dumps(document))
    for code in ("x", "x"):
        row = thing("a", code=code, data=document)
        adapter.run(Upsert("things", [row], returning=False, on_conflict=("code",), texts=(("data", text),)))
    (found,) = rows_of(adapter)
    assert found["data"] == document
    assert types_of(found["data"]) == types_of(document)
