"""Asynchronous storage in one place each."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal
from typing import TypeVar

from database.backends.sqlite import SQLiteAdapter
from storage.asynchronous.face import AsyncStorage
from storage.backends.documents import DocumentEntries
from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.core.errors import StorageConfigurationError
from storage.core.store import Store

_Answer = TypeVar("_Answer")
Place = str | os.PathLike[str]


class SQLiteStorage(AsyncStorage):
    """A table in an SQLite file, which other programs may query: ``select data ->> '$.reward' from storage``.

    :param db_path: the file; its folder is made.
    :param table_name: of small letters, digits and underscores.
    :param serializer: values are JSON.
    """

    def __init__(
        self,
        db_path: Place = "./data/storage.db",
        table_name: str = "storage",
        serializer: Literal["json"] = "json",
    ) -> None:
        _check(serializer)
        super().__init__(Store(DocumentEntries(SQLiteAdapter, {"path": os.fspath(db_path)}, table_name), "sqlite"))


class FileStorage(AsyncStorage):
    """A JSON file for each key, which people can read.

    :param base_dir: the folder; it is made.
    :param serializer: values are JSON.
    """

    def __init__(self, base_dir: Place = "./data/storage", serializer: Literal["json"] = "json") -> None:
        _check(serializer)
        super().__init__(Store(FileEntries(base_dir)))


class MemoryStorage(AsyncStorage):
    """The memory of this process, as a cache: above its size, what was unused for longest gives way.

    :param ttl_seconds: the time to live of what is saved.
    :param max_size: the largest number of values.
    """

    def __init__(self, ttl_seconds: float | None = None, max_size: int | None = None) -> None:
        super().__init__(Store(MemoryEntries(most_entries=max_size)), ttl_seconds)

    async def _run(self, work: Callable[[], _Answer]) -> _Answer:
        # It never waits.
        return work()


def _check(serializer: str) -> None:
    if serializer != "json":
        raise StorageConfigurationError(
            f"the serializer {serializer!r:.32} is not supported: values are JSON, because to read a pickled one can"
            " run any code; use 'json'"
        )
