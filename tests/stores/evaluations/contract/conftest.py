"""The places of the contract suite: each test runs on each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.evaluations.core import Evaluations
from tests.servers.available import available
from tests.servers.cosmos.account import CosmosAccount
from tests.stores.evaluations.places import PLACES
from tests.stores.evaluations.places import EvaluationPlace


@pytest.fixture(scope="session")
def cosmos_account() -> Iterator[CosmosAccount]:
    with available(CosmosAccount) as account:
        yield account


@pytest.fixture(scope="session", params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[EvaluationPlace]:
    with PLACES[request.param](request) as found:
        yield found


@pytest.fixture
def evaluations(place: EvaluationPlace, tmp_path: Path) -> Evaluations:
    return Evaluations(*place.make(tmp_path))
