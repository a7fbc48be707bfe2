from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Set
from queue import SimpleQueue

import pytest

from database.changes.feed import Changes
from database.changes.outage import Outage
from database.changes.poller import INTERVAL
from database.changes.poller import Poller
from database.core.clock import monotonic
from database.core.errors import CircuitOpen
from database.core.errors import Unsupported
from tests.unit.changes.support import PATIENCE
from tests.unit.changes.support import Feed
from tests.unit.changes.support import page

Told = SimpleQueue[Changes | None]
Follow = Callable[..., None]


@pytest.fixture
def told() -> Told:
    """What the poller told of, in order."""
    return SimpleQueue()


@pytest.fixture
def follow(told: Told) -> Iterator[Follow]:
    """Begins to poll a feed, at its end or after a cursor."""
    pollers: list[Poller] = []

    def start(feed: Feed, cursor: str | None = None) -> None:
        pollers.append(Poller("main", feed, told.put, Outage("main"), cursor))
        pollers[0].start()

    yield start
    pollers[0].stop()


def _told(told: Told, times: int) -> list[Set[str] | None]:
    """The tables that have changed, page by page."""
    pages = [told.get(timeout=PATIENCE) for _ in range(times)]
    return [None if one is None else {change.table for change in one.changes} for one in pages]


def test_it_begins_at_the_present_end_and_goes_on_from_page_to_page(follow: Follow, told: Told) -> None:
    feed = Feed(page("1"), page("2", "things"), page("3", "things", "parts", "things"))
    follow(feed)
    assert _told(told, 4) == [None, {"things"}, {"things", "parts"}, set()]
    assert [feed.asked.get(timeout=PATIENCE) for _ in range(4)] == [None, "1", "2", "3"]


def test_it_begins_after_a_cursor(follow: Follow, told: Told) -> None:
    feed = Feed(page("2", "things"), page("3", "parts"))
    follow(feed, "1")
    assert _told(told, 2) == [{"things"}, {"parts"}]
    assert [feed.asked.get(timeout=PATIENCE) for _ in range(2)] == ["1", "2"]


def test_a_full_page_is_followed_by_the_next_at_once(follow: Follow, told: Told) -> None:
    start = monotonic()
    follow(Feed(page("0"), *[page(str(number), "things", more=True) for number in range(1, 100)]))
    assert _told(told, 100)[-1] == {"things"}
    assert monotonic() - start < 50 * INTERVAL


def test_after_a_gap_everything_may_have_changed(follow: Follow, told: Told) -> None:
    follow(Feed(page("1"), page("2", "things", gap=True), page("3", "things")))
    assert _told(told, 3) == [None, None, {"things"}]


@pytest.mark.parametrize(
    "error",
    [CircuitOpen("open"), Unsupported("changes"), ZeroDivisionError("a defect")],
    ids=["outage", "refusal", "defect"],
)
def test_after_an_outage_it_goes_on_where_it_was(follow: Follow, told: Told, error: Exception) -> None:
    feed = Feed(page("1"), error, error, page("2", "parts"), page("3", "things"))
    follow(feed)
    assert _told(told, 3) == [None, {"parts"}, {"things"}]
    assert [feed.asked.get(timeout=PATIENCE) for _ in range(5)] == [None, "1", "1", "1", "2"]


def test_a_feed_may_be_away_from_the_beginning(follow: Follow, told: Told) -> None:
    feed = Feed(CircuitOpen("open"), page("1"), page("2", "things"))
    follow(feed)
    assert _told(told, 2) == [None, {"things"}]
    assert [feed.asked.get(timeout=PATIENCE) for _ in range(3)] == [None, None, "1"]
