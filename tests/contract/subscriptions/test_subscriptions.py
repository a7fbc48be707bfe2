"""Subscriptions: deliveries, their recipients and order, and refusals."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.clock import monotonic
from database.core.context import NO_CONTEXT
from database.core.context import acting_as
from database.core.context import current_context
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.result import Row
from tests.contract.backends import Backend
from tests.contract.callers import caller
from tests.contract.following import PATIENCE
from tests.contract.following import Inbox
from tests.contract.following import things
from tests.contract.following import with_a_feed
from tests.contract.records.test_values import EVERY
from tests.contract.tables import thing


@with_a_feed
def test_the_present_result_comes_first_and_then_every_other_one(calm: DatabaseAdapter, inbox: Inbox) -> None:
    calm.run(Insert("things", [thing("a", rank=1), thing("b", rank=2)]))
    query = things(calm).gt("rank", 0).order("rank", desc=True).limit(2)
    with query.subscribe(inbox):
        assert inbox.next(PATIENCE) == [{"id": "b", "rank": 2}, {"id": "a", "rank": 1}]
        calm.run(Insert("things", [thing("c", rank=3)]))
        assert inbox.next() == [{"id": "c", "rank": 3}, {"id": "b", "rank": 2}]
        calm.run(Update("things", {"rank": 4}, id="a"))
        assert inbox.next() == [{"id": "a", "rank": 4}, {"id": "c", "rank": 3}]
        calm.run(Delete("things", id="c"))
        assert inbox.next() == [{"id": "a", "rank": 4}, {"id": "b", "rank": 2}]


@with_a_feed
def test_values_of_every_type_are_delivered(calm: DatabaseAdapter, inbox: Inbox) -> None:
    calm.run(Insert("things", [thing("a", **EVERY)]))
    query = calm.table("things").select("id", *EVERY).eq("raw", EVERY["raw"])
    with query.subscribe(inbox):
        assert inbox.next(PATIENCE) == [{"id": "a", **EVERY}]
        calm.run(Update("things", {"span": "PT1S", "tags": ["new"]}, id="a"))
        assert inbox.next() == [{"id": "a", **EVERY, "span": timedelta(seconds=1), "tags": ["new"]}]


@with_a_feed
def test_an_empty_result_is_one(calm: DatabaseAdapter, inbox: Inbox) -> None:
    with things(calm).subscribe(inbox):
        assert inbox.next(PATIENCE) == []
        calm.run(Insert("things", [thing("a")]))
        assert inbox.next_ids() == ["a"]
        calm.run(Delete("things", id="a"))
        assert inbox.next() == []


@with_a_feed
def test_what_leaves_the_result_as_it_is_delivers_nothing(calm: DatabaseAdapter, inbox: Inbox) -> None:
    with things(calm).eq("rank", 1).subscribe(inbox):
        inbox.next(PATIENCE)
        calm.run(Insert("notes", [{"id": "n"}]))
        calm.run(Insert("things", [thing("a", rank=2)]))
        calm.run(Update("things", {"title": "x"}, id="a"))
        calm.run(Insert("things", [thing("b", rank=1)]))
        assert inbox.next_ids() == ["b"]
        calm.run(Update("things", {"title": "x"}, id="b"))
        calm.run(Insert("things", [thing("c", rank=1)]))
        assert inbox.next_ids() == ["b", "c"]


@with_a_feed
def test_another_type_is_another_value(calm: DatabaseAdapter, inbox: Inbox) -> None:
    calm.run(Insert("things", [thing("a", data={"on": 1})]))
    with calm.table("things").select("data").subscribe(inbox):
        assert inbox.next(PATIENCE) == [{"data": {"on": 1}}]
        calm.run(Update("things", {"data": {"on": True}}, id="a"))
        assert inbox.next()[0]["data"]["on"] is True


@with_a_feed
def test_rows_are_the_callbacks_own(calm: DatabaseAdapter, inbox: Inbox) -> None:
    def spoil(rows: list[Row]) -> None:
        inbox([dict(row) for row in rows])
        rows.clear()

    calm.run(Insert("things", [thing("a")]))
    with things(calm).subscribe(spoil):
        assert inbox.next_ids(PATIENCE) == ["a"]
        calm.run(Update("things", {"title": "x"}, id="a"))
        calm.run(Insert("things", [thing("b")]))
        assert inbox.next_ids() == ["a", "b"]


@with_a_feed
def test_a_joined_table_is_part_of_the_query(calm: DatabaseAdapter, inbox: Inbox) -> None:
    calm.run(Insert("things", [thing("a")]))
    query = calm.table("things").select("id").join("parts", "id", "thing_id", "name")
    with query.subscribe(inbox):
        assert inbox.next(PATIENCE) == [{"id": "a", "parts": []}]
        calm.run(Insert("parts", [{"id": "p", "thing_id": "a", "name": "bolt"}]))
        assert inbox.next() == [{"id": "a", "parts": [{"name": "bolt"}]}]
        calm.run(Update("parts", {"name": "nut"}, id="p"))
        assert inbox.next() == [{"id": "a", "parts": [{"name": "nut"}]}]


@with_a_feed
def test_groups_are_delivered(calm: DatabaseAdapter, inbox: Inbox) -> None:
    with calm.table("things").group_by("rank").subscribe(inbox):
        assert inbox.next(PATIENCE) == []
        calm.run(Insert("things", [thing("a", rank=1), thing("b", rank=1)]))
        assert inbox.next() == [{"rank": 1, "count": 2}]


@with_a_feed
def test_a_transaction_is_one_change_and_a_rollback_none(calm: DatabaseAdapter, inbox: Inbox) -> None:
    with things(calm).subscribe(inbox):
        inbox.next(PATIENCE)
        with pytest.raises(ZeroDivisionError), calm.transaction():
            calm.run(Insert("things", [thing("undone")]))
            raise ZeroDivisionError
        with calm.transaction() as transaction:
            calm.run(Insert("things", [thing("a")]))
            with pytest.raises(ZeroDivisionError), transaction.nested():
                calm.run(Insert("things", [thing("undone")]))
                raise ZeroDivisionError
            calm.run(Insert("things", [thing("b")]))
        assert inbox.next_ids() == ["a", "b"]
        assert inbox.count == 2


@with_a_feed
def test_a_subscription_made_in_a_transaction_sees_what_is_committed(calm: DatabaseAdapter, inbox: Inbox) -> None:
    with calm.transaction():
        calm.run(Insert("things", [thing("a")]))
        subscription = things(calm).subscribe(inbox)
        assert inbox.next(PATIENCE) == []
    assert inbox.next_ids() == ["a"]
    subscription.unsubscribe()


@with_a_feed
def test_many_writers_end_in_the_newest_state(backend: Backend, inbox: Inbox) -> None:
    adapter = backend.adapter
    adapter.run(Insert("things", [thing(writer) for writer in "abcd"]))

    def write(writer: str) -> None:
        for rank in range(1, 51):
            adapter.run(Update("things", {"rank": rank}, id=writer))

    with things(adapter).subscribe(inbox), ThreadPoolExecutor(4) as pool:
        for written in [pool.submit(write, writer) for writer in "abcd"]:
            written.result(PATIENCE)
        final = [{"id": writer, "rank": 50} for writer in "abcd"]
        delivered = [inbox.next(PATIENCE)]
        while delivered[-1] != final:
            delivered.append(inbox.next())
    assert inbox.empty
    assert all(earlier != later for earlier, later in pairwise(delivered))
    for earlier, later in pairwise(delivered):
        assert all(old["rank"] <= new["rank"] for old, new in zip(earlier, later, strict=True))


@with_a_feed
def test_a_slow_callback_delays_only_itself_and_gets_the_newest(backend: Backend, inbox: Inbox) -> None:
    adapter, slow, entered, go_on = backend.adapter, Inbox(), Event(), Event()

    def wait(rows: list[Row]) -> None:
        entered.set()
        assert go_on.wait(PATIENCE)
        slow(rows)

    with things(adapter).subscribe(wait), things(adapter).subscribe(inbox):
        assert entered.wait(PATIENCE)
        inbox.next(PATIENCE)
        for number in range(3):
            adapter.run(Insert("things", [thing(f"t{number}")]))
            assert len(inbox.next()) == number + 1
        go_on.set()
        assert slow.next(PATIENCE) == []
        assert slow.next_ids() == ["t0", "t1", "t2"]


@with_a_feed
@pytest.mark.usefixtures("inbox")
def test_it_runs_as_who_subscribed_and_without_their_deadline(backend: Backend) -> None:
    contexts = SimpleQueue[Any]()
    user = caller("01890a5d-ac96-774b-bcce-b302099a8057")
    token = current_context.set(NO_CONTEXT.until(monotonic() + PATIENCE))
    try:
        with acting_as(user):
            subscription = things(backend.adapter).subscribe(lambda _: contexts.put(current_context.get()))
    finally:
        current_context.reset(token)
    assert contexts.get(timeout=PATIENCE) == NO_CONTEXT.acting_as(user)
    subscription.unsubscribe()


@with_a_feed
def test_what_cannot_be_followed_is_refused(backend: Backend, inbox: Inbox) -> None:
    things = backend.adapter.table
    for query, message in (
        (things("things").insert(thing("a")), "insert has no result"),
        (things("things").delete().eq("id", "a"), "delete has no result"),
        (things("things").select(count=True), "no total count"),
        (things("things").eq("nothing", 1), "no column"),
        (things("things").limit(-1), "limit"),
        (things("things").join("parts", "id", "rank"), "no column"),
    ):
        with pytest.raises(InvalidQuery, match=message):
            query.subscribe(inbox)
    with pytest.raises(NotFound):
        things("nothing").subscribe(inbox)
    assert inbox.empty
    assert backend.adapter.table("things").execute().rows == []
