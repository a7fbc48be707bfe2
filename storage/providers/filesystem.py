"""Files that people can read."""

from __future__ import annotations

from storage.backends.file.backend import FileEntries
from storage.core.store import Store
from storage.providers.store import StoreProvider


class FileSystemProvider(StoreProvider):
    """A JSON file for each key: ``greeting.json`` is in ``./data/greeting.json``, with what is known about it.

    :param base_path: the folder.
    :param auto_create: make the folder if it is missing.
    :param pretty_json: write a line for each part of a value.
    :raises StorageConfigurationError: if the folder is missing, and may not be made.
    """

    def __init__(self, base_path: str = "./data", auto_create: bool = True, pretty_json: bool = True) -> None:
        super().__init__(Store(FileEntries(base_path, create=auto_create, pretty=pretty_json), "filesystem"))
