"""The places in which the suite stores: how each backend is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.core.backend import StoreBackend

Make = Callable[[Path], StoreBackend]
"""Makes an empty backend; the folder is that of the test."""


def memory(_: Path) -> StoreBackend:
    return MemoryEntries()


def file(folder: Path) -> StoreBackend:
    return FileEntries(folder / "store")


PLACES: dict[str, Make] = {"memory": memory, "file": file}
