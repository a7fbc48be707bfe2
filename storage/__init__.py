"""Stores: values under keys, with metadata, versions and a time to live, the same on every backend.

>>> from storage import FileEntries, Store
>>> store = Store(FileEntries("./data"))
>>> store.put("greeting.json", {"content": "Hello, World!"}, ttl=3600).etag  # doctest: +SKIP

A name is imported on its first use, so that unused drivers are not loaded.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from storage.backends.file.backend import FileEntries
    from storage.backends.memory import MemoryEntries
    from storage.backends.redis.backend import RedisEntries
    from storage.backends.s3.backend import S3Entries
    from storage.backends.table import TableEntries
    from storage.core.capabilities import StoreCapabilities
    from storage.core.entry import Entry
    from storage.core.entry import EntryPage
    from storage.core.errors import StorageCapacityError
    from storage.core.errors import StorageCircuitOpen
    from storage.core.errors import StorageConfigurationError
    from storage.core.errors import StorageConflictError
    from storage.core.errors import StorageConnectionError
    from storage.core.errors import StorageCorruptError
    from storage.core.errors import StorageCredentialsRefused
    from storage.core.errors import StorageError
    from storage.core.errors import StorageKeyError
    from storage.core.errors import StorageNotFoundError
    from storage.core.errors import StorageOutcomeUnknown
    from storage.core.errors import StoragePermissionError
    from storage.core.errors import StorageSerializationError
    from storage.core.errors import StorageThrottled
    from storage.core.errors import StorageTimeoutError
    from storage.core.errors import StorageTransactionConflict
    from storage.core.errors import StorageUnsupportedError
    from storage.core.layer import Layer
    from storage.core.store import Store
    from storage.core.written import written_to
    from storage.layers.cache import Cache
    from storage.layers.compression import Compression
    from storage.layers.disk_space import DiskSpace
    from storage.layers.encryption import Encryption
    from storage.layers.encryption import Keys
    from storage.layers.encryption import rewrap
    from storage.layers.fallback.stage import Fallback
    from storage.layers.mirror.stage import Mirrors
    from storage.layers.retention import Keep
    from storage.layers.retention import Retention
    from storage.layers.size_tier import SizeTier
    from storage.stack import StoreDeclaration
    from storage.stack import Stores
    from storage.stack import StoreSetup
    from storage.stack import current_store
else:
    _HOMES = {
        "backends.file.backend": ("FileEntries",),
        "backends.memory": ("MemoryEntries",),
        "backends.redis.backend": ("RedisEntries",),
        "backends.s3.backend": ("S3Entries",),
        "backends.table": ("TableEntries",),
        "core.capabilities": ("StoreCapabilities",),
        "core.entry": ("Entry", "EntryPage"),
        "core.errors": (
            *("StorageCapacityError", "StorageCircuitOpen", "StorageConfigurationError"),
            *("StorageConflictError", "StorageConnectionError", "StorageCorruptError"),
            *("StorageCredentialsRefused", "StorageError", "StorageKeyError"),
            *("StorageNotFoundError", "StorageOutcomeUnknown", "StoragePermissionError"),
            *("StorageSerializationError", "StorageThrottled", "StorageTimeoutError"),
            *("StorageTransactionConflict", "StorageUnsupportedError"),
        ),
        "core.layer": ("Layer",),
        "core.store": ("Store",),
        "core.written": ("written_to",),
        "layers.cache": ("Cache",),
        "layers.compression": ("Compression",),
        "layers.disk_space": ("DiskSpace",),
        "layers.encryption": ("Encryption", "Keys", "rewrap"),
        "layers.fallback.stage": ("Fallback",),
        "layers.mirror.stage": ("Mirrors",),
        "layers.retention": ("Retention", "Keep"),
        "layers.size_tier": ("SizeTier",),
        "stack": (*("StoreDeclaration", "StoreSetup", "Stores", "current_store"),),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "Cache",
    "Compression",
    "DiskSpace",
    "Encryption",
    "Entry",
    "EntryPage",
    "Fallback",
    "FileEntries",
    "Keep",
    "Keys",
    "Layer",
    "MemoryEntries",
    "Mirrors",
    "RedisEntries",
    "Retention",
    "S3Entries",
    "SizeTier",
    "StorageCapacityError",
    "StorageCircuitOpen",
    "StorageConfigurationError",
    "StorageConflictError",
    "StorageConnectionError",
    "StorageCorruptError",
    "StorageCredentialsRefused",
    "StorageError",
    "StorageKeyError",
    "StorageNotFoundError",
    "StorageOutcomeUnknown",
    "StoragePermissionError",
    "StorageSerializationError",
    "StorageThrottled",
    "StorageTimeoutError",
    "StorageTransactionConflict",
    "StorageUnsupportedError",
    "Store",
    "StoreCapabilities",
    "StoreDeclaration",
    "StoreSetup",
    "Stores",
    "TableEntries",
    "current_store",
    "rewrap",
    "written_to",
]
