"""Stores: values under keys, with metadata, versions and a time to live, the same on every backend.

>>> from storage import FileEntries, Store
>>> store = Store(FileEntries("./data"))
>>> store.put("greeting.json", {"content": "Hello, World!"}, ttl=3600).etag  # doctest: +SKIP

A name is imported on its first use, so that unused drivers are not loaded.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from storage.asynchronous.convex.storage import ConvexStorage
    from storage.asynchronous.convex.verification import IntegrationReport
    from storage.asynchronous.convex.verification import verify_integration
    from storage.asynchronous.face import AsyncStorage
    from storage.asynchronous.multi import MultiBackendStorage
    from storage.asynchronous.multi import get_legacy_storage
    from storage.asynchronous.protocol import StorageProtocol
    from storage.asynchronous.registry import StorageRegistry
    from storage.asynchronous.registry import get_storage_registry
    from storage.asynchronous.single import FileStorage
    from storage.asynchronous.single import MemoryStorage
    from storage.asynchronous.single import SQLiteStorage
    from storage.backends.cosmos.backend import CosmosEntries
    from storage.backends.documents import DocumentEntries
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
    from storage.core.errors import StorageRollbackError
    from storage.core.errors import StorageSerializationError
    from storage.core.errors import StorageThrottled
    from storage.core.errors import StorageTimeoutError
    from storage.core.errors import StorageTransactionConflict
    from storage.core.errors import StorageUnsupportedError
    from storage.core.errors import StorageVectorError
    from storage.core.layer import Layer
    from storage.core.store import Store
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
    from storage.layers.written import written_to
    from storage.manager.environment import get_data_manager
    from storage.manager.functions import requires_storage
    from storage.manager.functions import storage_enabled
    from storage.manager.manager import DataManager
    from storage.manager.provider import BaseStorageProvider
    from storage.manager.provider import StorageResult
    from storage.manager.references import DataReference
    from storage.migration.copied import Copied
    from storage.migration.copying import CopyOptions
    from storage.migration.copying import copy_entries
    from storage.migration.places import store_at
    from storage.providers.filesystem import FileSystemProvider
    from storage.providers.postgresql import PostgreSQLProvider
    from storage.providers.qdrant import QdrantProvider
    from storage.providers.redis import RedisProvider
    from storage.providers.s3 import S3Provider
    from storage.providers.store import StoreProvider
    from storage.stack import StoreDeclaration
    from storage.stack import Stores
    from storage.stack import StoreSetup
    from storage.stack import current_store
else:
    _HOMES = {
        "asynchronous.convex.storage": ("ConvexStorage",),
        "asynchronous.convex.verification": ("IntegrationReport", "verify_integration"),
        "asynchronous.face": ("AsyncStorage",),
        "asynchronous.multi": ("MultiBackendStorage", "get_legacy_storage"),
        "asynchronous.protocol": ("StorageProtocol",),
        "asynchronous.registry": ("StorageRegistry", "get_storage_registry"),
        "asynchronous.single": ("FileStorage", "MemoryStorage", "SQLiteStorage"),
        "backends.cosmos.backend": ("CosmosEntries",),
        "backends.documents": ("DocumentEntries",),
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
            *("StorageRollbackError", "StorageSerializationError", "StorageThrottled"),
            *("StorageTimeoutError", "StorageTransactionConflict", "StorageUnsupportedError"),
            "StorageVectorError",
        ),
        "core.layer": ("Layer",),
        "core.store": ("Store",),
        "layers.written": ("written_to",),
        "layers.cache": ("Cache",),
        "layers.compression": ("Compression",),
        "layers.disk_space": ("DiskSpace",),
        "layers.encryption": ("Encryption", "Keys", "rewrap"),
        "layers.fallback.stage": ("Fallback",),
        "layers.mirror.stage": ("Mirrors",),
        "layers.retention": ("Keep", "Retention"),
        "layers.size_tier": ("SizeTier",),
        "stack": (*("StoreDeclaration", "StoreSetup", "Stores", "current_store"),),
        "manager.environment": ("get_data_manager",),
        "manager.functions": ("requires_storage", "storage_enabled"),
        "manager.manager": ("DataManager",),
        "manager.provider": ("BaseStorageProvider", "StorageResult"),
        "manager.references": ("DataReference",),
        "migration.copied": ("Copied",),
        "migration.copying": ("CopyOptions", "copy_entries"),
        "migration.places": ("store_at",),
        "providers.filesystem": ("FileSystemProvider",),
        "providers.postgresql": ("PostgreSQLProvider",),
        "providers.qdrant": ("QdrantProvider",),
        "providers.redis": ("RedisProvider",),
        "providers.s3": ("S3Provider",),
        "providers.store": ("StoreProvider",),
    }
    _OTHERS = dict.fromkeys(
        ("DatabaseStorage", "FlexibleStorageManager", "InMemoryStorage", "StorageService"), "stores"
    )
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names}, _OTHERS)

__all__ = [
    "AsyncStorage",
    "BaseStorageProvider",
    "Cache",
    "Compression",
    "ConvexStorage",
    "Copied",
    "CopyOptions",
    "CosmosEntries",
    "DataManager",
    "DataReference",
    "DiskSpace",
    "DocumentEntries",
    "Encryption",
    "Entry",
    "EntryPage",
    "Fallback",
    "FileEntries",
    "FileStorage",
    "FileSystemProvider",
    "IntegrationReport",
    "Keep",
    "Keys",
    "Layer",
    "MemoryEntries",
    "MemoryStorage",
    "Mirrors",
    "MultiBackendStorage",
    "PostgreSQLProvider",
    "QdrantEntries",
    "QdrantProvider",
    "RedisEntries",
    "RedisProvider",
    "Retention",
    "S3Entries",
    "S3Provider",
    "SQLiteStorage",
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
    "StorageProtocol",
    "StorageRegistry",
    "StorageResult",
    "StorageRollbackError",
    "StorageSerializationError",
    "StorageThrottled",
    "StorageTimeoutError",
    "StorageTransactionConflict",
    "StorageUnsupportedError",
    "StorageVectorError",
    "Store",
    "StoreCapabilities",
    "StoreDeclaration",
    "StoreProvider",
    "StoreSetup",
    "Stores",
    "TableEntries",
    "copy_entries",
    "current_store",
    "get_data_manager",
    "get_legacy_storage",
    "get_storage_registry",
    "requires_storage",
    "rewrap",
    "storage_enabled",
    "store_at",
    "verify_integration",
    "written_to",
]
