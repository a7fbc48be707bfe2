"""Stores: values under keys, with metadata, versions and a time to live, the same on every backend.

>>> from storage import FileEntries, Store
>>> store = Store(FileEntries("./data"))
>>> store.put("greeting.json", {"content": "Hello, World!"}, ttl=3600).etag  # doctest: +SKIP

A name is imported on its first use, so that unused drivers are not loaded.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from storage.backends.cosmos.backend import CosmosEntries
    from storage.backends.file.backend import FileEntries
    from storage.backends.memory import MemoryEntries
    from storage.backends.qdrant.backend import QdrantEntries
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
    from storage.core.errors import StorageVectorError
    from storage.core.store import Layer
    from storage.core.store import Store
    from storage.layers.compression import Compression
    from storage.layers.encryption import Encryption
    from storage.layers.encryption import Keys
    from storage.layers.encryption import rewrap
    from storage.stack import StoreDeclaration
    from storage.stack import Stores
    from storage.stack import StoreSetup
    from storage.stack import current_store
else:
    _HOMES = {
        "backends.cosmos.backend": ("CosmosEntries",),
        "backends.file.backend": ("FileEntries",),
        "backends.memory": ("MemoryEntries",),
        "backends.qdrant.backend": ("QdrantEntries",),
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
            *("StorageTransactionConflict", "StorageUnsupportedError", "StorageVectorError"),
        ),
        "core.store": ("Layer", "Store"),
        "layers.compression": ("Compression",),
        "layers.encryption": ("Encryption", "Keys", "rewrap"),
        "stack": (*("StoreDeclaration", "StoreSetup", "Stores", "current_store"),),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "Compression",
    "CosmosEntries",
    "Encryption",
    "Entry",
    "EntryPage",
    "FileEntries",
    "Keys",
    "Layer",
    "MemoryEntries",
    "QdrantEntries",
    "RedisEntries",
    "S3Entries",
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
    "StorageVectorError",
    "Store",
    "StoreCapabilities",
    "StoreDeclaration",
    "StoreSetup",
    "Stores",
    "TableEntries",
    "current_store",
    "rewrap",
]
