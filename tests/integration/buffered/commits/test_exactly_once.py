"""A commit is made once, however often its answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from math import inf
from typing import Any
from uuid import uuid4

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.buffered.request import CommitRequest
from database.backends.buffered.request import Seen
from database.backends.buffered.request import Step
from database.core.context import NO_CONTEXT
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import OutcomeUnknown
from database.core.errors import TransactionError
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.integration.buffered.remote import Remote
from tests.integration.buffered.remote import ids
from tests.integration.buffered.tables import account
from tests.integration.buffered.traffic import AnsweredAfter
from tests.integration.buffered.traffic import Cut
from tests.integration.buffered.traffic import Lost

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)

Rows = Sequence[dict[str, Any]]
Write = Callable[[DatabaseAdapter], Rows]


def insert(adapter: DatabaseAdapter) -> Rows:
    return adapter.run(Insert("accounts", [{"balance": 7}])).rows


def insert_many(adapter: DatabaseAdapter) -> Rows:
    return adapter.run(Insert("accounts", [{"balance": number} for number in range(50)])).rows


def update(adapter: DatabaseAdapter) -> Rows:
    return adapter.run(Update("accounts", {"balance": 7}, id="first")).rows


def update_by_filter(adapter: DatabaseAdapter) -> Rows:
    return adapter.run(Update("accounts", {"balance": 7}, where=Where("balance", "eq", 1))).rows


def upsert(adapter: DatabaseAdapter) -> Rows:
    return adapter.run(Upsert("accounts", [account("first", 7), account("third", 8)])).rows


def write_by_sql(adapter: DatabaseAdapter) -> Rows:
    assert adapter.execute_query("UPDATE accounts SET balance = %s WHERE id = %s", [7, "first"]) == 1
    return [account("first", 7)]


def transact(adapter: DatabaseAdapter) -> Rows:
    """Several steps on one record, and one that leaves no trace."""
    with adapter.transaction():
        (new,) = adapter.run(Insert("accounts", [{"balance": 1}])).rows
        adapter.run(Update("accounts", {"balance": 2}, id=new["id"]))
        adapter.run(Delete("accounts", id="second"))
        return adapter.run(Update("accounts", {"balance": 3}, id=new["id"])).rows


WRITES = [
    (insert, 3),
    (insert_many, 52),
    (update, 2),
    (update_by_filter, 2),
    (upsert, 3),
    (write_by_sql, 2),
    (transact, 2),
]


def prepare(remote: Remote) -> None:
    remote.direct.run(Insert("accounts", [account("first", 1), account("second", 2)]))


def differs_in_nothing(adapter: DatabaseAdapter, rows: Rows) -> bool:
    """Whether all rows are stored as they were returned, so that none of them has been changed twice."""
    stored = {row["id"]: row for row in adapter.table("accounts").execute()}
    return all(row.items() <= stored[row["id"]].items() for row in rows)


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize(("write", "expected"), WRITES)
def test_lost_answers(remote: Remote, write: Write, expected: int, lost: int) -> None:
    """``expected`` is the number of accounts afterwards; there are two before."""
    prepare(remote)
    remote.traffic.plan(Lost(), remote.server.commit, times=lost)
    rows = write(remote.adapter)
    assert len(remote.commits()) == lost + 1
    assert len(set(remote.commits())) == 1
    assert differs_in_nothing(remote.direct, rows)
    assert len(ids(remote.direct, "accounts")) == expected


def test_a_record_changed_once_has_the_next_version(remote: Remote) -> None:
    prepare(remote)
    remote.traffic.plan(Lost(), remote.server.commit, times=2)
    remote.adapter.run(Update("accounts", {"balance": 5}, id="first", expected_version=1))
    assert remote.direct.get("accounts", "first", ("balance", "version")) == {"balance": 5, "version": 2}


@pytest.mark.parametrize("fault", [Lost, lambda: AnsweredAfter(500, "InternalServerError")], ids=["lost", "500"])
def test_all_answers_are_lost(remote: Remote, fault: Callable[[], Lost]) -> None:
    remote.traffic.plan(fault(), remote.server.commit, times=inf)
    with pytest.raises(OutcomeUnknown):
        remote.another(retry_count=2).run(Insert("accounts", [account("a", 7)]))
    assert len(remote.commits()) == 3
    assert len(set(remote.commits())) == 1
    assert remote.direct.get("accounts", "a", ("balance", "version")) == {"balance": 7, "version": 1}


def test_without_retries_there_is_one_request(remote: Remote) -> None:
    remote.traffic.plan(Lost(), remote.server.commit, times=inf)
    with pytest.raises(OutcomeUnknown):
        remote.another(retry_count=0).run(Insert("accounts", [account("a")]))
    assert len(remote.commits()) == 1
    assert ids(remote.direct, "accounts") == ["a"]


def test_a_transaction_of_unknown_outcome_is_over(remote: Remote) -> None:
    adapter = remote.another(retry_count=0)
    remote.traffic.plan(Lost(), remote.server.commit)
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("accounts", [account("a")]), NO_CONTEXT)
    with pytest.raises(OutcomeUnknown):
        transaction.commit()
    assert transaction.state == "unknown"
    with pytest.raises(TransactionError):
        transaction.commit()
    assert len(remote.commits()) == 1
    assert ids(remote.direct, "accounts") == ["a"]


def test_requests_that_do_not_arrive_are_sent_again(remote: Remote) -> None:
    remote.traffic.plan(Cut(), remote.server.commit, times=2)
    remote.adapter.run(Insert("accounts", [account("a")]))
    assert len(remote.commits()) == 3
    assert ids(remote.direct, "accounts") == ["a"]


def test_a_refusal_speaks_for_the_attempts_before_it(remote: Remote) -> None:
    """The first was refused as well, and nobody knew."""
    prepare(remote)
    remote.traffic.plan(Lost(), remote.server.commit, times=2)
    with pytest.raises(ConstraintViolated):
        remote.adapter.run(Insert("transfers", [{"source_id": "first", "target_id": "nowhere"}]))
    assert len(remote.commits()) == 3
    assert ids(remote.direct, "transfers") == []


def test_two_writes_have_two_keys(remote: Remote) -> None:
    for _ in range(2):
        remote.adapter.run(Insert("memos", [{"owner": "nobody"}]))
    first, second = remote.commits()
    assert first != second
    assert len(ids(remote.direct, "memos")) == 2


def test_a_key_is_good_for_one_request(remote: Remote) -> None:
    key = str(uuid4())
    first = request(key, account("a", 1))
    for _ in range(2):
        remote.adapter.pipeline.call(first, NO_CONTEXT)
    with pytest.raises(InvalidQuery, match="key"):
        remote.adapter.pipeline.call(request(key, account("b", 1)), NO_CONTEXT)
    assert ids(remote.direct, "accounts") == ["a"]


def test_without_its_key_a_repetition_would_be_refused(remote: Remote) -> None:
    """So that it is the key that has let the repetitions of these tests pass."""
    remote.adapter.pipeline.call(request(str(uuid4()), account("a", 1)), NO_CONTEXT)
    with pytest.raises(Conflict):
        remote.adapter.pipeline.call(request(str(uuid4()), account("a", 1)), NO_CONTEXT)


def request(key: str, row: dict[str, Any]) -> CommitRequest:
    """A commit made by hand, which adds a record that was not there."""
    whole = {**row, "created_at": MOMENT, "updated_at": MOMENT, "version": 1}
    step = Step("insert", "accounts", row["id"], whole)
    return CommitRequest(key, (Seen("accounts", row["id"], None),), (), (step,))
