"""A transaction whose deadline passes while somebody uses it."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from database.adapter.transactions import Session
from database.adapter.transactions import Transaction
from database.adapter.transactions import carry_out
from database.backends.memory import MemoryAdapter
from database.core.context import NO_CONTEXT
from database.core.context import Context
from database.core.errors import BackendError
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.operations import Get
from database.core.operations import Operation
from database.core.result import Result

READ = Get("things", "a")


class _Session(Session):
    """Does ``work`` in each of its calls, and notes how it ended."""

    def __init__(self) -> None:
        self.work: Callable[[], None] = lambda: None
        self.ends: list[str] = []

    def execute(self, operation: Operation, context: Context) -> Result:
        self.work()
        return Result([{"id": "a"}])

    def savepoint(self, name: str) -> None:
        self.work()

    def release(self, name: str) -> None:
        self.work()

    def rollback_to(self, name: str) -> None:
        self.work()

    def commit(self, context: Context) -> None:
        self.work()
        self.ends.append("commit")

    def rollback(self) -> None:
        self.ends.append("rollback")


def begun() -> tuple[Transaction, _Session, list[Transaction]]:
    session, ended = _Session(), list[Transaction]()
    return Transaction(MemoryAdapter(), session, NO_CONTEXT, carry_out, ended.append), session, ended


def elsewhere(work: Callable[[], None]) -> Callable[[], None]:
    """Work that another thread does meanwhile."""

    def run() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    return run


def test_an_answer_that_comes_too_late_is_given_and_the_transaction_is_over() -> None:
    transaction, session, ended = begun()
    session.work = elsewhere(transaction.expire)
    assert transaction.execute(READ, NO_CONTEXT).first == {"id": "a"}
    assert (transaction.state, session.ends, ended) == ("expired", ["rollback"], [transaction])
    for refused in (lambda: transaction.execute(READ, NO_CONTEXT), transaction.commit):
        with pytest.raises(TimedOut, match="its deadline has passed"):
            refused()
    transaction.rollback()
    assert session.ends == ["rollback"]


def test_a_commit_that_is_under_way_when_the_deadline_passes_is_a_commit() -> None:
    transaction, session, ended = begun()
    session.work = elsewhere(transaction.expire)
    transaction.commit()
    assert (transaction.state, session.ends, ended) == ("committed", ["commit"], [transaction])


def test_a_commit_that_something_else_interrupts_is_unknown() -> None:
    transaction, session, _ = begun()
    session.work = _interrupt
    with pytest.raises(KeyboardInterrupt):
        transaction.commit()
    assert transaction.state == "unknown"


@pytest.mark.parametrize("error", [TimedOut("late"), Unavailable("gone")])
def test_a_savepoint_that_the_backend_fails_to_make_or_to_end_fails_the_transaction(error: BackendError) -> None:
    def fail() -> None:
        raise error

    for broken_from_the_start in (True, False):
        transaction, session, _ = begun()
        session.work = fail if broken_from_the_start else session.work
        with pytest.raises(type(error)), transaction.nested():
            session.work = fail
        session.work = lambda: None
        with pytest.raises(type(error), match="has failed"):
            transaction.execute(READ, NO_CONTEXT)
        with pytest.raises(type(error), match="rolled back"):
            transaction.commit()
        assert session.ends == ["rollback"]


def test_what_a_nested_block_met_is_told_even_if_it_cannot_be_undone() -> None:
    transaction, session, _ = begun()

    def fail() -> None:
        raise Unavailable("gone")

    with pytest.raises(ZeroDivisionError), transaction.nested():
        session.work = fail
        raise ZeroDivisionError
    with pytest.raises(Unavailable, match="rolled back"):
        transaction.commit()


def _interrupt() -> None:
    raise KeyboardInterrupt
