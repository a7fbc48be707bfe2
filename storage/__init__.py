"""Stores: values under keys, with metadata, versions and a time to live, the same on every backend.

>>> from storage import FileEntries, Store
>>> store = Store(FileEntries("./data"))
>>> store.put("greeting.json", {"content": "Hello, World!"}, ttl=3600).etag  # doctest: +SKIP
"""

from __future__ import annotations

from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import Entry
from storage.core.entry import EntryPage
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageCorruptError
from storage.core.errors import StorageError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageNotFoundError
from storage.core.errors import StorageOutcomeUnknown
from storage.core.errors import StoragePermissionError
from storage.core.errors import StorageSerializationError
from storage.core.errors import StorageThrottled
from storage.core.errors import StorageTimeoutError
from storage.core.errors import StorageUnsupportedError
from storage.core.store import Store

__all__ = [
    "Entry",
    "EntryPage",
    "FileEntries",
    "MemoryEntries",
    "StorageCapacityError",
    "StorageConfigurationError",
    "StorageConflictError",
    "StorageConnectionError",
    "StorageCorruptError",
    "StorageError",
    "StorageKeyError",
    "StorageNotFoundError",
    "StorageOutcomeUnknown",
    "StoragePermissionError",
    "StorageSerializationError",
    "StorageThrottled",
    "StorageTimeoutError",
    "StorageUnsupportedError",
    "Store",
    "StoreCapabilities",
]
