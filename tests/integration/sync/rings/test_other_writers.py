"""Which of two edits of one record wins, if other programs write, with and without the columns that say when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.clock import utc_now
from database.core.context import as_application
from database.core.operations import Insert
from database.core.operations import Update
from tests.integration.sync.rings.conftest import Pair
from tests.integration.sync.rings.test_unique_values import strict
from tests.integration.sync.support import journal

SQL = pytest.mark.parametrize("_pair", ["sqlite-postgres"], indirect=True)


def _edit(adapter: DatabaseAdapter, table: str, column: str, value: str) -> None:
    """As another program does, which knows of no version and no time."""
    with as_application():
        adapter.execute_query(f"update {table} set {column} = %s where id = '0000'", (value,))


def _let_a_millisecond_pass() -> None:
    """SQLite's own clock, by which its triggers go, counts no more."""
    until = utc_now() + timedelta(milliseconds=2)
    while utc_now() < until:
        pass


@SQL
@pytest.mark.parametrize("later", ["first", "second"])
@pytest.mark.parametrize("by_application", [False, True])
def test_with_a_time_the_later_edit_wins(pair: Pair, later: str, by_application: bool) -> None:
    with as_application():
        pair.first.run(Insert("strict", strict(1)))
    pair.sync()
    earlier_side, later_side = (pair.second, pair.first) if later == "first" else (pair.first, pair.second)
    if by_application:
        with as_application():
            earlier_side.run(Update("strict", {"owner": "z earlier"}, "0000"))
    else:
        _edit(earlier_side, "strict", "owner", "z earlier")
    _let_a_millisecond_pass()
    _edit(later_side, "strict", "owner", "a later")
    pair.sync()
    (row,) = pair.rows(pair.first)["strict"]
    assert row["owner"] == "a later"
    assert row["version"] > 2
    with as_application():
        (entry,) = journal(pair.first, pair.second)
    assert {entry["first_row"]["owner"], entry["second_row"]["owner"]} == {"z earlier", "a later"}


@SQL
@pytest.mark.parametrize("greater", ["first", "second"])
def test_without_a_time_the_content_decides_whoever_is_first(pair: Pair, greater: str) -> None:
    with as_application():
        pair.second.run(Insert("slots", [{"id": "0000", "title": "old"}]))
    pair.sync()
    for name in ("second", "first"):
        _edit(getattr(pair, name), "slots", "title", "z" if name == greater else "a")
    pair.sync()
    assert [row["title"] for row in pair.rows(pair.first)["slots"]] == ["z"]
    with as_application():
        (entry,) = journal(pair.first, pair.second)
    assert {entry["first_row"]["title"], entry["second_row"]["title"]} == {"a", "z"}
    assert entry["rule"] == "last_modified"
