"""What ``table()`` offers in the words of Supabase's client, beside the plain filters."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.adapter.builder import TableQuery
from database.core.errors import Conflict
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import SeveralRows
from database.core.operations import Insert
from tests.contract.tables import thing

ROWS = [
    thing("a", title="x", amount=1, done=True),
    thing("b", title="y", amount=1, done=False),
    thing("c", amount=2),
    thing("d", title="x"),
]

Narrow = Callable[[TableQuery], TableQuery]


@pytest.fixture
def rows(adapter: DatabaseAdapter) -> DatabaseAdapter:
    adapter.run(Insert("things", ROWS))
    return adapter


SELECTED: list[tuple[Narrow, str]] = [
    (lambda q: q.is_("done", None), "cd"),
    (lambda q: q.is_("done", "null"), "cd"),
    (lambda q: q.is_("done", "not_null"), "ab"),
    (lambda q: q.is_("done", True), "a"),
    (lambda q: q.is_("done", "false"), "b"),
    (lambda q: q.is_("title", None), "c"),
    (lambda q: q.not_.is_("done", None), "ab"),
    (lambda q: q.not_.is_("done", True), "bcd"),
    (lambda q: q.not_.is_("done", False), "acd"),
    (lambda q: q.not_.eq("title", "x"), "b"),
    (lambda q: q.not_.in_("title", ["y"]).eq("amount", 1), "a"),
    (lambda q: q.eq("amount", 1).not_.like("title", "x"), "b"),
    (lambda q: q.not_.not_.eq("title", "x"), "ad"),
    (lambda q: q.match({"title": "x", "amount": 1}), "a"),
    (lambda q: q.match({}), "abcd"),
    (lambda q: q.range(0, 0), "a"),
    (lambda q: q.range(1, 2), "bc"),
    (lambda q: q.range(3, 10), "d"),
    (lambda q: q.range(4, 4), ""),
]


@pytest.mark.parametrize(("narrow", "selected"), SELECTED, ids=range(len(SELECTED)))
def test_which_rows_are_selected(rows: DatabaseAdapter, narrow: Narrow, selected: str) -> None:
    assert "".join(narrow(rows.table("things").select("id")).execute().ids) == selected
    with rows.transaction():
        assert "".join(narrow(rows.table("things").select("id")).execute().ids) == selected


def test_all_rows_are_counted(rows: DatabaseAdapter) -> None:
    for count in ("exact", True):
        assert rows.table("things").select("id", count=count).range(1, 1).execute().count == 4
    for no_count in (None, False):
        assert rows.table("things").select("id", count=no_count).execute().count is None


def test_one_row_or_none(rows: DatabaseAdapter) -> None:
    def named(title: str) -> TableQuery:
        return rows.table("things").select("id, title").eq("title", title)

    assert named("y").single().execute().data == {"id": "b", "title": "y"}
    assert named("y").maybe_single().execute().data == {"id": "b", "title": "y"}
    assert named("z").maybe_single().execute().data is None
    assert named("x").limit(1).single().execute().data == {"id": "a", "title": "x"}
    with pytest.raises(NotFound, match="no row"):
        named("z").single().execute()
    for several in (named("x").single(), named("x").maybe_single()):
        with pytest.raises(SeveralRows, match="several rows"):
            several.execute()


REFUSED: list[tuple[Callable[[DatabaseAdapter], Any], str]] = [
    (lambda a: a.table("things").is_("done", "maybe"), "None, True or False"),
    (lambda a: a.table("things").is_("done", 1), "None, True or False"),  # type: ignore[arg-type]
    (lambda a: a.table("things").is_("title", True).execute(), "must be text"),
    (lambda a: a.table("things").is_("nothing", None).execute(), "no column 'nothing'"),
    (lambda a: a.table("things").match({"title": None}).execute(), "use is_null"),
    (lambda a: a.table("things").eq("title", "x").not_.execute(), "not_ must be followed by a filter"),
    (lambda a: a.table("things").not_.delete().execute(), "not_ must be followed by a filter"),
    (lambda a: a.table("things").select("id", count="planned"), 'True or "exact"'),
    *[(lambda a, r=r: a.table("things").range(*r), "two integers") for r in ((2, 1), (-1, 1), (0, "1"), (True, 1))],
    (lambda a: a.table("things").insert(thing("e")).single().execute(), "takes no .* single"),
    (lambda a: a.table("things").maybe_single().delete().eq("id", "a").execute(), "takes no .* single"),
    (lambda a: a.table("things").single().subscribe(print), "never single"),
]


@pytest.mark.parametrize(("ask", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_is_refused(
    calm: DatabaseAdapter, ask: Callable[[DatabaseAdapter], Any], message: str
) -> None:
    calm.run(Insert("things", ROWS))
    with pytest.raises(InvalidQuery, match=message):
        ask(calm)
    assert len(calm.table("things").execute()) == len(ROWS)


def test_a_change_may_expect_a_version(rows: DatabaseAdapter) -> None:
    changed = rows.table("things").update({"title": "new"}, expected_version=1).eq("id", "a").execute().rows
    assert [(row["title"], row["version"]) for row in changed] == [("new", 2)]
    for query in (
        rows.table("things").update({"title": "old"}, expected_version=1).eq("id", "a"),
        rows.table("things").delete(expected_version=1).eq("id", "a"),
    ):
        with pytest.raises(Conflict):
            query.execute()
    assert rows.table("things").update({"title": "x"}, expected_version=1).eq("id", "nobody").execute().count == 0
    for query in (
        rows.table("things").delete(expected_version=1).eq("title", "x"),
        rows.table("things").delete(expected_version=1).gt("id", "a"),
        rows.table("things").delete(expected_version=1).eq("id", "b").eq("title", "y"),
    ):
        with pytest.raises(InvalidQuery, match=r"expected_version needs the key of the record.*\.eq\('id', …\)"):
            query.execute()
    assert rows.table("things").delete(expected_version=2).eq("id", "a").execute().count == 1


def test_a_write_that_is_never_executed_is_told(rows: DatabaseAdapter, caplog: pytest.LogCaptureFixture) -> None:
    rows.table("things").select("id")
    rows.table("things").insert(thing("e")).operation()
    rows.table("things").delete().eq("id", "a")
    gc.collect()
    told = [record.getMessage() for record in caplog.records if record.name == "database.adapter.builder"]
    assert told == ["the delete on table things was never executed; end the query with .execute()"]
    assert len(rows.table("things").execute()) == len(ROWS)
