"""Asynchronous storage in several places at once: each value is in all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Final
from typing import TypeVar

from database.backends.sqlite import SQLiteAdapter
from database.core.lifecycle import Worker
from database.core.lifecycle import rebuild_after_fork
from database.resilience.settings import ResilienceSettings
from storage.asynchronous.face import StoreFace
from storage.asynchronous.single import Place
from storage.backends.documents import DocumentEntries
from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.core.errors import StorageConfigurationError
from storage.core.layer import Layer
from storage.core.layer import Repaired
from storage.core.store import Store
from storage.layers.cache import Cache
from storage.layers.mirror.integrity import Integrity
from storage.layers.mirror.stage import Mirrors
from storage.layers.written import written_to

_BACKENDS: Final = ("sqlite", "file")
_REPAIRS: Final = "repairs"
_REPAIR_SECONDS: Final = 30.0
_SETTINGS: Final = ResilienceSettings(retry_count=0, circuit_breaker_threshold=0)
"""Of this machine's own files: whoever has freed the place or the folder need not wait until they are tried again."""

_Answer = TypeVar("_Answer")


class MultiBackendStorage(StoreFace):
    """Values in an SQLite file and in JSON files.

    A value is saved when the first place has it. What another one has missed is marked in a durable queue, and brought
    there by a thread, which looks for that at the first call and then twice a minute. While the first place is out of
    reach, or a value there is damaged, another one answers.

    :param backends: ``sqlite`` and ``file``, in the order in which they are asked.
    :param cache_enabled: keep values in memory that were loaded.
    :param cache_ttl_seconds: how long; so long a value of another process may be seen that was changed since.
    :param cache_max_size: the largest number of values in memory.
    """

    def __init__(
        self,
        backends: Sequence[str] = _BACKENDS,
        cache_enabled: bool = True,
        sqlite_path: Place = "./data/convergence_legacy.db",
        file_base_dir: Place = "./data/convergence_legacy",
        cache_ttl_seconds: float = 300.0,
        cache_max_size: int | None = 10_000,
    ) -> None:
        first, *others = _checked(backends)
        paths = {"sqlite": os.fspath(sqlite_path), "file": os.fspath(file_base_dir)}
        self.backends = [first, *others]
        self._cache = Cache(Store(MemoryEntries(most_entries=cache_max_size), "cache"), cache_ttl_seconds)
        self._mirrors: Mirrors | None = None
        layers: list[Layer] = [self._cache] if cache_enabled else []
        if others:
            copies = {name: Store(_MAKERS[name](paths[name], "storage"), name, _SETTINGS) for name in others}
            queue = Store(_MAKERS[first](_beside(paths[first], first), _REPAIRS), _REPAIRS, _SETTINGS)
            self._mirrors = Mirrors(copies, queue, name=first)
            layers.append(self._mirrors)
        super().__init__(Store(_MAKERS[first](paths[first], "storage"), first, _SETTINGS, layers=layers))
        self._create_runtime_state()
        rebuild_after_fork(self, MultiBackendStorage._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._worker = Worker("repair of copies", self._repair_step, _REPAIR_SECONDS)

    async def save(self, key: str, value: Any) -> dict[str, bool]:
        """Store a value; returns which places have it by now.

        :raises StorageError: if the first one does not have it.
        """
        return await self._run(lambda: self._written(lambda: self._store.put(key, value)))

    async def delete(self, key: str) -> dict[str, bool]:
        """Delete a value, if there is one; returns from which places it is gone by now."""
        return await self._run(lambda: self._written(lambda: self._store.delete(key)))

    async def repair(self) -> Repaired:
        """Bring up to date now what places have missed."""
        if self._mirrors is None:
            return Repaired(0, 0)
        return await self._run(self._mirrors.repair)

    async def verify_integrity(self, *, repair: bool = False) -> Integrity:
        """Compare all places, value by value.

        :param repair: make the others like the first one.
        """
        if self._mirrors is None:
            return Integrity.of(self.backends[0], [])
        mirrors = self._mirrors
        return await self._run(lambda: mirrors.verify_integrity(bodies=True, repair=repair))

    async def get_health_stats(self) -> Mapping[str, Any]:
        """The names of the places, and what the cache and the mirror have counted."""
        return {"backends": self.backends, "layers": {one.name: dict(one.counts) for one in self._store.layers}}

    async def close(self) -> None:
        """Close all connections; the next call opens them again."""
        await super()._run(self._worker.stop)
        await super()._run(self._store.close)

    async def _run(self, work: Callable[[], _Answer]) -> _Answer:
        if self._mirrors is not None and not self._worker.running:
            self._worker.start()
        return await super()._run(work)

    def _written(self, work: Callable[[], object]) -> dict[str, bool]:
        with written_to() as places:
            work()
        return places or {self.backends[0]: True}

    def _repair_step(self) -> None:
        assert self._mirrors is not None
        self._mirrors.repair()


def get_legacy_storage(cache_enabled: bool = True, data_dir: Place = "./data") -> MultiBackendStorage:
    """The storage in an SQLite file and in JSON files in a folder.

    :param cache_enabled: keep values in memory that were loaded.
    """
    return MultiBackendStorage(
        cache_enabled=cache_enabled,
        sqlite_path=Path(data_dir) / "convergence_legacy.db",
        file_base_dir=Path(data_dir) / "convergence_legacy",
    )


def _sqlite(path: str, table: str) -> DocumentEntries:
    return DocumentEntries(SQLiteAdapter, {"path": path}, table)


def _file(path: str, _: str) -> FileEntries:
    return FileEntries(path)


_MAKERS: Final[Mapping[str, Callable[[str, str], DocumentEntries | FileEntries]]] = {"sqlite": _sqlite, "file": _file}


def _beside(path: str, kind: str) -> str:
    """Where the repair queue is: in a table of the same SQLite file, or in a folder beside the other one."""
    return path if kind == "sqlite" else f"{path}.{_REPAIRS}"


def _checked(backends: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(backends))
    if not names or any(name not in _MAKERS for name in names):
        raise StorageConfigurationError(f"backends must be one or both of {', '.join(_BACKENDS)}")
    return names
