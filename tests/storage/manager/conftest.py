"""A data manager of the test's own, with two stores in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage import DataManager
from storage import MemoryEntries
from storage import Store
from storage.manager import environment


@pytest.fixture
def dm(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataManager]:
    process = environment.Process()
    monkeypatch.setattr(environment, "_process", process)
    for name in ("first", "second"):
        process.manager.register_provider(name, Store(MemoryEntries(), name))
    yield process.manager
    process.manager.close()
