"""The contract's backends, each bare, through a fault adapter without faults, and through one with faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.faulty import Faults
from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.backends.sqlite import SQLiteAdapter
from tests.contract.backends import BACKENDS
from tests.contract.backends import TIMEOUT
from tests.contract.backends import Backend
from tests.contract.following import Inbox
from tests.contract.following import threads


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that would prove nothing.

    That is most backends through a fault adapter that does nothing, which is tested on the two quickest, and what other
    programs write, in the memory of this one.
    """
    left_out = [item for item in items if _is_repetition(item) or _is_impossible(item)]
    gone = set(left_out)
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=left_out)


def _is_repetition(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None)
    if parameters is None:
        return False
    case = parameters.params.get("_backend")
    through = "through" in {parameters.params.get("adapter"), parameters.params.get("calm")}
    return through and case is not None and not issubclass(case.adapter, MemoryAdapter | SQLiteAdapter)


def _is_impossible(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None)
    case = None if parameters is None else parameters.params.get("_backend")
    return case is not None and item.path.name == "test_unreadable.py" and issubclass(case.adapter, MemoryAdapter)


@pytest.fixture(scope="session", params=BACKENDS, ids=lambda case: case.name)
def _backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    backend = Backend.prepared(request.param, request)
    yield backend
    backend.adapter.disconnect()


@pytest.fixture
def backend(_backend: Backend) -> Backend:
    """A backend without any rows."""
    _backend.clear()
    return _backend


@pytest.fixture(params=["bare", "through"])
def calm(request: pytest.FixtureRequest, backend: Backend) -> DatabaseAdapter:
    """An adapter without faults."""
    return backend.adapter if request.param == "bare" else faulty(backend)


@pytest.fixture(params=["bare", "through", "faulty"])
def adapter(request: pytest.FixtureRequest, backend: Backend) -> DatabaseAdapter:
    """An adapter without faults that a caller would notice: a tenth of the attempts may fail and are retried."""
    if request.param == "bare":
        return backend.adapter
    return faulty(backend, Faults(refuse=0.05, error_before=0.05) if request.param == "faulty" else None)


@pytest.fixture
def inbox(backend: Backend) -> Iterator[Inbox]:
    """A callback of subscriptions; when the test ends, they have ended, and their threads with them."""
    yield Inbox()
    assert threads() == []


def faulty(backend: Backend, faults: Faults | None = None) -> FaultyAdapter:
    """The shared adapter with faults; it does not wait between attempts."""
    config = {"timeout": TIMEOUT, "circuit_breaker_threshold": 0}
    return FaultyAdapter(backend.adapter, faults=faults, config=config, sleep=lambda _: None)
