"""The two backends that keep values in different forms: as bytes, and inside of a JSON document."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.core.store import Store


@pytest.fixture(params=["bytes", "documents"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(MemoryEntries() if request.param == "bytes" else FileEntries(tmp_path))
