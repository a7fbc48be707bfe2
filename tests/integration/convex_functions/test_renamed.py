"""A renamed column: documents have it under either name, and so do applications of before and after."""

from __future__ import annotations

import pytest
from convex import ConvexError

from tests.integration.convex_functions.support import BY_ID
from tests.integration.convex_functions.support import Functions
from tests.integration.convex_functions.support import insert
from tests.integration.convex_functions.support import read
from tests.integration.convex_functions.support import refusal
from tests.integration.convex_functions.support import update

FORMER = {"id": "former", "mass": 1, "label": "x"}
PRESENT = {"id": "present", "weight": 2, "note": None}


@pytest.fixture
def parcels(store: Functions) -> Functions:
    """A document of before the renaming, and one of after it."""
    store.seed("parcels", [FORMER, PRESENT])
    return store


def test_it_is_read_under_both_names(parcels: Functions) -> None:
    former = {"id": "former", "weight": 1, "mass": 1, "note": "x", "label": "x"}
    present = {"id": "present", "weight": 2, "mass": 2, "note": None, "label": None}
    assert parcels.get("parcels", "former") == former
    assert parcels.select("parcels")["rows"] == [former, present]


def test_it_is_filtered_and_sorted_wherever_a_document_has_it(parcels: Functions) -> None:
    heavy_first = [{"column": "weight", "descending": True, "nulls_first": False}, *BY_ID]
    assert parcels.ids("parcels", order=heavy_first) == ["present", "former"]
    assert parcels.ids("parcels", where={"op": "eq", "column": "weight", "value": 1}) == ["former"]
    assert parcels.ids("parcels", where={"op": "is_null", "column": "note", "value": True}) == ["present"]


@pytest.mark.parametrize(("weight", "note"), [("weight", "note"), ("mass", "label")])
def test_a_commit_may_use_either_name(parcels: Functions, weight: str, note: str) -> None:
    changed = {"id": "former", weight: 5, note: None}
    added = {"id": "new", weight: 6, note: "y"}
    expected = {"id": "former", weight: 1, note: "x"}
    parcels.commit(update("parcels", changed), insert("parcels", added), reads=[read("parcels", "former", expected)])
    rows = {row["id"]: (row["weight"], row["note"]) for row in parcels.select("parcels")["rows"]}
    assert rows == {"former": (5, None), "new": (6, "y"), "present": (2, None)}


@pytest.mark.parametrize("weight", ["weight", "mass"])
def test_a_commit_on_another_value_is_refused_under_either_name(parcels: Functions, weight: str) -> None:
    stale = {"id": "former", weight: 7}
    with pytest.raises(ConvexError) as error:
        parcels.commit(update("parcels", PRESENT | {"id": "former"}), reads=[read("parcels", "former", stale)])
    assert refusal(error)["code"] == "STALE"
