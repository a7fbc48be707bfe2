"""The data manager of this process, and the providers that the environment names."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from threading import Lock
from typing import Final

from pydantic import SecretStr
from pydantic import ValidationError

from config.providers import ProviderSettings
from database.core.lifecycle import rebuild_after_fork
from storage.core.errors import StorageConfigurationError
from storage.manager.manager import DataManager
from storage.manager.provider import BaseStorageProvider


def get_data_manager() -> DataManager:
    """The data manager of this process.

    A provider that was not registered is looked for in the environment when it is first used: ``filesystem`` is there
    always, ``postgresql``, ``redis``, ``s3`` and ``qdrant`` if the variable with their place is set.
    """
    return _process.manager


class Process:
    """The manager, to which the providers of the environment are added when they are first used."""

    def __init__(self) -> None:
        self.manager = DataManager(self._find)
        self._create_runtime_state()
        rebuild_after_fork(self, Process._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._lock = Lock()

    def _find(self, name: str) -> BaseStorageProvider | None:
        with self._lock:
            # Another thread may have been here first.
            if name not in self.manager.list_providers():
                if (made := from_environment(name)) is None:
                    return None
                self.manager.register_provider(name, made)
        return self.manager.provider(name)


def from_environment(name: str) -> BaseStorageProvider | None:
    """The provider that the environment, or the file ``.env``, describes; None if it describes none.

    :raises StorageConfigurationError: for invalid variables; names each of them.
    """
    if name not in _MAKERS:
        return None
    try:
        settings = ProviderSettings(_env_file=".env")
    except ValidationError as error:
        # No cause: it contains the rejected values, which may be secrets.
        found = error.errors(include_input=False, include_url=False)
        problems = "; ".join(f"{detail['loc'][0]}: {detail['msg']}" for detail in found)
        raise StorageConfigurationError(f"the environment has invalid variables: {problems}") from None
    return _MAKERS[name](settings)


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _filesystem(settings: ProviderSettings) -> BaseStorageProvider:
    from storage.providers.filesystem import FileSystemProvider  # noqa: PLC0415

    return FileSystemProvider(str(settings.filesystem_base_path))


def _postgresql(settings: ProviderSettings) -> BaseStorageProvider | None:
    if settings.postgres_host is None:
        return None
    from storage.providers.postgresql import PostgreSQLProvider  # noqa: PLC0415

    return PostgreSQLProvider(
        host=settings.postgres_host,
        port=settings.postgres_port,
        database=settings.postgres_database,
        user=settings.postgres_user,
        password=_text(settings.postgres_password),
    )


def _redis(settings: ProviderSettings) -> BaseStorageProvider | None:
    if settings.redis_host is None:
        return None
    from storage.providers.redis import RedisProvider  # noqa: PLC0415

    return RedisProvider(
        host=settings.redis_host,
        port=settings.redis_port,
        db=settings.redis_db,
        password=_text(settings.redis_password),
    )


def _s3(settings: ProviderSettings) -> BaseStorageProvider | None:
    if settings.s3_bucket is None:
        return None
    from storage.providers.s3 import S3Provider  # noqa: PLC0415

    return S3Provider(
        bucket_name=settings.s3_bucket,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=_text(settings.s3_secret_access_key),
        region_name=settings.s3_region,
        endpoint_url=settings.s3_endpoint_url,
    )


def _qdrant(settings: ProviderSettings) -> BaseStorageProvider | None:
    if settings.qdrant_url is None:
        return None
    from storage.providers.qdrant import QdrantProvider  # noqa: PLC0415

    return QdrantProvider(
        url=settings.qdrant_url,
        collection_name=settings.qdrant_collection,
        vector_size=settings.qdrant_vector_size,
        api_key=_text(settings.qdrant_api_key),
    )


_MAKERS: Final[Mapping[str, Callable[[ProviderSettings], BaseStorageProvider | None]]] = {
    "filesystem": _filesystem,
    "postgresql": _postgresql,
    "redis": _redis,
    "s3": _s3,
    "qdrant": _qdrant,
}

_process = Process()
