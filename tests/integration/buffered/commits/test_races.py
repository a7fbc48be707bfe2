"""Transactions that rest on what is no longer so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from contextlib import suppress
from threading import Barrier

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import NO_CONTEXT
from database.core.errors import Conflict
from database.core.errors import SerializationFailure
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import Where
from tests.integration.buffered.remote import TIMEOUT
from tests.integration.buffered.remote import Remote
from tests.integration.buffered.remote import at_once
from tests.integration.buffered.remote import ids
from tests.integration.buffered.tables import account
from tests.integration.buffered.traffic import Lost

POOR = Select("accounts", where=Where("balance", "lt", 10))

READS = [Get("accounts", "a"), Get("accounts", "nobody yet"), POOR, Select("accounts", limit=1)]
RIVALS = [
    Update("accounts", {"balance": 5}, id="a"),
    Insert("accounts", [account("nobody yet", 100)]),
    Insert("accounts", [account("c", 1)]),
    Delete("accounts", id="a"),
]


@pytest.fixture
def adapter(remote: Remote) -> DatabaseAdapter:
    """Behind the proxy; there are two accounts."""
    remote.direct.run(Insert("accounts", [account("a", 1), account("b", 100)]))
    return remote.adapter


def transact(adapter: DatabaseAdapter, read: Operation, meanwhile: Callable[[], object]) -> None:
    """Read, let something happen, and write what has to do with it only in the writer's mind."""
    transaction = adapter.begin_transaction()
    transaction.execute(read, NO_CONTEXT)
    meanwhile()
    transaction.execute(Insert("memos", [{"id": "m", "owner": "nobody"}]), NO_CONTEXT)
    transaction.execute(Update("accounts", {"balance": 99}, id="b"), NO_CONTEXT)
    transaction.commit()


@pytest.mark.parametrize(
    ("read", "rival"), list(zip(READS, RIVALS, strict=True)), ids=["row", "absence", "phantom", "limit"]
)
def test_a_read_that_is_stale(remote: Remote, adapter: DatabaseAdapter, read: Operation, rival: Operation) -> None:
    with pytest.raises(Conflict):
        transact(adapter, read, lambda: remote.direct.run(rival))
    assert ids(remote.direct, "memos") == []
    assert remote.direct.get("accounts", "b", ("balance", "version")) == {"balance": 100, "version": 1}
    assert len(remote.commits()) == 1


@pytest.mark.parametrize("read", READS, ids=["row", "absence", "query", "limit"])
def test_what_was_not_read_may_change(remote: Remote, adapter: DatabaseAdapter, read: Operation) -> None:
    transact(adapter, read, lambda: remote.direct.run(Insert("accounts", [account("z", 1_000)])))
    assert ids(remote.direct, "memos") == ["m"]
    assert remote.direct.get("accounts", "b", ("balance", "version")) == {"balance": 99, "version": 2}


def test_of_two_one_wins(remote: Remote, adapter: DatabaseAdapter) -> None:
    both_have_read = Barrier(2)

    def work(number: int) -> bool:
        transaction = adapter.begin_transaction()
        balance = transaction.execute(Get("accounts", "a"), NO_CONTEXT).rows[0]["balance"]
        both_have_read.wait(TIMEOUT)
        transaction.execute(Insert("memos", [{"id": f"{number}", "owner": "nobody"}]), NO_CONTEXT)
        transaction.execute(Update("accounts", {"balance": balance + 1}, id="a"), NO_CONTEXT)
        try:
            transaction.commit()
        except Conflict:
            return False
        return True

    won = at_once(2, work)
    assert sorted(won) == [False, True]
    assert ids(remote.direct, "memos") == [f"{won.index(True)}"]
    assert remote.direct.get("accounts", "a", ("balance", "version")) == {"balance": 2, "version": 2}


def test_a_conflict_whose_answer_was_lost_is_a_conflict(remote: Remote, adapter: DatabaseAdapter) -> None:
    remote.traffic.plan(Lost(), remote.server.commit, times=2)
    with pytest.raises(Conflict):
        transact(adapter, POOR, lambda: remote.direct.run(RIVALS[2]))
    assert len(remote.commits()) == 3
    assert ids(remote.direct, "memos") == []


@pytest.mark.parametrize("changed", [False, True], ids=["unchanged", "changed"])
def test_a_transaction_that_only_reads_is_validated_and_changes_nothing(
    remote: Remote, adapter: DatabaseAdapter, changed: bool
) -> None:
    with pytest.raises(SerializationFailure) if changed else nullcontext(), adapter.transaction():
        adapter.run(POOR)
        adapter.get("accounts", "b")
        assert adapter.execute_query("SELECT id FROM accounts WHERE balance < 10") == [{"id": "a"}]
        if changed:
            remote.direct.run_alone(Update("accounts", {"balance": 5}, id="a"))
    (validation,) = remote.commits()
    assert b'"steps":[]' in validation.replace(b"\\", b"")


def test_what_is_undone_is_not_committed(remote: Remote, adapter: DatabaseAdapter) -> None:
    transaction = adapter.begin_transaction()
    with suppress(_UndoneError), transaction.nested():
        transaction.execute(Delete("accounts", id="a"), NO_CONTEXT)
        raise _UndoneError
    assert transaction.execute(Get("accounts", "a"), NO_CONTEXT).first is not None
    transaction.commit()
    with suppress(_UndoneError), adapter.transaction():
        adapter.run(Delete("accounts", id="a"))
        raise _UndoneError
    assert remote.commits() == []
    assert ids(remote.direct, "accounts") == ["a", "b"]


class _UndoneError(Exception):
    """Ends a block."""
