"""The stores of the contract suite: each test runs on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.core.store import Store
from tests.clocks import WallClock
from tests.storage.contract.places import PLACES
from tests.storage.contract.places import Place


@pytest.fixture(scope="session", params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with PLACES[request.param](request) as found:
        yield found


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def store(place: Place, tmp_path: Path, clock: WallClock) -> Iterator[Store]:
    made = Store(place.make(tmp_path), clock=clock, layers=place.layers())
    yield made
    made.close()
