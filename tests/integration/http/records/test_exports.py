"""Exports: all records of a list, a line each, without one of both sides holding them all."""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest

from api.records.exports import LINES
from database.core.context import SERVICE
from database.core.context import acting_as
from database.core.errors import ConnectFailed
from database.core.operations import Insert
from tests.integration.http.records.conftest import Run
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import making_sites

WHOLE = {"Accept": LINES}
ROWS = int(os.environ.get("EXPORT_ROWS", "12000"))
"""How many records the largest export has; a full-size run has a million."""


def _fill(site: Site, rows: int, first: int = 0) -> None:
    with acting_as(SERVICE):
        for start in range(first, rows, 5_000):
            numbers = range(start, min(start + 5_000, rows))
            site.manager.adapter.run(Insert("molecules", [_molecule(number) for number in numbers], returning=False))


def _molecule(number: int) -> dict[str, Any]:
    return {"id": f"{number:08}", "name": f"m{number % 7}", "properties": {"number": number}}


def _lines(answer: Any) -> list[Any]:
    assert (answer.status_code, answer.content_type) == (200, LINES)
    return [orjson.loads(line) for line in answer.data.splitlines()]


def test_an_export_has_all_records_in_the_order_of_the_list(site: Site) -> None:
    _fill(site, 2_500)
    lines = _lines(site.get("/api/molecules?order=name.desc", WHOLE))
    assert [row["id"] for row in lines] == [
        f"{number:08}" for number in sorted(range(2_500), key=lambda number: (-(number % 7), number))
    ]
    assert lines[0] == site.get("/api/molecules?order=name.desc&limit=1").json["data"][0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", []),
        ("limit=1001&offset=2", range(2, 1_003)),
        ("limit=1200&name=in.(m0,m1,m2,m3,m4,m5,m6)", range(1_200)),
        ("properties=cs.{%22number%22:1150}", [1_150]),
    ],
)
def test_filters_limit_and_offset_are_those_of_a_list(site: Site, query: str, expected: list[int]) -> None:
    _fill(site, 1_300)
    lines = _lines(site.get(f"/api/molecules?select=id,version::text&{query}", WHOLE))
    assert lines == [{"id": f"{number:08}", "version": "1"} for number in expected]


def test_an_export_goes_on_behind_a_cursor(site: Site) -> None:
    _fill(site, 1_200)
    cursor = site.get("/api/molecules?limit=100").json["next_cursor"]
    assert [row["id"] for row in _lines(site.get(f"/api/molecules?select=id&cursor={cursor}", WHOLE))] == [
        f"{number:08}" for number in range(100, 1_200)
    ]


def test_a_caller_exports_what_the_caller_may_read(site: Site) -> None:
    mine, theirs = site.register(), site.register("other")
    for headers, text in ((mine, "mine"), (theirs, "theirs"), (mine, "mine"), (theirs, "theirs")):
        answer = site.post("/api/notes", [{"title": text} for _ in range(600)], headers)
        assert answer.status_code == 201, answer.text
    lines = _lines(site.get("/api/notes?select=title", {**mine, **WHOLE}))
    assert lines == [{"title": "mine"}] * 1_200
    assert_problem(site.get("/api/notes", WHOLE), 401, "unauthorized")


def test_a_record_that_cannot_be_read_has_a_line_of_its_own(site: Site, run: Run) -> None:
    _fill(site, 2)
    run(
        "insert into molecules (id, created_at, updated_at, version, name)"
        " values ('00000000b', '2026-01-01T00:00:00.000000Z', 'infinity', 1, 'odd')"
    )
    lines = _lines(site.get("/api/molecules?select=id,updated_at", WHOLE))
    assert [line["id"] for line in lines if "id" in line] == ["00000000", "00000001"]
    (bad,) = [line["@unreadable"] for line in lines if "@unreadable" in line]
    assert (bad["id"], bad["column"]) == ("00000000b", "updated_at")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("count=exact", "an export has no count"),
        ("select=*,experiments(name)", "an export has no related rows"),
        ("limit=-1", "limit"),
        ("nothing=eq.1", "no column"),
    ],
)
def test_what_an_export_does_not_have_is_refused(site: Site, query: str, message: str) -> None:
    assert message in assert_problem(site.get(f"/api/molecules?{query}", WHOLE), 400, "invalid-query")["detail"]


@pytest.mark.parametrize("accept", ["*/*", "application/json", f"application/json, {LINES};q=0.5", "text/html"])
def test_others_get_a_page(sqlite_site: Site, accept: str) -> None:
    assert sqlite_site.get("/api/molecules", {"Accept": accept}).json == {"data": [], "next_cursor": None}


def test_an_export_that_fails_does_not_end_as_if_it_were_whole(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(sqlite_site, 1_500)
    adapter = sqlite_site.manager.adapter
    answer = sqlite_site.get("/api/molecules", WHOLE, buffered=False)
    lines = iter(answer.response)
    assert next(lines).count(b"\n") == 1_000
    monkeypatch.setattr(adapter, "_call", _fail)
    with pytest.raises(ConnectFailed):
        next(lines)
    answer.close()


def test_without_a_token_an_export_has_a_limit(tmp_path: Path) -> None:
    with making_sites(tmp_path, ANONYMOUS_EXPORT_ROWS=1_200) as make:
        site = make()
        _fill(site, 1_250)
        few = "properties=not.cs.{%22number%22:7}&limit=1200"
        for query in ("", "limit=1201", "offset=49", "id=gt.00000048", "name=in.(m0,m1,m2,m3,m4,m5,m6)"):
            problem = assert_problem(site.get(f"/api/molecules?{query}", WHOLE), 401, "unauthorized")
            assert "more than 1200 records needs a token" in problem["detail"]
        for query, rows in (("limit=1200", 1_200), ("offset=50", 1_200), ("id=gt.00000049", 1_200), (few, 1_200)):
            assert len(_lines(site.get(f"/api/molecules?{query}", WHOLE))) == rows
        assert len(_lines(site.get("/api/molecules", {**site.register(), **WHOLE}))) == 1_250
        cursor = site.get("/api/molecules?limit=100").json["next_cursor"]
        assert len(_lines(site.get(f"/api/molecules?cursor={cursor}", WHOLE))) == 1_150


def test_an_offset_beyond_all_numbers_is_an_empty_export(sqlite_site: Site) -> None:
    assert _lines(sqlite_site.get(f"/api/molecules?offset={2**63 - 1}", WHOLE)) == []


def _fail(*_: object) -> None:
    raise ConnectFailed("down")


def _peak(site: Site, headers: Headers) -> tuple[int, int]:
    """The lines of an export, and the most bytes that it has held."""
    answer = site.get("/api/molecules", {**headers, **WHOLE}, buffered=False)
    tracemalloc.start()
    lines = sum(chunk.count(b"\n") for chunk in answer.response)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    answer.close()
    return lines, peak


def test_the_memory_does_not_grow_with_the_records(sqlite_site: Site) -> None:
    _fill(sqlite_site, ROWS // 4)
    headers = sqlite_site.register()
    part = _peak(sqlite_site, headers)
    _fill(sqlite_site, ROWS, ROWS // 4)
    whole = _peak(sqlite_site, headers)
    sys.stdout.write(f"{part[0]} and {whole[0]} records: at most {part[1]} and {whole[1]} bytes\n")
    assert (part[0], whole[0]) == (ROWS // 4, ROWS)
    assert whole[1] < 1.5 * part[1]
