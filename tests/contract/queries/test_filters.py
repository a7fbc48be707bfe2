"""What each operator selects, as data."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.operations import Insert
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Where
from tests.contract.tables import thing

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)

ROWS = [
    thing("a", title="Water", amount=1, ratio=0.5, done=True, seen=NOON, data={"tags": ["x", "y"], "n": 1}),
    thing("b", title="water", amount=-7, ratio=2.0, done=False, seen=NOON.replace(microsecond=1), data=["x", [1], 2]),
    thing("c", title="100%", amount=2**62, ratio=-1e300, data="x"),
    thing("d", title="a_b\\c", amount=2, data={"n": {"m": [{"k": 1}, {"k": 2, "l": None}]}}),
    thing("e", title="[ab]*?", amount=10, data=1),
    thing("f", title="Été\nétait", seen=NOON.replace(year=1999), data=[]),
    thing("g"),
]


def where(column: str, operator: Any, value: Any) -> Where:
    return Where(column, operator, value)


SELECTED: list[tuple[Filter, str]] = [
    (where("title", "eq", "water"), "b"),
    (where("title", "neq", "water"), "acdef"),
    (where("title", "gt", "Z"), "bdef"),
    (where("title", "gte", "water"), "bf"),
    (where("title", "lt", "W"), "c"),
    (where("title", "lte", "Water"), "ac"),
    (where("amount", "eq", 2), "d"),
    (where("amount", "neq", 2), "abce"),
    (where("amount", "gt", 2), "ce"),
    (where("amount", "gte", 2), "cde"),
    (where("amount", "lt", 1), "b"),
    (where("amount", "lte", 1), "ab"),
    (where("ratio", "lt", 0.5), "c"),
    (where("ratio", "gte", 0.5), "ab"),
    (where("ratio", "eq", 2), "b"),
    (where("done", "eq", True), "a"),
    (where("done", "neq", True), "b"),
    (where("done", "lt", True), "b"),
    (where("done", "in", [True, False]), "ab"),
    (where("seen", "gt", NOON), "b"),
    (where("seen", "lte", NOON), "af"),
    (where("seen", "eq", "2024-05-01T14:00:00+02:00"), "a"),
    (where("id", "in", ["b", "x", "a", "b"]), "ab"),
    (Or((where("title", "eq", "water"), Not(Or(())))), "abcdefg"),
    (And((where("title", "eq", "water"), Or(()))), ""),
    (where("title", "in", []), ""),
    (Not(where("title", "in", [])), "abcdefg"),
    (Not(where("title", "in", ["water"])), "acdef"),
    (where("amount", "in", list(range(-7, 3))), "abd"),
    (where("title", "is_null", True), "g"),
    (where("title", "is_null", False), "abcdef"),
    (where("data", "is_null", True), "g"),
    (Not(where("seen", "is_null", False)), "cdeg"),
    (where("title", "like", "water"), "b"),
    (where("title", "like", "_ater"), "ab"),
    (where("title", "like", "W%"), "a"),
    (where("title", "like", "%"), "abcdef"),
    (where("title", "like", ""), ""),
    (where("title", "like", "100\\%"), "c"),
    (where("title", "like", "100%"), "c"),
    (where("title", "like", "%\\%%"), "c"),
    (where("title", "like", "a\\_b%"), "d"),
    (where("title", "like", "a_b\\\\c"), "d"),
    (where("title", "like", "%\\\\%"), "d"),
    (where("title", "like", "\\w\\ater"), "b"),
    (where("title", "like", "[%"), "e"),
    (where("title", "like", "[ab]%"), "e"),
    (where("title", "like", "[ab]*?"), "e"),
    (where("title", "like", "W*"), ""),
    (where("title", "like", "%*_"), "e"),
    (where("title", "like", "_t_%t"), "f"),
    (where("title", "like", "Été_était"), "f"),
    (where("title", "ilike", "WATER"), "ab"),
    (where("title", "ilike", "%AT%"), "ab"),
    (where("title", "ilike", "été%"), ""),
    (where("title", "ilike", "ÉTé%"), "f"),
    (where("title", "ilike", "A\\_B\\\\C"), "d"),
    (where("title", "ilike", "[AB]%"), "e"),
    (where("title", "contains", "ter"), "ab"),
    (where("title", "contains", "%"), "c"),
    (where("title", "contains", "_"), "d"),
    (where("title", "contains", "\\"), "d"),
    (where("title", "contains", ""), "abcdef"),
    (where("title", "contains", "t\né"), ""),
    (where("title", "contains", "é\né"), "f"),
    (where("data", "contains", {}), "ad"),
    (where("data", "contains", []), "bf"),
    (where("data", "contains", "x"), "bc"),
    (where("data", "contains", ["x"]), "b"),
    (where("data", "contains", 1), "e"),
    (where("data", "contains", 1.0), "e"),
    (where("data", "contains", True), ""),
    (where("data", "contains", [[1]]), "b"),
    (where("data", "contains", [2, "x", 2]), "b"),
    (where("data", "contains", {"n": 1.0}), "a"),
    (where("data", "contains", {"tags": ["y"]}), "a"),
    (where("data", "contains", {"tags": "y"}), ""),
    (where("data", "contains", {"n": {"m": [{"k": 2}]}}), "d"),
    (where("data", "contains", {"n": {"m": [{"k": 1, "l": None}]}}), ""),
    (where("data", "contains", {"n": {"m": [{"l": None}]}}), "d"),
    (And(()), "abcdefg"),
    (Or(()), ""),
    (Not(And(())), ""),
    (Not(Or(())), "abcdefg"),
    # Conditions that databases are not asked about, with values that are not sent.
    (And((Not(And(())), where("title", "eq", "water"))), ""),
    (And((where("title", "eq", "water"), Or(()))), ""),
    (Or((And(()), where("title", "eq", "water"))), "abcdefg"),
    (Or((where("title", "eq", "water"), Not(Or(())))), "abcdefg"),
    (And((where("amount", "gt", 0), Or((And(()), where("title", "eq", "x"))), where("done", "eq", True))), "a"),
    (And((where("amount", "gt", 0), where("amount", "lt", 10))), "ad"),
    (Or((where("title", "eq", "water"), where("amount", "eq", 10))), "be"),
    (where("title", "eq", "Water") | where("done", "eq", False) & where("amount", "lt", 0), "ab"),
    (~(where("title", "eq", "Water") | where("title", "eq", "water")), "cdef"),
    (~where("amount", "gt", 2) & ~where("title", "is_null", True), "abd"),
    # Unknown is neither true nor false.
    (~where("ratio", "eq", 1.0), "abc"),
    (where("amount", "eq", 5) | ~where("amount", "eq", 5), "abcde"),
    (Not(Not(where("done", "eq", True))), "a"),
    (Not(And((where("done", "eq", True), where("id", "eq", "g")))), "abcdef"),
    (Not(And((where("done", "eq", True), where("id", "eq", "x")))), "abcdefg"),
    (Or((where("done", "eq", True), where("id", "eq", "g"))), "ag"),
    (~where("title", "like", "%a%"), "c"),
    (~where("data", "contains", {"n": 1}), "bcdef"),
]


def _name(case: object) -> str:
    return str(case).replace("'", "")[:60]


def test_operators(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", ROWS))
    wrong = {}
    for condition, expected in SELECTED:
        result = adapter.table("things").where(condition).select(count=True).execute()
        if "".join(row["id"] for row in result) != expected or result.count != len(expected):
            wrong[_name(condition)] = [row["id"] for row in result]
    assert wrong == {}


def test_updates_and_deletes_reach_the_same_rows(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", ROWS))
    for condition, expected in SELECTED:
        changed = calm.table("things").update({"rank": 1}).where(condition).execute()
        assert ("".join(row["id"] for row in changed), changed.count) == (expected, len(expected)), condition
        with pytest.raises(_UndoneError), calm.transaction():
            deleted = calm.table("things").delete().where(condition).execute()
            assert "".join(row["id"] for row in deleted) == expected, condition
            raise _UndoneError


def test_filters_of_a_builder_are_joined_by_and(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", ROWS))
    table = adapter.table("things").select("id").neq("amount", 1).gt("amount", -8).gte("ratio", -1e300).lt("ratio", 9)
    assert [row["id"] for row in table.lte("amount", 2**62).is_null("title", False).execute()] == ["b", "c"]
    table = adapter.table("things").select("id").like("title", "%ater").ilike("title", "W%").contains("title", "t")
    assert [row["id"] for row in table.in_("id", ["a", "c"]).eq("done", True).execute()] == ["a"]


class _UndoneError(Exception):
    pass
