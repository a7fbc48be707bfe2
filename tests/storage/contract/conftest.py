"""The stores of the contract suite: each test runs on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.core.store import Store
from tests.clocks import WallClock
from tests.storage.contract.places import PLACES
from tests.storage.contract.places import Make


@pytest.fixture(scope="session", params=PLACES)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    with PLACES[request.param](request) as found:
        yield found


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def store(make: Make, tmp_path: Path, clock: WallClock) -> Iterator[Store]:
    made = Store(make(tmp_path), clock=clock)
    yield made
    made.close()
