"""Interactive transactions are atomic."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

from typing import Any
from typing import NoReturn

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.core.context import NO_CONTEXT
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Update
from tests.contract.lateness import within
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing


@pytest.fixture
def other() -> DatabaseAdapter:
    """An adapter of another database, with one thing in it."""
    other = MemoryAdapter(schema=SCHEMA, name="other")
    other.run(Insert("things", [thing("x")]))
    return other


def test_a_block_is_committed_at_its_end(adapter: DatabaseAdapter) -> None:
    with adapter.transaction() as transaction:
        adapter.run(Insert("things", [thing("a")]))
        adapter.table("things").update({"rank": 1}).eq("id", "a").execute()
        assert (adapter.get("things", "a") or {})["rank"] == 1
        assert adapter.run_alone(Get("things", "a")).rows == []
    assert transaction.state == "committed"
    assert (adapter.get("things", "a") or {})["version"] == 2


def test_an_exception_undoes_the_block_and_goes_on(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a")]))
    with pytest.raises(ZeroDivisionError), adapter.transaction() as transaction:
        adapter.run(Insert("things", [thing(f"n{number}") for number in range(30)]))
        adapter.run(Delete("things", id="a"))
        raise ZeroDivisionError
    assert transaction.state == "rolled_back"
    assert _ids(adapter) == ["a"]


def test_handles_are_committed_and_rolled_back_by_hand(adapter: DatabaseAdapter) -> None:
    for name, finish in (("a", adapter.commit_transaction), ("b", adapter.rollback_transaction)):
        transaction = adapter.begin_transaction()
        transaction.execute(Insert("things", [thing(name)]), NO_CONTEXT)
        assert transaction.execute(Get("things", name, ("id",)), NO_CONTEXT).first == {"id": name}
        assert finish(transaction) is True
    assert _ids(adapter) == ["a"]


def test_plain_calls_do_not_join_a_handle(adapter: DatabaseAdapter) -> None:
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("a")]), NO_CONTEXT)
    assert _ids(adapter) == []
    adapter.commit_transaction(transaction)
    assert _ids(adapter) == ["a"]


@pytest.mark.parametrize("finish", ["commit", "rollback"])
def test_a_transaction_that_is_over_is_over(adapter: DatabaseAdapter, finish: str) -> None:
    transaction = adapter.begin_transaction()
    getattr(transaction, finish)()
    state = transaction.state
    for refused in (
        lambda: transaction.execute(Insert("things", [thing("a")]), NO_CONTEXT),
        lambda: transaction.execute(Get("things", "a"), NO_CONTEXT),
        lambda: adapter.commit_transaction(transaction),
        lambda: transaction.nested().__enter__(),
    ):
        with pytest.raises(TransactionError, match="already ended"):
            refused()
    assert adapter.rollback_transaction(transaction) is True
    assert transaction.state == state
    assert _ids(adapter) == []


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (Insert("things", [thing("a")]), ConstraintViolated),
        (Insert("things", [thing("c", amount="1")]), InvalidQuery),
        (Update("things", {"rank": 1}, id="old", expected_version=7), Conflict),
    ],
    ids=["violation", "invalid", "conflict"],
)
def test_a_failure_aborts_the_transaction(adapter: DatabaseAdapter, operation: Any, error: type[Exception]) -> None:
    adapter.run(Insert("things", [thing("old")]))
    with pytest.raises(TransactionError, match="rolled back"), adapter.transaction() as transaction:
        adapter.run(Insert("things", [thing("a")]))
        with pytest.raises(error):
            adapter.run(operation)
        assert transaction.state == "aborted"
        with pytest.raises(TransactionError, match="has failed"):
            adapter.get("things", "old")
        with pytest.raises(TransactionError, match="has failed"), adapter.transaction():
            pytest.fail("the savepoint was made")
    assert transaction.state == "rolled_back"
    assert _ids(adapter) == ["old"]


def test_running_out_of_time_inside_is_no_mistake_of_the_callers(adapter: DatabaseAdapter) -> None:
    with pytest.raises(TimedOut, match="rolled back"), adapter.transaction():
        adapter.run(Insert("things", [thing("a")]))
        with pytest.raises(TimedOut, match="deadline passed"), within(-1):
            adapter.get("things", "a")
        with pytest.raises(TimedOut, match="has failed"):
            adapter.get("things", "a")
        with pytest.raises(TimedOut, match="has failed"), adapter.transaction():
            pytest.fail("the savepoint was made")
    assert _ids(adapter) == []


class _Broken(dict[str, Any]):
    def __iter__(self) -> NoReturn:
        raise ZeroDivisionError


def test_a_bug_aborts_the_transaction_too(adapter: DatabaseAdapter) -> None:
    with pytest.raises(TransactionError), adapter.transaction():
        adapter.run(Insert("things", [thing("a")]))
        with pytest.raises(ZeroDivisionError):
            adapter.run(Insert("things", [thing("b"), _Broken()]))
    assert _ids(adapter) == []


def test_a_nested_block_is_a_savepoint(adapter: DatabaseAdapter) -> None:
    with adapter.transaction() as outer:
        adapter.run(Insert("things", [thing("a")]))
        with adapter.transaction() as inner:
            assert inner is outer
            adapter.run(Insert("things", [thing("b")]))
        with pytest.raises(ZeroDivisionError), outer.nested():
            adapter.run(Delete("things", id="a"))
            adapter.run(Insert("things", [thing("c")]))
            raise ZeroDivisionError
        adapter.run(Insert("things", [thing("d")]))
    assert _ids(adapter) == ["a", "b", "d"]


def test_savepoints_inside_savepoints(adapter: DatabaseAdapter) -> None:
    with adapter.transaction(), adapter.transaction():
        adapter.run(Insert("things", [thing("a")]))
        with pytest.raises(ZeroDivisionError), adapter.transaction():
            adapter.run(Insert("things", [thing("b")]))
            with adapter.transaction():
                adapter.run(Insert("things", [thing("c")]))
                with pytest.raises(ZeroDivisionError), adapter.transaction():
                    adapter.run(Delete("things", id="c"))
                    raise ZeroDivisionError
            assert _ids(adapter) == ["a", "b", "c"]
            raise ZeroDivisionError
        with adapter.transaction():
            adapter.run(Insert("things", [thing("e")]))
    assert _ids(adapter) == ["a", "e"]


def test_a_failure_in_a_nested_block_can_be_survived(adapter: DatabaseAdapter) -> None:
    with adapter.transaction() as transaction:
        adapter.run(Insert("things", [thing("a")]))
        for _ in range(3):
            with pytest.raises(ConstraintViolated), adapter.transaction():
                adapter.run(Insert("things", [thing("b")]))
                adapter.run(Insert("things", [thing("a")]))
        assert transaction.state == "active"
        adapter.run(Insert("things", [thing("c")]))
    assert _ids(adapter) == ["a", "c"]


def test_a_failure_swallowed_in_a_nested_block_undoes_that_block(adapter: DatabaseAdapter) -> None:
    with adapter.transaction():
        adapter.run(Insert("things", [thing("a")]))
        with adapter.transaction():
            adapter.run(Insert("things", [thing("b")]))
            with pytest.raises(ConstraintViolated):
                adapter.run(Insert("things", [thing("a")]))
    assert _ids(adapter) == ["a"]


def test_an_exception_after_nested_work_undoes_that_too(adapter: DatabaseAdapter) -> None:
    with pytest.raises(ZeroDivisionError), adapter.transaction():
        with adapter.transaction():
            adapter.run(Insert("things", [thing("a")]))
        raise ZeroDivisionError
    assert _ids(adapter) == []


def test_another_backend_can_be_read_but_not_changed(adapter: DatabaseAdapter, other: DatabaseAdapter) -> None:
    with adapter.transaction() as transaction:
        adapter.run(Insert("things", [thing("a")]))
        assert _ids(other) == ["x"]
        with pytest.raises(TransactionError, match="cannot change") as refused:
            other.run(Insert("things", [thing("b")]))
        assert refused.value.backend == "other"
        with pytest.raises(TransactionError, match="cannot change"), other.transaction():
            pytest.fail("the other backend joined")
        assert transaction.state == "active"
    assert (_ids(adapter), _ids(other)) == (["a"], ["x"])


def test_open_transactions_are_counted(adapter: DatabaseAdapter) -> None:
    with adapter.transaction():
        assert adapter.get_connection_info()["active_transactions"] == 1
    assert adapter.get_connection_info()["active_transactions"] == 0


def test_many_transactions_one_after_another(calm: DatabaseAdapter) -> None:
    """More than there are permits or connections: each releases its own, however it ends."""
    for number in range(80):
        transaction = calm.begin_transaction()
        transaction.execute(Insert("notes", [{"id": f"{number:02}"}]), NO_CONTEXT)
        (transaction.commit if number % 2 else transaction.rollback)()
    assert len(calm.table("notes").execute()) == 40


def _ids(adapter: DatabaseAdapter) -> list[str]:
    return [row["id"] for row in adapter.table("things").select("id").execute()]
