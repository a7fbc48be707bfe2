"""The records of each test, in each place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stores import Experiments
from tests.stores.experiments.places import PLACES
from tests.stores.experiments.places import Place


@pytest.fixture(scope="session", params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with PLACES[request.param](request) as found:
        yield found


@pytest.fixture
def experiments(place: Place, tmp_path: Path) -> Iterator[Experiments]:
    made = place.make(tmp_path, False)
    yield made
    made.close()
