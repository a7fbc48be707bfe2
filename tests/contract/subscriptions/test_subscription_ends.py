"""The end of subscriptions, after which no thread or reference is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from database.adapter.base import DatabaseAdapter
from database.changes.crew import MOST_THREADS
from database.changes.subscription import Subscription
from database.core.operations import Insert
from database.core.result import Row
from tests.contract.backends import Backend
from tests.contract.following import PATIENCE
from tests.contract.following import Inbox
from tests.contract.following import things
from tests.contract.following import threads
from tests.contract.following import with_a_feed
from tests.contract.tables import thing
from tests.integration.forks import answer_of_child


@with_a_feed
def test_nothing_is_delivered_after_the_end(calm: DatabaseAdapter, inbox: Inbox) -> None:
    ended = Inbox()
    subscription = things(calm).subscribe(ended)
    with things(calm).subscribe(inbox) as witness:
        ended.next(PATIENCE)
        inbox.next(PATIENCE)
        assert (subscription.active, witness.active) == (True, True)
        subscription.unsubscribe()
        subscription.unsubscribe()
        assert not subscription.active
        calm.run(Insert("things", [thing("a")]))
        assert inbox.next_ids() == ["a"]
        assert ended.count == 1
    assert not witness.active


@with_a_feed
def test_the_end_waits_for_a_callback(backend: Backend, inbox: Inbox) -> None:
    entered, go_on = Event(), Event()

    def wait(rows: list[Row]) -> None:
        entered.set()
        assert go_on.wait(PATIENCE)
        inbox(rows)

    subscription = things(backend.adapter).subscribe(wait)
    assert entered.wait(PATIENCE)
    with ThreadPoolExecutor(1) as pool:
        over = pool.submit(subscription.unsubscribe)
        assert not over.done()
        go_on.set()
        over.result(PATIENCE)
    assert inbox.count == 1


@with_a_feed
def test_a_callback_may_end_its_own_subscription(backend: Backend, inbox: Inbox) -> None:
    subscribed, over = Event(), Event()
    subscriptions: list[Subscription] = []

    def once(rows: list[Row]) -> None:
        inbox(rows)
        assert subscribed.wait(PATIENCE)
        subscriptions[0].unsubscribe()
        backend.adapter.run(Insert("things", [thing("b")]))
        over.set()

    subscriptions.append(things(backend.adapter).subscribe(once))
    subscribed.set()
    assert over.wait(PATIENCE)
    subscriptions[0].unsubscribe()
    assert inbox.count == 1
    assert not subscriptions[0].active


@with_a_feed
def test_all_subscriptions_of_an_adapter_share_their_threads(backend: Backend, inbox: Inbox) -> None:
    name = backend.adapter.name
    subscriptions = [things(backend.adapter).subscribe(inbox) for _ in range(100)]
    for _ in subscriptions:
        inbox.next(PATIENCE)
    assert set(threads()) == {f"changes-{name}", f"subscription-{name}"}
    assert threads().count(f"changes-{name}") == 1
    assert len(threads()) <= 1 + MOST_THREADS
    for subscription in subscriptions[1:]:
        subscription.unsubscribe()
    assert set(threads()) == {f"changes-{name}", f"subscription-{name}"}
    subscriptions[0].unsubscribe()
    assert threads() == []
    with things(backend.adapter).subscribe(inbox):
        assert threads() == [f"changes-{name}", f"subscription-{name}"]


@with_a_feed
def test_disconnecting_ends_all_subscriptions(backend: Backend, inbox: Inbox) -> None:
    adapter = backend.another()
    subscriptions = [things(adapter).subscribe(inbox) for _ in range(3)]
    inbox.next(PATIENCE)
    adapter.disconnect()
    assert not any(one.active for one in subscriptions)
    assert not adapter.connected
    with things(adapter).subscribe(inbox) as again:
        assert again.active
    adapter.disconnect()


@with_a_feed
def test_a_forked_child_has_none(backend: Backend, inbox: Inbox) -> None:
    adapter = backend.another()
    subscription = things(adapter).subscribe(inbox)
    inbox.next(PATIENCE)

    def child() -> str:
        subscription.unsubscribe()
        own = Inbox()
        with things(adapter).subscribe(own):
            own.next(PATIENCE)
            found = threads()
        return f"{subscription.active} {len(found)} {len(threads())}"

    # Whatever the child answers, no thread is left behind for the tests after this one.
    with subscription:
        assert answer_of_child(child) == "False 2 0"
        assert subscription.active
        adapter.run(Insert("things", [thing("a")]))
        assert inbox.next_ids() == ["a"]
    adapter.disconnect()
