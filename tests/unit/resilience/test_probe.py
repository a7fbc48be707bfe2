"""The prober: recovery without traffic, with one thread at most."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from queue import SimpleQueue
from types import FrameType

import pytest

from database.core.context import NO_CONTEXT
from database.core.errors import ConnectFailed
from database.core.errors import PermissionDenied
from database.core.lifecycle import Worker
from database.core.operations import Ping
from database.resilience.circuit_breaker import CircuitBreaker
from database.resilience.probe import PAUSE
from database.resilience.probe import Prober
from database.resilience.settings import ResilienceSettings
from tests.clocks import ManualClock
from tests.unit.resilience.support import PATIENCE
from tests.unit.resilience.support import READ
from tests.unit.resilience.support import Backend
from tests.unit.resilience.support import outcome

DOWN = ConnectFailed("down")


class Watched:
    """A circuit breaker with a prober whose waiting is let through one at a time."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.circuit_breaker = CircuitBreaker("pg", ResilienceSettings(), clock, lambda: 0.0)
        self.backend = Backend(clock)
        self.waiting: SimpleQueue[float | None] = SimpleQueue()
        self.go: SimpleQueue[None] = SimpleQueue()
        self.meanwhile: Callable[[], object] = lambda: None
        self.prober = Prober(self.circuit_breaker, self._ping, wait=self._wait)

    def break_down(self) -> None:
        stage = self.circuit_breaker.protected(Backend(self.clock, *[DOWN] * 5))
        for _ in range(5):
            outcome(lambda: stage(READ, NO_CONTEXT))

    def next_wait(self) -> float | None:
        return self.waiting.get(timeout=PATIENCE)

    def end_wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.go.put(None)

    def join(self) -> None:
        for thread in self.threads():
            thread.join(PATIENCE)
        assert not self.prober.running

    @staticmethod
    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "isthmus-probe-pg"]

    def _ping(self) -> None:
        self.backend(Ping(), NO_CONTEXT)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()

    def _wait(self, seconds: float | None) -> None:
        self.waiting.put(seconds)
        self.go.get(timeout=PATIENCE)


@pytest.fixture
def watched(clock: ManualClock) -> Iterator[Watched]:
    watched = Watched(clock)
    yield watched
    watched.prober.stop(timeout=0)
    watched.go.put(None)
    watched.join()


def test_recovers_without_traffic_and_ends(watched: Watched) -> None:
    assert watched.threads() == []
    watched.backend.script.extend([DOWN, DOWN, None])
    watched.break_down()
    for _ in range(3):
        # Whatever the circuit's open time, which is a minute.
        assert watched.next_wait() == PAUSE
        assert watched.circuit_breaker.state == "open"
        watched.end_wait(PAUSE)
    watched.join()
    assert watched.circuit_breaker.state == "closed"
    assert watched.backend.sent == [Ping()] * 3


def test_a_backend_that_refuses_the_ping_is_there(watched: Watched) -> None:
    watched.backend.script.append(PermissionDenied("not for you"))
    watched.break_down()
    watched.next_wait()
    watched.end_wait(PAUSE)
    watched.join()
    assert watched.circuit_breaker.state == "closed"


def test_every_opening_has_one_thread(watched: Watched) -> None:
    for _ in range(3):
        watched.break_down()
        watched.next_wait()
        assert len(watched.threads()) == 1
        watched.end_wait(PAUSE)
        watched.join()
    assert len(watched.backend.sent) == 3


def test_an_opening_during_a_wait_keeps_the_thread(watched: Watched) -> None:
    watched.break_down()
    watched.next_wait()
    watched.circuit_breaker.reset()
    watched.break_down()
    assert len(watched.threads()) == 1
    watched.end_wait(PAUSE)
    watched.join()
    assert watched.circuit_breaker.state == "closed"


def test_an_opening_while_the_thread_is_leaving_starts_another(watched: Watched) -> None:
    leaving, leave = threading.Event(), threading.Event()

    def hold(frame: FrameType, event: str, value: object) -> None:
        if event == "return" and frame.f_code is Worker._goes_on.__code__ and value is False:
            leaving.set()
            assert leave.wait(PATIENCE)

    threading.setprofile(hold)
    watched.break_down()
    threading.setprofile(None)
    watched.next_wait()
    watched.end_wait(PAUSE)
    assert leaving.wait(PATIENCE)
    watched.break_down()
    assert watched.next_wait() == PAUSE
    leave.set()
    watched.end_wait(PAUSE)
    watched.join()
    assert watched.circuit_breaker.state == "closed"


def test_stopping_ends_the_thread_and_starting_watches_again(watched: Watched) -> None:
    watched.break_down()
    watched.next_wait()
    watched.prober.stop(timeout=0)
    watched.end_wait(0)
    watched.join()
    watched.circuit_breaker.reset()
    watched.break_down()
    assert not watched.prober.running
    watched.prober.start()
    assert watched.next_wait() == PAUSE
    watched.end_wait(PAUSE)
    watched.join()
    assert watched.circuit_breaker.state == "closed"


def test_starting_needs_no_thread_while_the_circuit_is_closed(watched: Watched) -> None:
    watched.prober.start()
    assert not watched.prober.running


def test_stopping_wakes_a_thread_that_waits(clock: ManualClock) -> None:
    circuit_breaker = CircuitBreaker("pg", ResilienceSettings(), clock)
    backend = Backend(clock, *[DOWN] * 5)
    prober = Prober(circuit_breaker, lambda: None)
    for _ in range(5):
        outcome(lambda: circuit_breaker.protected(backend)(READ, NO_CONTEXT))
    assert prober.running
    prober.stop(timeout=PATIENCE)
    assert not prober.running


def test_a_sign_of_life_from_before_another_opening_is_none(watched: Watched) -> None:
    def open_again() -> None:
        watched.circuit_breaker.reset()
        watched.break_down()

    watched.meanwhile = open_again
    watched.break_down()
    watched.next_wait()
    watched.end_wait(PAUSE)
    assert watched.next_wait() == PAUSE
    assert watched.circuit_breaker.state == "open"
    watched.end_wait(PAUSE)
    watched.join()
    assert watched.circuit_breaker.state == "closed"
