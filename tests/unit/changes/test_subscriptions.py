from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from collections.abc import Set
from itertools import count
from queue import SimpleQueue
from threading import Event
from threading import Thread
from threading import enumerate as all_threads
from typing import Any

import pytest

from database.changes.budget import Share
from database.changes.feed import Changes
from database.changes.interest import Interest
from database.changes.live_query import LiveQuery
from database.changes.subscriptions import Subscriptions
from database.core.errors import ConnectFailed
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.errors import UnreadableRecord
from database.core.result import Result
from database.core.result import Row
from database.core.tables.unreadable import Unreadable
from tests.unit.changes.support import PATIENCE
from tests.unit.changes.support import Query
from tests.unit.changes.support import page

Results = SimpleQueue[list[Any]]


@pytest.fixture
def query() -> Query:
    return Query()


@pytest.fixture
def results() -> Results:
    """What was delivered."""
    return SimpleQueue()


class Switch:
    """A feed in which a table changes whenever it is told so."""

    def __init__(self) -> None:
        self._tables = SimpleQueue[str]()

    def change(self, table: str) -> None:
        self._tables.put(table)

    def __call__(self, cursor: str | None) -> Changes:
        return page("next", *([] if self._tables.empty() else [self._tables.get()]))


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def subscriptions(switch: Switch) -> Iterator[Subscriptions]:
    subscriptions = Subscriptions("main", switch, lambda _, __: None)
    yield subscriptions
    subscriptions.end()
    assert _threads() == []


def _threads() -> list[str]:
    return [one.name for one in all_threads() if one.name.startswith(("isthmus-changes", "isthmus-subscription"))]


def _things(query: Query) -> LiveQuery:
    return LiveQuery(frozenset({"things"}), query)


def test_a_query_is_made_for_its_own_tables_only(
    subscriptions: Subscriptions, switch: Switch, query: Query, results: Results
) -> None:
    other = Query()
    subscriptions.add(_things(query), results.put, None)
    subscriptions.add(LiveQuery(frozenset({"notes"}), other), results.put, None)
    switch.change("things")
    query.wait_until_made(1)
    before = other.made
    switch.change("things")
    query.wait_until_made(1)
    assert other.made == before


class Defective(Interest):
    """An interest that cannot be judged."""

    def __init__(self) -> None:
        pass

    def forget(self) -> None:
        pass

    def note(self, rows: Sequence[Row], share: Share) -> None:
        pass

    def is_touched(self, addresses: Set[str], read: Callable[[], Sequence[Row] | None]) -> bool:
        raise ZeroDivisionError


def test_a_defect_in_one_loses_no_change_of_any(
    subscriptions: Subscriptions, switch: Switch, query: Query, results: Results, caplog: pytest.LogCaptureFixture
) -> None:
    queries = [query, Query(), Query()]
    for one in queries:
        subscriptions.add(LiveQuery(frozenset({"things"}), one, Defective()), results.put, None)
    for _ in queries:
        assert results.get(timeout=PATIENCE) == []
    for one in queries:
        one.rows = [{"id": "a"}]
    switch.change("things")
    for _ in queries:
        assert results.get(timeout=PATIENCE) == [{"id": "a"}]
    assert "a subscription on main cannot tell what has changed, and reads everything" in caplog.messages


def test_a_refused_query_begins_nothing(subscriptions: Subscriptions, query: Query, results: Results) -> None:
    query.error = InvalidQuery("no")
    with pytest.raises(InvalidQuery):
        subscriptions.add(_things(query), results.put, None)
    assert len(subscriptions) == 0
    assert results.empty()


def test_a_change_before_the_first_look_at_the_feed_is_not_missed(query: Query, results: Results) -> None:
    def feed(cursor: str | None) -> Changes:
        if cursor is None:
            query.rows = [{"id": "a"}]
        return page("next")

    subscriptions = Subscriptions("main", feed, lambda _, __: None)
    subscriptions.add(_things(query), results.put, None)
    assert results.get(timeout=PATIENCE) == [{"id": "a"}]
    subscriptions.end()


def test_a_change_during_an_outage_at_the_beginning_is_not_missed(query: Query, results: Results) -> None:
    delivered, times = Event(), count()

    def deliver(rows: list[Any]) -> None:
        delivered.set()
        results.put(rows)

    def feed(cursor: str | None) -> Changes:
        if not next(times):
            raise ConnectFailed("down")
        if cursor is None:
            assert delivered.wait(PATIENCE)
            query.rows = [{"id": "a"}]
        return page("next")

    subscriptions = Subscriptions("main", feed, lambda _, __: None)
    subscriptions.add(_things(query), deliver, None)
    assert results.get(timeout=PATIENCE) == []
    assert results.get(timeout=PATIENCE) == [{"id": "a"}]
    subscriptions.end()


def test_a_later_refusal_is_handed_on_and_the_subscription_goes_on(
    subscriptions: Subscriptions,
    switch: Switch,
    query: Query,
    results: Results,
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors = SimpleQueue[Exception]()
    subscriptions.add(_things(query), results.put, errors.put)
    assert results.get(timeout=PATIENCE) == []
    query.error = PermissionDenied("not any longer")
    switch.change("things")
    assert errors.get(timeout=PATIENCE) is query.error
    assert caplog.messages[-1] == "the query of a subscription on main was refused"
    query.error, query.rows = None, [{"id": "a"}]
    switch.change("things")
    assert results.get(timeout=PATIENCE) == [{"id": "a"}]


def test_a_query_without_an_answer_is_made_again_without_another_change(
    subscriptions: Subscriptions, switch: Switch, query: Query, results: Results, caplog: pytest.LogCaptureFixture
) -> None:
    query.error = ConnectFailed("down")
    subscriptions.add(_things(query), results.put, None)
    query.wait_until_made(3)
    query.error, query.rows = None, [{"id": "a"}]
    assert results.get(timeout=PATIENCE) == [{"id": "a"}]
    subscriptions.end()
    assert len(caplog.messages) == 2
    assert results.empty()


def test_a_refusal_is_an_answer(
    subscriptions: Subscriptions, query: Query, results: Results, caplog: pytest.LogCaptureFixture
) -> None:
    errors = SimpleQueue[Exception]()
    query.error = ConnectFailed("down")
    subscriptions.add(_things(query), results.put, errors.put)
    query.wait_until_made(2)
    query.error = PermissionDenied("not any longer")
    assert errors.get(timeout=PATIENCE) is query.error
    subscriptions.end()
    assert "main responds to its subscriptions again" in caplog.messages


def test_who_ends_during_an_outage_does_not_wait_any_longer(
    subscriptions: Subscriptions, query: Query, results: Results, caplog: pytest.LogCaptureFixture
) -> None:
    query.error = ConnectFailed("down")
    for outages in (1, 2):
        subscription = subscriptions.add(_things(query), results.put, None)
        query.wait_until_made(2)
        subscription.unsubscribe()
        assert len(caplog.messages) == outages
    assert results.empty()


def test_a_result_that_comes_after_the_end_is_not_delivered(subscriptions: Subscriptions, results: Results) -> None:
    asked, go_on = Event(), Event()
    times = count()

    def late() -> Result:
        if next(times):
            asked.set()
            assert go_on.wait(PATIENCE)
        return Result()

    subscription = subscriptions.add(LiveQuery(frozenset({"things"}), late), results.put, None)
    assert asked.wait(PATIENCE)
    ending = Thread(target=subscription.unsubscribe)
    ending.start()
    while subscription.active:
        assert ending.is_alive()
    go_on.set()
    ending.join(PATIENCE)
    assert results.empty()


def test_a_defect_is_told_of_and_the_subscription_goes_on(
    subscriptions: Subscriptions, switch: Switch, query: Query, results: Results
) -> None:
    told: SimpleQueue[Exception] = SimpleQueue()
    subscription = subscriptions.add(_things(query), results.put, told.put)
    assert results.get(timeout=PATIENCE) == []
    query.error = ZeroDivisionError("a defect")
    switch.change("things")
    assert told.get(timeout=PATIENCE) is query.error
    query.error, query.rows = None, [{"id": "a"}]
    switch.change("things")
    assert results.get(timeout=PATIENCE) == [{"id": "a"}]
    assert subscription.active


def test_a_row_that_cannot_be_read_is_told_of_once_and_the_others_are_delivered(
    subscriptions: Subscriptions, switch: Switch, query: Query, results: Results
) -> None:
    told: SimpleQueue[Exception] = SimpleQueue()
    query.rows, query.unreadable = [{"id": "a"}], [Unreadable("things", "b", "seen", "no timestamp", 1)]
    subscriptions.add(_things(query), results.put, told.put)
    for record_id in "ac":
        assert results.get(timeout=PATIENCE)[-1] == {"id": record_id}
        query.rows = [*query.rows, {"id": "c"}]
        switch.change("things")
    query.unreadable, query.rows = [], [{"id": "b"}]
    switch.change("things")
    while results.get(timeout=PATIENCE) != [{"id": "b"}]:
        pass
    error = told.get(timeout=PATIENCE)
    assert isinstance(error, UnreadableRecord)
    assert (error.record_id, error.column) == ("b", "seen")
    assert told.empty()


def test_after_the_end_there_may_be_new_ones(subscriptions: Subscriptions, query: Query, results: Results) -> None:
    first = subscriptions.add(_things(query), results.put, None)
    subscriptions.end()
    second = subscriptions.add(_things(query), results.put, None)
    assert (first.active, second.active, len(subscriptions)) == (False, True, 1)
