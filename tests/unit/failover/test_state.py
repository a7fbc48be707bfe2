"""The snapshot of where calls go: what one says belongs together, and each change makes another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from database.backends.memory import MemoryAdapter
from database.core.clock import Clock
from database.failover.state import Failover
from tests.clocks import ManualClock

AFTER = 30.0  # seconds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def main() -> MemoryAdapter:
    return MemoryAdapter()


@pytest.fixture
def failover(main: MemoryAdapter, clock: ManualClock) -> Failover:
    return failing_over(main, clock)


def failing_over(main: MemoryAdapter, clock: Clock) -> Failover:
    failover = Failover({"main": main, "spare": MemoryAdapter()}, AFTER, clock)
    failover.connect()
    return failover


def test_a_snapshot_cannot_be_changed(failover: Failover) -> None:
    snapshot: Any = failover.state
    with pytest.raises(FrozenInstanceError):
        snapshot.epoch = 7
    with pytest.raises(FrozenInstanceError):
        snapshot.health.away = True


def test_a_snapshot_keeps_what_was_true_when_it_was_taken(failover: Failover, main: MemoryAdapter) -> None:
    before = failover.connected()
    main.pipeline.circuit_breaker.trip()
    assert (before.name, before.adapter, before.health.away, before.epoch) == ("main", main, False, 0)
    after = failover.connected()
    assert (after.name, after.adapter, after.health.away, after.epoch) == ("main", main, True, 1)


def test_each_way_of_reads_has_an_epoch(failover: Failover, main: MemoryAdapter, clock: ManualClock) -> None:
    main.pipeline.circuit_breaker.trip()
    main.pipeline.circuit_breaker.reset()
    assert (failover.now().health.away, failover.now().epoch) == (True, 1)
    clock.advance(AFTER)
    assert (failover.now().health.away, failover.now().epoch) == (False, 2)
    assert failover.answering(failover.now()) == "main"


def test_an_outage_during_the_pause_begins_it_anew(failover: Failover, main: MemoryAdapter, clock: ManualClock) -> None:
    main.pipeline.circuit_breaker.trip()
    main.pipeline.circuit_breaker.reset()
    clock.advance(AFTER - 1)
    main.pipeline.circuit_breaker.trip()
    main.pipeline.circuit_breaker.reset()
    clock.advance(AFTER - 1)
    assert (failover.now().health.away, failover.now().epoch) == (True, 1)


class InterruptedClock(ManualClock):
    """Does something while it is being read, once."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] | None = None

    def __call__(self) -> float:
        now, meanwhile, self.meanwhile = self.now, self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return now


def test_reads_do_not_return_to_a_primary_that_went_away_at_that_moment(main: MemoryAdapter) -> None:
    clock = InterruptedClock()
    failover = failing_over(main, clock)
    main.pipeline.circuit_breaker.trip()
    main.pipeline.circuit_breaker.reset()
    clock.advance(AFTER)
    clock.meanwhile = main.pipeline.circuit_breaker.trip
    assert failover.connected().health.away
    assert failover.connected().health.well_since is None


def test_a_disconnect_changes_nothing_but_the_connection(failover: Failover, main: MemoryAdapter) -> None:
    main.pipeline.circuit_breaker.trip()
    failover.disconnect()
    assert failover.answering(failover.now()) is None
    assert (failover.now().health.away, failover.now().epoch) == (True, 1)
