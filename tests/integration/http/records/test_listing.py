"""Lists: filters, order, pages and counts, and everything they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from urllib.parse import urlencode

import pytest

from api.records import pages
from api.records.listing import MAX_LIMIT
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

ROWS: list[dict[str, Any]] = [
    {"id": "1", "name": "water", "formula": "H2O", "properties": {"mass": 18, "tags": ["polar"]}},
    {"id": "2", "name": "Water", "formula": "D2O", "properties": {"mass": 20}},
    {"id": "3", "name": "salt, (fine)", "formula": "NaCl", "properties": None},
    {"id": "4", "name": '100% "pure"', "formula": None, "properties": {"mass": 1}},
    {"id": "5", "name": "a_b\\c*d", "formula": None, "properties": []},
    {"id": "6", "name": "äther", "formula": "C4H10O", "properties": "text"},
]


@pytest.fixture
def filled(site: Site) -> Site:
    assert site.post("/api/molecules", ROWS, site.register()).status_code == 201
    return site


def ids(site: Site, **parameters: str) -> str:
    """The ids that a list has, one character each, in its order."""
    answer = site.get(f"/api/molecules?{urlencode(parameters)}")
    assert answer.status_code == 200, answer.text
    return "".join(row["id"] for row in answer.json["data"])


FILTERS = [
    ({}, "123456"),
    ({"name": "eq.water"}, "1"),
    ({"name": "neq.water"}, "23456"),
    ({"name": "not.eq.water"}, "23456"),
    ({"name": "in.(water,Water)"}, "12"),
    ({"name": 'in.("salt, (fine)",water)'}, "13"),
    ({"name": 'in.("100% \\"pure\\"")'}, "4"),
    ({"name": "in.()"}, ""),
    ({"name": "eq.salt, (fine)"}, "3"),
    ({"name": "eq.' or '1'='1"}, ""),
    ({"name": "eq.water' --"}, ""),
    ({"name": 'eq."water"'}, ""),
    ({"name": "like.wat*"}, "1"),
    ({"name": "like.wat%"}, "1"),
    ({"name": "ilike.WAT*"}, "12"),
    ({"name": "like.a\\_b*"}, "5"),
    ({"name": "like._ther"}, "6"),
    ({"name": "cs.ater"}, "12"),
    ({"name": "contains.%"}, "4"),
    ({"formula": "is.null"}, "45"),
    ({"formula": "not.is.null"}, "1236"),
    ({"formula": "is.not_null"}, "1236"),
    ({"formula": "not.eq.H2O"}, "236"),
    ({"formula": "gt.D2O"}, "13"),
    ({"formula": "lte.D2O"}, "26"),
    ({"properties": 'cs.{"mass":18}'}, "1"),
    ({"properties": 'cs.{"tags":["polar"]}'}, "1"),
    ({"properties": "is.null"}, "3"),
    ({"version": "gte.1", "id": "lt.3"}, "12"),
    ({"created_at": "gt.2020-01-01T00:00:00Z"}, "123456"),
    ({"created_at": "gt.2120-01-01T00:00:00+01:00"}, ""),
    ({"or": "(name.eq.water,formula.is.null)"}, "145"),
    ({"and": "(id.gt.1,id.lt.4)"}, "23"),
    ({"not.or": "(id.gt.4,id.lt.3)"}, "34"),
    ({"or": "(id.eq.1,and(id.gt.2,not.or(id.eq.3,id.eq.4)),name.not.like.*)"}, "156"),
    ({"or": '(name.eq."salt, (fine)",properties.cs."{\\"mass\\":1}")'}, "34"),
    ({"or": "(id.in.(1,2),id.in.(6))", "name": "ilike.water"}, "12"),
]


def test_filters_select(filled: Site) -> None:
    for parameters, expected in FILTERS:
        assert ids(filled, order="id", **parameters) == expected, parameters


def test_the_same_column_twice_means_both(filled: Site) -> None:
    answer = filled.get("/api/molecules?id=gt.2&id=lt.5&or=(id.eq.3,id.eq.9)&or=(id.eq.3)")
    assert [row["id"] for row in answer.json["data"]] == ["3"]


def test_order_has_directions_and_places_nulls(filled: Site) -> None:
    assert ids(filled, order="formula.asc") == "621345"
    assert ids(filled, order="formula.desc") == "453126"
    assert ids(filled, order="formula.asc.nullsfirst,id.desc") == "546213"
    assert ids(filled, order="formula.nullslast,id.desc") == "621354"
    assert ids(filled, order="formula.desc.nullslast", limit="2", offset="1") == "12"
    assert ids(filled, order="name") == "425316"


def test_chosen_columns_and_counts(filled: Site) -> None:
    answer = filled.get("/api/molecules?select=formula&order=name&limit=2&count=exact&formula=not.is.null").json
    assert answer["data"] == [{"formula": "D2O"}, {"formula": "NaCl"}]
    assert answer["count"] == 4
    following = filled.get(
        "/api/molecules?select=formula&order=name&limit=2&count=exact&formula=not.is.null&cursor="
        + answer["next_cursor"]
    ).json
    assert following["data"] == [{"formula": "H2O"}, {"formula": "C4H10O"}]
    assert following["count"] == 4
    assert following["next_cursor"] is None
    assert filled.get("/api/molecules?limit=0&count=exact").json == {"data": [], "next_cursor": None, "count": 6}


@pytest.mark.parametrize("order", ["id", "name", "formula.desc", "formula.asc.nullsfirst,created_at.desc", "version"])
def test_pages_follow_each_other_without_gaps_or_repeats(filled: Site, order: str) -> None:
    more = [{"id": f"n{number:02}", "name": f"n{number % 4}", "formula": "X"} for number in range(17)]
    assert filled.post("/api/molecules", more, filled.login()).status_code == 201
    whole = filled.get(f"/api/molecules?order={order}").json["data"]
    seen: list[Any] = []
    cursor = ""
    while True:
        page = filled.get(f"/api/molecules?order={order}&limit=4{cursor}").json
        seen += page["data"]
        if page["next_cursor"] is None:
            break
        assert len(page["data"]) == 4
        assert len(seen) < 40
        cursor = "&cursor=" + page["next_cursor"]
    assert seen == whole
    assert len(seen) == 23


def test_a_page_of_large_rows_ends_early_and_goes_on(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_BYTES", 40_000)
    monkeypatch.setattr(pages, "PORTION", 3)
    monkeypatch.setattr(pages, "LARGER_PORTION", 5)
    rows = [{"id": f"n{number:02}", "name": "n", "formula": "x" * 300 * number} for number in range(25)]
    assert filled.post("/api/molecules", rows, filled.login()).status_code == 201
    pages_of: list[list[str]] = []
    cursor: str | None = "&offset=1&count=exact"
    while cursor is not None:
        page = filled.get(f"/api/molecules?select=formula,id&order=name.desc,version&limit=1000{cursor}").json
        pages_of.append([row["id"] for row in page["data"]])
        assert len(pages_of) < 20
        if "offset" in cursor:
            assert page["count"] == 31
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    seen = [name for page in pages_of for name in page]
    monkeypatch.undo()
    assert seen == list(filled_ids(filled, "name.desc,version"))[1:]
    assert 1 < len(pages_of) < 10
    assert len(pages_of[0]) > 3


def filled_ids(site: Site, order: str) -> Iterator[str]:
    for row in site.get(f"/api/molecules?select=id&order={order}&limit=1000").json["data"]:
        yield row["id"]


def test_a_cursor_belongs_to_its_list(filled: Site) -> None:
    cursor = filled.get("/api/molecules?order=name&limit=2").json["next_cursor"]
    assert filled.get(f"/api/molecules?order=name.asc,id&limit=2&cursor={cursor}").status_code == 200
    for other in (
        f"/api/molecules?cursor={cursor}",
        f"/api/molecules?order=name.desc&cursor={cursor}",
        f"/api/molecules?order=name.nullsfirst&cursor={cursor}",
        f"/api/protocols?order=name&cursor={cursor}",
        f"/api/molecules?order=name&cursor={cursor[:-4]}",
        f"/api/molecules?order=name&cursor=A{cursor}",
        f"/api/molecules?order=name&cursor={quote('ü')}",
        "/api/molecules?order=name&cursor=",
        f"/api/molecules?order=name&offset=1&cursor={cursor}",
    ):
        assert_problem(filled.get(other), 400, "invalid-query")


@pytest.mark.parametrize(
    "query",
    [
        "colour=eq.blue",
        "name=water",
        "name=eq",
        "name=is.water",
        "name=EQ.water",
        "name=not.not.eq.water",
        "name=in.water",
        "name=in.(water",
        'name=in.("water)',
        'name=in.("water"x)',
        "version=eq.one",
        "version=eq.99999999999999999999",
        "version=eq.1.5",
        "version=cs.1",
        "version=like.1",
        "created_at=gt.yesterday",
        "created_at=gt.2020-01-01T00:00:00",
        "properties=eq.1",
        "properties=cs.{",
        "name=like.a%5C",
        "name=eq.%00",
        "or=name.eq.water",
        "or=()",
        "or=(name.eq.water",
        "or=(name.eq.water))",
        "or=(colour.eq.blue)",
        "or=(name)",
        "xor=(name.eq.water)",
        "or=" + "(or" * 17 + "(id.eq.1)" + ")" * 17,
        "or=(" + ",".join(["id.eq.1"] * 101) + ")",
        "name=in.(" + ",".join(["a"] * 1025) + ")",
        "order=colour",
        "order=properties",
        "order=id,colour",
        "order=" + ",".join(["name"] * 17),
        "order=name.up",
        "order=name.nullslast.asc",
        "order=",
        "select=",
        "select=name,name",
        "select=colour",
        "select=name&select=id",
        "limit=-1",
        f"limit={MAX_LIMIT + 1}",
        "limit=ten",
        "limit=1&limit=2",
        "offset=-1",
        "offset=99999999999999999999",
        "count=planned",
    ],
)
def test_what_is_not_understood_is_refused(sqlite_site: Site, query: str) -> None:
    problem = assert_problem(sqlite_site.get(f"/api/molecules?{query}"), 400, "invalid-query")
    assert problem["detail"]
