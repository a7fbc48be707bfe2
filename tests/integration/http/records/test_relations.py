"""Related rows and integers as text in lists and records."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from api.records import relations
from database.adapter import joins
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

MOLECULES = [{"id": name, "name": name} for name in "abc"]
EXPERIMENTS = [
    {"id": "3", "name": "x", "molecule_id": "a", "protocol_id": "p"},
    {"id": "2", "name": "y", "molecule_id": "c", "results": {"n": 1}},
    {"id": "1", "name": "z", "molecule_id": "a"},
]


@pytest.fixture
def user(site: Site) -> Headers:
    """The headers of a caller, after whose requests there are records of all tables."""
    user = site.register()
    for table, rows in (
        ("molecules", MOLECULES),
        ("protocols", [{"id": "p", "name": "p"}]),
        ("experiments", EXPERIMENTS),
    ):
        assert site.post(f"/api/{table}", rows, user).status_code == 201
    return user


def data(site: Site, table: str, select: str, more: str = "") -> Any:
    answer = site.get(f"/api/{table}?select={quote(select)}{more}")
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


@pytest.mark.usefixtures("user")
def test_lists_have_related_rows(site: Site) -> None:
    assert data(site, "molecules", "id,experiments(id)") == [
        {"id": "a", "experiments": [{"id": "1"}, {"id": "3"}]},
        {"id": "b", "experiments": []},
        {"id": "c", "experiments": [{"id": "2"}]},
    ]
    related = "molecules(id), by:protocols!protocol_id(name,version::text)"
    assert data(site, "experiments", related, "&order=name&limit=2") == [
        {"molecules": {"id": "a"}, "by": {"name": "p", "version": "1"}},
        {"molecules": {"id": "c"}, "by": None},
    ]
    whole = {row["id"]: row for row in site.get("/api/molecules").json["data"]}
    tested = {row["id"]: row for row in site.get("/api/experiments").json["data"]}
    assert data(site, "experiments", "*,molecules(*)") == [
        row | {"molecules": whole[row["molecule_id"]]} for row in tested.values()
    ]


@pytest.mark.usefixtures("user")
def test_pages_and_counts_are_those_of_the_rows(site: Site) -> None:
    query = "/api/molecules?select=experiments(id)&order=name.desc&limit=2&count=exact"
    first = site.get(query).json
    assert (first["data"], first["count"]) == ([{"experiments": [{"id": "2"}]}, {"experiments": []}], 3)
    second = site.get(f"{query}&cursor={first['next_cursor']}").json
    assert second["data"] == [{"experiments": [{"id": "1"}, {"id": "3"}]}]
    assert second["next_cursor"] is None


@pytest.mark.usefixtures("user")
def test_a_record_with_related_rows_has_no_tag(site: Site) -> None:
    answer = site.get("/api/molecules/a?select=name,experiments(id)", {"If-None-Match": '"1"'})
    assert (answer.status_code, "ETag" in answer.headers) == (200, False)
    assert answer.json == {"name": "a", "experiments": [{"id": "1"}, {"id": "3"}]}
    tagged = site.get("/api/molecules/a?select=id,version::text")
    assert (tagged.headers["ETag"], tagged.json) == ('"1"', {"id": "a", "version": "1"})
    assert_problem(site.get("/api/molecules/z?select=experiments(id)"), 404, "not-found")


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("molecules?select=*,nothing(*)", 404, "does not exist"),
        # What a list of the table is refused with.
        ("molecules?select=*,isthmus_users(*)", 404, "does not exist"),
        ("molecules?select=*,notes(*)", 401, ""),
        ("molecules/a?select=*,notes(*)", 401, ""),
        ("molecules?select=*,protocols(*)", 400, "no foreign key"),
        ("molecules?select=*,experiments(protocols(*))", 400, "one level deep"),
        ("molecules?select=*,experiments(nothing)", 400, "no column 'nothing'"),
        ("molecules?select=name::text,experiments(id)&experiments.name=eq.x", 400, "the table's own columns"),
        ("molecules?select=*,experiments(id)&order=experiments.name", 400, "order must have the form"),
        ("molecules?select=properties::text", 400, "only integer columns"),
        ("molecules?select=*,experiments(id", 400, "parentheses"),
        ("molecules/a?select=*,experiments()", 400, "must name its columns"),
    ],
)
def test_what_does_not_fit_is_refused(sqlite_site: Site, query: str, status: int, detail: str) -> None:
    assert sqlite_site.post("/api/molecules", MOLECULES, sqlite_site.register()).status_code == 201
    assert detail in assert_problem(sqlite_site.get(f"/api/{query}"), status).get("detail", "")


def test_a_caller_who_may_read_a_table_is_told_that_it_is_not_related(sqlite_site: Site) -> None:
    refused = sqlite_site.get("/api/molecules?select=*,notes(*)", sqlite_site.register())
    assert "no foreign key" in assert_problem(refused, 400, "invalid-query")["detail"]


def test_too_many_related_rows_are_refused(site: Site, user: Headers, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "/api/molecules?select=experiments(id),again:experiments(id)"
    monkeypatch.setattr(relations, "MAX_RELATED", 6)
    assert site.get(query, user).status_code == 200
    monkeypatch.setattr(relations, "MAX_RELATED", 5)
    refused = site.get(query, user)
    assert "too many or too large" in assert_problem(refused, 400, "invalid-query")["detail"]


def test_a_large_row_is_not_repeated_without_end(sqlite_site: Site) -> None:
    user = sqlite_site.register()
    large = {"id": "a", "name": "a", "properties": "x" * 300_000}
    assert sqlite_site.post("/api/molecules", large, user).status_code == 201
    rows = [{"id": f"{n:02}", "name": "x", "molecule_id": "a"} for n in range(40)]
    assert sqlite_site.post("/api/experiments", rows, user).status_code == 201
    refused = sqlite_site.get("/api/experiments?select=molecules(properties)")
    assert "too many or too large" in assert_problem(refused, 400, "invalid-query")["detail"]
    assert len(data(sqlite_site, "experiments", "molecules(properties)", "&limit=20")) == 20


def test_many_related_rows_are_read_in_parts(site: Site, user: Headers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "_PORTION", 2)
    monkeypatch.setattr(joins, "_LARGER_PORTION", 3)
    more = [{"id": f"m{n}", "name": "x", "molecule_id": "b"} for n in range(9)]
    assert site.post("/api/experiments", more, user).status_code == 201
    related = [len(row["experiments"]) for row in data(site, "molecules", "experiments(id)")]
    assert related == [2, 9, 1]
