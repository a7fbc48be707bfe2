"""The threads that subscriptions share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event
from threading import Thread
from threading import enumerate as all_threads

import pytest

from database.changes.crew import MOST_THREADS
from database.changes.crew import Crew
from tests.unit.changes.support import PATIENCE


class Job:
    """A member that counts how often it is served.

    :ivar at_once: how many threads serve it now, at most.
    """

    def __init__(self, work: Callable[[], object] = lambda: None) -> None:
        self._work = work
        self._served = SimpleQueue[None]()
        self.count = self.now = self.at_once = 0

    def serve(self) -> None:
        self.now += 1
        self.at_once = max(self.at_once, self.now)
        self.count += 1
        try:
            self._work()
        finally:
            self.now -= 1
            self._served.put(None)

    def wait(self) -> None:
        """Wait until it was served once more."""
        self._served.get(timeout=PATIENCE)


@pytest.fixture
def crew() -> Iterator[Crew]:
    yield Crew("crew")
    assert _threads() == 0


def _threads() -> int:
    return sum(one.name == "crew" for one in all_threads())


def test_a_member_is_served_when_it_joins_and_when_it_is_called(crew: Crew) -> None:
    job = Job()
    crew.join(job)
    job.wait()
    crew.call(job)
    job.wait()
    crew.leave(job)
    crew.call(job)
    assert job.count == 2


def test_thousands_of_members_share_few_threads(crew: Crew) -> None:
    jobs = [Job() for _ in range(2_000)]
    for job in jobs:
        crew.join(job)
    for job in jobs:
        job.wait()
    assert _threads() <= MOST_THREADS
    for job in jobs:
        crew.leave(job)
    assert {job.count for job in jobs} == {1}


def test_calls_of_a_member_that_is_served_are_one(crew: Crew) -> None:
    entered, go_on = SimpleQueue[None](), SimpleQueue[None]()

    def work() -> None:
        entered.put(None)
        go_on.get(timeout=PATIENCE)

    job = Job(work)
    crew.join(job)
    entered.get(timeout=PATIENCE)
    for _ in range(5):
        crew.call(job)
    for _ in range(2):
        go_on.put(None)
        job.wait()
    crew.leave(job)
    assert (job.count, job.at_once) == (2, 1)


def test_slow_members_do_not_delay_the_others_while_a_thread_is_left(crew: Crew) -> None:
    go_on = Event()
    slow = [Job(lambda: go_on.wait(PATIENCE)) for _ in range(MOST_THREADS - 1)]
    quick = [Job() for _ in range(50)]
    for job in (*slow, *quick):
        crew.join(job)
    for job in quick:
        job.wait()
    go_on.set()
    for job in (*slow, *quick):
        crew.leave(job)


def test_to_leave_waits_for_the_work(crew: Crew) -> None:
    entered, go_on = Event(), Event()

    def work() -> None:
        entered.set()
        go_on.wait(PATIENCE)

    job = Job(work)
    crew.join(job)
    assert entered.wait(PATIENCE)
    leaving = Thread(target=crew.leave, args=(job,))
    leaving.start()
    leaving.join(0.05)
    assert leaving.is_alive()
    go_on.set()
    leaving.join(PATIENCE)
    assert job.now == 0


def test_a_member_may_leave_while_it_is_served(crew: Crew) -> None:
    left = Event()

    def leave() -> None:
        crew.leave(job)
        left.set()

    job = Job(leave)
    crew.join(job)
    assert left.wait(PATIENCE)
    again = Job()
    crew.join(again)
    again.wait()
    crew.leave(again)
    while _threads():
        pass
    assert job.count == 1


def test_the_last_to_leave_does_not_wait_for_who_has_left_before(crew: Crew) -> None:
    left, go_on = Event(), Event()

    def leave() -> None:
        crew.leave(busy)
        left.set()
        go_on.wait(PATIENCE)

    busy, last = Job(leave), Job()
    crew.join(last)
    last.wait()
    crew.join(busy)
    assert left.wait(PATIENCE)
    leaving = Thread(target=crew.leave, args=(last,))
    leaving.start()
    leaving.join(PATIENCE / 4)
    assert not leaving.is_alive()
    go_on.set()
    busy.wait()
    while _threads():
        pass


def test_a_defect_costs_no_thread(crew: Crew, caplog: pytest.LogCaptureFixture) -> None:
    job = Job(lambda: 1 / 0)
    crew.join(job)
    for _ in range(2 * MOST_THREADS):
        job.wait()
        crew.call(job)
    other = Job()
    crew.join(other)
    other.wait()
    for one in (job, other):
        crew.leave(one)
    assert "crew could not serve a member" in caplog.text
