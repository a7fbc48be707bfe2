"""One transaction with several identities: on every backend, each operation has the rights of its own caller."""

from __future__ import annotations

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import ANONYMOUS
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import PermissionDenied
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from tests.contract.callers import ADA
from tests.contract.callers import BOB
from tests.contract.callers import begin_diaries
from tests.contract.callers import entry
from tests.contract.callers import written
from tests.contract.tables import thing


@pytest.fixture
def adapter(calm: DatabaseAdapter) -> DatabaseAdapter:
    """Ada has two entries in her diary, Bob has one."""
    begin_diaries(calm)
    return calm


def ids(adapter: DatabaseAdapter) -> list[str]:
    return [row["id"] for row in adapter.run(Select("diaries", ("id",)))]


def test_a_caller_reads_and_the_application_writes(adapter: DatabaseAdapter) -> None:
    """As in a view that checks something with its caller's rights, and notes it with its own."""
    with acting_as(ADA), adapter.transaction():
        assert ids(adapter) == ["a1", "a2"]
        with as_application():
            adapter.run(Update("diaries", {"title": "seen"}, "a1"))
            adapter.run(Update("diaries", {"title": "seen"}, "b1"))
            adapter.run(Insert("diaries", [entry("a3", ADA), entry("b2", BOB)]))
            adapter.run(Delete("diaries", "a2"))
        assert ids(adapter) == ["a1", "a3"]
        assert adapter.get("diaries", "a1", ("title",)) == {"title": "seen"}
        assert adapter.get("diaries", "b1") is None
    assert {row["id"]: row["title"] for row in written(adapter)} == {"a1": "seen", "a3": "a3", "b1": "seen", "b2": "b2"}


def test_the_application_begins_and_a_caller_writes(adapter: DatabaseAdapter) -> None:
    """As with an idempotency key, which no caller may touch."""
    with acting_as(ADA), adapter.transaction():
        with as_application():
            assert adapter.get("parts", "key") is None
            adapter.run(Insert("things", [thing("t")]))
            adapter.run(Insert("parts", [{"id": "key", "thing_id": "t"}]))
        adapter.run(Insert("diaries", [{"id": "a3", "title": "mine"}]))
        adapter.run(Update("diaries", {"title": "new"}, "a1"))
        with as_application():
            adapter.run(Update("parts", {"name": "answered"}, "key"))
            assert ids(adapter) == ["a1", "a2", "a3", "b1"]
        assert ids(adapter) == ["a1", "a2", "a3"]
    assert len(written(adapter)) == 4
    assert adapter.run(Select("parts", ("name",))).rows == [{"name": "answered"}]


@pytest.mark.parametrize("first", [ADA, None], ids=["ada", "application"])
@pytest.mark.parametrize(
    ("identity", "operation"),
    [
        (ADA, Insert("diaries", [entry("x", BOB)])),
        (ADA, Update("diaries", {"owner_id": BOB.subject}, "a1")),
        (ANONYMOUS, Select("diaries")),
        (ANONYMOUS, Insert("things", [thing("x")])),
        (BOB, Insert("diaries", [entry("x", ADA)])),
    ],
    ids=repr,
)
def test_a_refusal_to_one_undoes_what_all_did(
    adapter: DatabaseAdapter, first: Identity | None, identity: Identity, operation: Operation
) -> None:
    before = written(adapter)
    with acting_as(first) if first else as_application(), pytest.raises(PermissionDenied), adapter.transaction():
        _change_as_both(adapter, identity, operation)
    assert written(adapter) == before


def _change_as_both(adapter: DatabaseAdapter, identity: Identity, operation: Operation) -> None:
    adapter.run(Update("diaries", {"title": "x"}, "a1"))
    with as_application():
        adapter.run(Update("diaries", {"title": "x"}, "b1"))
    with acting_as(identity):
        adapter.run(operation)


def test_two_callers_have_their_own_rows(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA), adapter.transaction():
        adapter.run(Update("diaries", {"title": "ada's"}, "a1"))
        with acting_as(BOB):
            assert ids(adapter) == ["b1"]
            assert adapter.run(Update("diaries", {"title": "bob's"}, "a1")).count == 0
            adapter.run(Update("diaries", {"title": "bob's"}, "b1"))
        assert ids(adapter) == ["a1", "a2"]
    assert {row["id"]: row["title"] for row in written(adapter)} == {"a1": "ada's", "a2": "a2", "b1": "bob's"}


def test_a_savepoint_undoes_what_all_did_since(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA), adapter.transaction():
        adapter.run(Update("diaries", {"title": "kept"}, "a1"))
        with pytest.raises(ZeroDivisionError), adapter.transaction():
            _change_and_fail(adapter)
        assert adapter.run(Get("diaries", "a1", ("title",))).rows == [{"title": "kept"}]
        assert ids(adapter) == ["a1", "a2"]
        with as_application():
            assert ids(adapter) == ["a1", "a2", "b1"]
    assert {row["id"]: row["title"] for row in written(adapter)} == {"a1": "kept", "a2": "a2", "b1": "b1"}


def _change_and_fail(adapter: DatabaseAdapter) -> None:
    with as_application():
        adapter.run(Update("diaries", {"title": "undone"}, "a1"))
        adapter.run(Delete("diaries", "b1"))
    adapter.run(Delete("diaries", "a2"))
    raise ZeroDivisionError
