"""The providers of a data manager: each says which store it is a face of, and how that is reached."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from storage.providers.filesystem import FileSystemProvider
    from storage.providers.postgresql import PostgreSQLProvider
    from storage.providers.qdrant import QdrantProvider
    from storage.providers.redis import RedisProvider
    from storage.providers.s3 import S3Provider
    from storage.providers.store import StoreProvider
else:
    _HOMES = {
        "FileSystemProvider": "filesystem",
        "PostgreSQLProvider": "postgresql",
        "QdrantProvider": "qdrant",
        "RedisProvider": "redis",
        "S3Provider": "s3",
        "StoreProvider": "store",
    }
    __getattr__ = on_first_use(__name__, _HOMES)

__all__ = ["FileSystemProvider", "PostgreSQLProvider", "QdrantProvider", "RedisProvider", "S3Provider", "StoreProvider"]
