"""The change feed, on which subscriptions are built."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from tests.contract.backends import Backend
from tests.contract.following import in_pages
from tests.contract.following import with_a_feed
from tests.contract.tables import thing


@with_a_feed
def test_a_feed_tells_every_change_once_and_in_order(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("before")]))
    start = calm.changes()
    assert (start.changes, start.more, start.gap) == ((), False, False)
    calm.run(Insert("things", [thing("a"), thing("b")]))
    calm.run(Update("things", {"rank": 1}, id="a"))
    with calm.transaction():
        calm.run(Delete("things", id="b"))
        calm.run(Insert("notes", [{"id": "n"}]))
    page = calm.changes(start.cursor)
    found = [(change.table, change.id, change.kind) for change in page.changes]
    assert found == [
        ("things", "a", "insert"),
        ("things", "b", "insert"),
        ("things", "a", "update"),
        ("things", "b", "delete"),
        ("notes", "n", "insert"),
    ]
    assert not page.more
    assert calm.changes(page.cursor).changes == ()
    assert in_pages(calm, start.cursor, 2)[0] == list(page.changes)


@with_a_feed
def test_a_full_page_is_followed_by_another_only_if_there_is_more(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("before")]))
    start = calm.changes()
    calm.run(Insert("things", [thing("a"), thing("b"), thing("c")]))
    assert [calm.changes(start.cursor, limit).more for limit in (1, 2, 4)] == [True, True, False]
    rest = calm.changes(calm.changes(start.cursor, 2).cursor, 1)
    assert [change.id for change in rest.changes] == ["c"]


@with_a_feed
def test_a_feed_has_what_a_savepoint_leaves(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("before")]))
    start = calm.changes()
    with calm.transaction() as transaction:
        calm.run(Insert("things", [thing("a")]))
        with pytest.raises(ZeroDivisionError), transaction.nested():
            calm.run(Insert("things", [thing("undone")]))
            raise ZeroDivisionError
    assert [change.id for change in calm.changes(start.cursor).changes] == ["a"]


@with_a_feed
def test_a_feed_has_nothing_of_a_failed_write(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("a", code="x")]))
    start = calm.changes()
    with pytest.raises(ConstraintViolated):
        calm.run(Insert("things", [thing("b"), thing("c", code="x")]))
    assert calm.changes(start.cursor).changes == ()


@with_a_feed
@pytest.mark.parametrize("cursor", ["", "x", "-1", "1:2:3", "\u0661", "9" * 40 + ":1", "1:9999999999999999999"])
def test_a_cursor_that_is_none_is_refused(backend: Backend, cursor: str) -> None:
    with pytest.raises(InvalidQuery, match="cursor"):
        backend.adapter.changes(cursor)


@with_a_feed
@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_page_has_a_size(backend: Backend, limit: int) -> None:
    with pytest.raises(InvalidQuery, match="limit"):
        backend.adapter.changes(None, limit)
