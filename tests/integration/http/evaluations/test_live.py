"""The live events of an evaluation: all of them, once each, until it has ended, also for who connects again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextlib import contextmanager
from contextlib import nullcontext
from http.client import HTTPConnection
from http.client import HTTPResponse
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from api.evaluations.live import BACK
from api.evaluations.live import Reader
from api.evaluations.live import back_from
from api.evaluations.reads import KEPT
from api.evaluations.reads import SharedReads
from api.evaluations.watch import Watch
from api.http.live import HEARTBEAT
from api.http.live import LONGEST
from api.http.live import Bell
from api.http.live import Message
from api.http.live import News
from api.http.live import live
from database import Isthmus
from database import TimedOut
from database.core.clock import utc_now
from database.core.tables.schema import new_id
from stores import EvaluationEvent
from stores import Evaluations
from stores.current import RecordStores
from stores.evaluations.meaning.rows import new_event
from tests.integration.http.evaluated import PACKAGE
from tests.integration.http.evaluations.conftest import PLACE
from tests.integration.http.evaluations.conftest import Create
from tests.integration.http.server.test_server import call
from tests.integration.http.server.test_server import register
from tests.integration.http.server.test_server import serving
from tests.integration.http.support import TIMEOUT
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import supabase_settings
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import add_roles

ONE = f"{PLACE}/one"
ENDING = (b"event: end", b"")


@pytest.fixture
def evaluations(site: Site, create: Create) -> Evaluations:
    """The evaluations of the application, of which there is ``one``."""
    create("one")
    found: Evaluations = Isthmus.of(site.app)[RecordStores]["evaluations"].records
    return found


def an_id(before: float) -> str:
    """An id as of an event that was made so many seconds ago."""
    now = new_id()
    time = int(now.replace("-", "")[:12], 16) - int(1000 * before)
    return f"{time >> 16:08x}-{time & 0xFFFF:04x}{now[13:]}"


def appended(evaluations: Evaluations, before: float, message: str) -> None:
    """Append an event that a transaction commits now that has made it so many seconds ago."""
    row = new_event("one", "log", message, utc_now(), {})
    evaluations.records.append("events", {**row, "id": an_id(before)})


def reader(evaluations: Evaluations, after: str | None = None) -> Reader:
    return Reader(SharedReads(evaluations, "one", count().__next__), after)


def messages(read: Reader) -> list[str]:
    news = read()
    return [message.data.get("message", message.event) for message in news.messages]


def place_of(read: Reader) -> str:
    """The id of the last one of the messages that come now."""
    place = read().messages[-1].id
    assert place is not None
    return place


def test_late_events_are_sent_once(evaluations: Evaluations) -> None:
    read = reader(evaluations)
    assert messages(read) == ["Evaluation submitted"]
    evaluations.logs("one", "first")
    assert messages(read) == ["first"]
    appended(evaluations, BACK / 2, "late")
    assert (messages(read), messages(read)) == (["late"], [])
    evaluations.logs("one", "second")
    appended(evaluations, BACK / 2, "later")
    # Before what the same writer has made after it.
    assert messages(read) == ["later", "second"]
    appended(evaluations, BACK / 3, "last")
    evaluations.update("one", status="completed")
    assert messages(read) == ["last", "Status changed from queued to completed", "end"]


def test_who_connects_again_misses_no_late_event(evaluations: Evaluations) -> None:
    evaluations.logs("one", "first")
    place = place_of(reader(evaluations))
    assert messages(reader(evaluations, place)) == []
    evaluations.logs("one", "second")
    assert messages(reader(evaluations, place)) == ["second"]
    appended(evaluations, BACK / 2, "late")
    again = messages(reader(evaluations, place))
    # Those of its time come again, because it is not known which of them is new.
    assert sorted(again) == ["Evaluation submitted", "first", "late", "second"]
    place = place_of(reader(evaluations, place))
    assert messages(reader(evaluations, place)) == []


@pytest.mark.parametrize("after", ["~", "nonsense\nx", "x~y", ""])
def test_an_unknown_place_is_the_beginning(evaluations: Evaluations, after: str) -> None:
    assert messages(reader(evaluations, after)) == ["Evaluation submitted"]


def test_a_stream_goes_on_behind_any_event(evaluations: Evaluations) -> None:
    first = evaluations.events("one")[0]
    evaluations.logs("one", "second")
    assert messages(reader(evaluations, first.id)) == ["second"]


def test_events_of_more_than_a_page_come_at_once(evaluations: Evaluations) -> None:
    for number in range(1_050):
        evaluations.add_event("one", "log", str(number))
    read = reader(evaluations)
    seen, more = [], True
    while more:
        news = read()
        seen += [message.data["message"] for message in news.messages]
        more = news.more
    assert seen[1:] == [str(number) for number in range(1_050)]


def test_the_time_of_late_events_is_that_of_their_ids() -> None:
    now = an_id(0)
    assert an_id(BACK + 1) < back_from(now) < an_id(BACK - 1) < now
    assert back_from("no time") == "no time"


def test_a_bell_wakes_once_for_each_ring_and_at_each_heartbeat() -> None:
    now = [0.0]
    bell, woken = Bell(lambda: now[0]), []
    assert bell.when_rung(lambda: woken.append("first")) == HEARTBEAT
    bell.wait()
    now[0] = 5.0
    assert bell.when_rung(lambda: woken.append("second")) == HEARTBEAT - 5
    assert woken == ["first"]
    bell.ring()
    bell.ring()
    assert woken == ["first", "second"]
    bell.wait()
    assert bell.when_rung(lambda: woken.append("no")) == HEARTBEAT
    now[0] = 5 + HEARTBEAT
    assert bell.when_rung(lambda: woken.append("no")) == 0
    bell.wait()
    assert bell.when_rung(lambda: woken.append("no")) == HEARTBEAT
    assert woken == ["first", "second"]


class Counted(Evaluations):
    """Evaluations that count how often their events are read."""

    number = 0
    error: Exception | None = None

    def events(self, *args: Any, **options: Any) -> list[EvaluationEvent]:
        self.number += 1
        if self.error is not None:
            raise self.error
        return super().events(*args, **options)


def test_followers_read_together(evaluations: Evaluations) -> None:
    now = [0.0]
    counted = Counted(evaluations.records)
    reads = SharedReads(counted, "one", lambda: now[0])
    followers = [Reader(reads, None) for _ in range(20)]
    assert [messages(read) for read in followers] == [["Evaluation submitted"]] * 20
    assert counted.number == 1
    evaluations.logs("one", "news")
    reads.forget()
    assert [messages(read) for read in followers] == [["news"]] * 20
    # All have the same place: it is one page again.
    assert counted.number == 2
    evaluations.logs("one", "unheard")
    now[0] += KEPT
    counted.error = TimedOut("away")
    for read in followers:
        with pytest.raises(TimedOut):
            read()
    assert counted.number == 3
    now[0] += KEPT
    counted.error = None
    assert [messages(read) for read in followers] == [["unheard"]] * 20


def test_a_new_event_rings_until_nobody_follows(site: Site, evaluations: Evaluations) -> None:
    watch = Isthmus.of(site.app)[Watch]
    first, second, rung = Bell(), Bell(), Event()

    def subscriptions() -> int:
        active: int = site.manager.adapter.get_connection_info()["subscriptions"]["active"]
        return active

    def rings(bell: Bell) -> bool:
        """Whether the bell is rung that has been waited for."""
        rung.clear()
        bell.when_rung(rung.set)
        return rung.wait(TIMEOUT)

    # Both begin as if they had been rung.
    first.wait()
    second.wait()
    with watch.following("one", first):
        # The subscription's beginning, soon; nothing else rings before the event.
        assert rings(first)
        first.wait()
        with watch.following("one", second):
            assert subscriptions() == 1
            evaluations.logs("one", "news")
            assert rings(first)
            assert rings(second)
        assert subscriptions() == 1
    assert subscriptions() == 0


@pytest.mark.parametrize("news", [News([], more=True), News([], over=True)])
def test_what_comes_next_or_ends_does_not_wait(site: Site, news: News) -> None:
    bell, woken = Bell(), []
    with site.app.test_request_context():
        pieces = live(lambda: news, bell, nullcontext()).iter_encoded()
        assert [next(pieces), next(pieces)] == [b"retry: 1000\n\n", b":\n\n"]
    bell.when_rung(lambda: woken.append("at once"))
    assert woken == ["at once"]


def test_a_stream_waits_for_a_database_that_is_away_and_ends_in_time(site: Site) -> None:
    now = [0.0]

    def read() -> News:
        if now[0] < LONGEST / 2:
            raise TimedOut("away")
        return News([Message("event", "back", "1")])

    with site.app.test_request_context():
        pieces = live(read, Bell(lambda: now[0]), nullcontext(), lambda: now[0]).iter_encoded()
        assert [next(pieces), next(pieces)] == [b"retry: 1000\n\n", b":\n\n"]
        now[0] = LONGEST / 2
        assert next(pieces) == b'id: 1\nevent: event\ndata: "back"\n\n'
        now[0] = LONGEST
        assert list(pieces) == []


@contextmanager
def connected(port: int, headers: Headers, after: str | None = None) -> Iterator[HTTPResponse]:
    """The response to who follows the evaluation."""
    more = {} if after is None else {"Last-Event-ID": after}
    with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as connection:
        connection.request("GET", f"{ONE}/live", headers={**headers, **more})
        with connection.getresponse() as response:
            yield response


def next_message(response: HTTPResponse) -> dict[str, Any]:
    """The next message of a stream, without what only keeps it alive."""
    message: dict[str, Any] = {}
    while True:
        read = response.readline()
        assert read, "the stream has ended"
        line = read.decode().rstrip("\n")
        if not line and "event" in message:
            return {**message, "data": json.loads(message["data"])}
        name, _, value = line.partition(": ")
        if name in {"id", "event", "data"}:
            message[name] = value


def test_followers_are_told_until_the_evaluation_ends(tmp_path: Path) -> None:
    """With one thread, which they do not take."""
    with serving(tmp_path, APPLICATION_PACKAGE=PACKAGE, THREADS=1) as (_, port):
        user = register(port)
        assert call(port, "POST", PLACE, {"id": "one", "code": "1"}, user)[0] == 201
        with connected(port, user) as first, connected(port, user) as second:
            assert first.getheader("Content-Type") == "text/event-stream; charset=utf-8"
            for response in (first, second):
                assert next_message(response)["data"]["event_type"] == "submitted"
            assert call(port, "PATCH", ONE, {"status": "running"}, user)[0] == 200
            assert next_message(first)["data"]["metadata"] == {"old_status": "queued", "new_status": "running"}
            call(port, "POST", f"{ONE}/events", {"event_type": "log", "message": "event: end\n\nü"}, user)
            logged = next_message(first)
            assert (logged["event"], logged["data"]["message"]) == ("event", "event: end\n\nü")
            call(port, "PATCH", ONE, {"status": "completed", "output": "3"}, user)
            rest = [next_message(first) for _ in range(2)]
            assert [message["event"] for message in rest] == ["event", "end"]
            assert rest[1]["data"] == {"status": "completed"}
            assert first.read() == b""
            assert [next_message(second)["event"] for _ in range(4)] == ["event", "event", "event", "end"]
        with connected(port, user, logged["id"]) as again:
            assert [next_message(again) for _ in range(2)] == rest
        with connected(port, user, rest[1]["id"]) as over:
            assert (over.status, over.read()) == (204, b"")
        with connected(port, {}) as refused:
            assert refused.status == 401


def test_many_writers_and_followers_miss_nothing(tmp_path: Path, postgres_database: PostgresDatabase) -> None:
    """On PostgreSQL, whose transactions commit in another order than that of their ids."""
    add_roles(postgres_database)
    settings = supabase_settings(postgres_database)
    with serving(tmp_path, command=("app.py",), APPLICATION_PACKAGE=PACKAGE, THREADS=4, **settings) as (_, port):
        user = register(port)
        assert call(port, "POST", PLACE, {"id": "one", "code": "1"}, user)[0] == 201

        def write(writer: int) -> None:
            for number in range(5):
                body = {"event_type": "log", "message": f"{writer} {number}"}
                assert call(port, "POST", f"{ONE}/events", body, user)[0] == 201

        def follow(_: int) -> list[str]:
            seen: list[str] = []
            place = None
            for _ in range(1_000):
                with connected(port, user, place) as response:
                    # Some connections are lost on the way.
                    for _ in range(9):
                        message = next_message(response)
                        if message["event"] == "end":
                            return seen
                        seen.append(message["data"]["message"])
                        place = message["id"]
            raise AssertionError("the stream does not come to its end")

        with ThreadPoolExecutor(8) as threads:
            followers = [threads.submit(follow, number) for number in range(3)]
            list(threads.map(write, range(4)))
            assert call(port, "PATCH", ONE, {"status": "completed"}, user)[0] == 200
            expected = {f"{writer} {number}" for writer in range(4) for number in range(5)}
            for follower in followers:
                seen = follower.result()
                assert expected < set(seen)
                for writer in range(4):
                    own = list(dict.fromkeys(message for message in seen if message.startswith(f"{writer} ")))
                    assert own == [f"{writer} {number}" for number in range(5)]
