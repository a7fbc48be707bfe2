from __future__ import annotations

from typing import Any

import pytest
from convex import ConvexError

from tests.integration.convex_functions.support import Functions
from tests.integration.convex_functions.support import Row
from tests.integration.convex_functions.support import box
from tests.integration.convex_functions.support import delete
from tests.integration.convex_functions.support import insert
from tests.integration.convex_functions.support import item
from tests.integration.convex_functions.support import read
from tests.integration.convex_functions.support import refusal
from tests.integration.convex_functions.support import update


@pytest.mark.parametrize(
    ("one", "other", "columns"),
    [
        (box("a"), box("a"), ["id"]),
        (box("a", code="x"), box("b", code="x"), ["code"]),
        (box("a", shelf="s", place=1), box("b", shelf="s", place=1), ["shelf", "place"]),
    ],
)
def test_unique_columns(store: Functions, one: Row, other: Row, columns: list[str]) -> None:
    store.commit(insert("boxes", one))
    for steps in ([insert("boxes", other)], [insert("boxes", box("z")), insert("boxes", other)]):
        with pytest.raises(ConvexError) as error:
            store.commit(*steps)
        place = float(len(steps) - 1)
        assert refusal(error) == {"code": "UNIQUE", "table": "boxes", "columns": columns, "step": place}
    assert store.select("boxes")["rows"] == [one]


def test_two_of_one_commit_cannot_be_the_same(store: Functions) -> None:
    for other, columns in ((box("a"), ["id"]), (box("b", code="x"), ["code"])):
        with pytest.raises(ConvexError) as error:
            store.commit(insert("boxes", box("a", code="x")), insert("boxes", other))
        assert refusal(error)["columns"] == columns
    assert store.ids("boxes") == []


def test_an_update_is_held_to_unique_columns(store: Functions) -> None:
    store.commit(insert("boxes", box("a", code="x")), insert("boxes", box("b", code="y")))
    with pytest.raises(ConvexError) as error:
        store.commit(update("boxes", box("b", code="x")), reads=[read("boxes", "b", box("b", code="y"))])
    assert refusal(error) == {"code": "UNIQUE", "table": "boxes", "columns": ["code"], "step": 0}


def test_values_may_be_exchanged_in_one_commit(store: Functions) -> None:
    one, other = box("a", code="x"), box("b", code="y")
    store.commit(insert("boxes", one), insert("boxes", other))
    store.commit(
        update("boxes", one | {"code": "y"}),
        update("boxes", other | {"code": "x"}),
        reads=[read("boxes", "a", one), read("boxes", "b", other)],
    )
    assert [row["code"] for row in store.select("boxes")["rows"]] == ["y", "x"]


def test_nulls_are_never_the_same(store: Functions) -> None:
    store.commit(insert("boxes", box("a", shelf="s")), insert("boxes", box("b", shelf="s")), insert("boxes", box("c")))
    assert store.ids("boxes") == ["a", "b", "c"]


def test_a_parent_must_be_there(store: Functions) -> None:
    with pytest.raises(ConvexError) as error:
        store.commit(insert("boxes", box("a")), insert("items", item("i", "b")))
    assert refusal(error) == {"code": "FOREIGN_KEY", "table": "items", "column": "box_id", "step": 1}
    store.commit(insert("items", item("i", "b")), insert("boxes", box("b")))
    assert store.ids("items") == ["i"]


def test_a_parent_cannot_go_before_its_children(store: Functions) -> None:
    store.commit(insert("boxes", box("b")), insert("items", item("i", "b")))
    seen = [read("boxes", "b", box("b")), read("items", "i", item("i", "b"))]
    with pytest.raises(ConvexError) as error:
        store.commit(delete("boxes", "b"), reads=seen)
    assert refusal(error) == {"code": "REFERENCED", "table": "items", "column": "box_id"}
    store.commit(delete("boxes", "b"), delete("items", "i"), reads=seen)
    assert (store.ids("boxes"), store.ids("items")) == ([], [])


def test_a_record_may_refer_to_itself(store: Functions) -> None:
    own = box("a", inside_id="a")
    store.commit(insert("boxes", own))
    store.commit(insert("boxes", box("b", inside_id="a")))
    with pytest.raises(ConvexError) as error:
        store.commit(delete("boxes", "a"), reads=[read("boxes", "a", own)])
    assert refusal(error) == {"code": "REFERENCED", "table": "boxes", "column": "inside_id"}
    store.commit(delete("boxes", "b"), reads=[read("boxes", "b", box("b", inside_id="a"))])
    store.commit(delete("boxes", "a"), reads=[read("boxes", "a", own)])
    assert store.ids("boxes") == []


@pytest.mark.parametrize("values", [{"code": "x"}, {"shelf": "s", "place": 1}])
def test_a_value_is_free_again_after_a_delete(store: Functions, values: dict[str, Any]) -> None:
    store.commit(insert("boxes", box("a", **values)))
    seen = [read("boxes", "a", box("a", **values))]
    store.commit(delete("boxes", "a"), insert("boxes", box("b", **values)), reads=seen)
    assert store.ids("boxes") == ["b"]


def test_more_look_ups_than_convex_allows_are_refused(store: Functions) -> None:
    rows = [box(f"{n}", code=f"{n}", shelf="s", place=n) for n in range(1_400)]
    with pytest.raises(ConvexError) as error:
        store.commit(*[insert("boxes", row) for row in rows])
    assert refusal(error)["code"] == "LIMIT"
    assert store.ids("boxes") == []


def test_what_is_inserted_and_deleted_again_must_not_have_been_there(store: Functions) -> None:
    one = box("a")
    store.commit(insert("boxes", one))
    with pytest.raises(ConvexError) as error:
        store.commit(insert("boxes", box("a", code="x")), delete("boxes", "a"))
    assert refusal(error) == {"code": "UNIQUE", "table": "boxes", "columns": ["id"], "step": 1}
    assert store.select("boxes")["rows"] == [one]
    store.commit(insert("boxes", box("b")), delete("boxes", "b"))
    assert store.ids("boxes") == ["a"]
