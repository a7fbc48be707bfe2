"""The storage manager of evaluations that the environment describes. It is read when a manager is made."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Final
from urllib.parse import unquote
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import SecretStr
from pydantic import ValidationError

from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.errors import DataError
from database.schema.migrations.runner import upgrade
from storage.backends.file.backend import FileEntries
from storage.backends.redis.backend import RedisEntries
from storage.core.errors import StorageConfigurationError
from storage.core.errors import is_outage
from storage.core.store import Store
from stores.evaluations.manager.manager import FlexibleStorageManager
from stores.evaluations.manager.storages import DatabaseStorage
from stores.evaluations.manager.storages import EvaluationStorage
from stores.evaluations.manager.storages import InMemoryStorage
from stores.evaluations.places.records import INLINE

logger = logging.getLogger(__name__)

_VARIABLES: Final = (
    *("DATABASE_URL", "FILE_STORAGE_PATH", "REDIS_URL", "PREFER_DATABASE", "ENABLE_CACHING"),
    "LARGE_FILE_THRESHOLD",
)
_PRODUCTION_PATH: Final = "/data/storage"
_DEVELOPMENT_PATH: Final = "./data/storage"


class StorageConfig(BaseModel):
    """Where a storage manager keeps evaluations.

    :ivar database_url: ``postgresql://user:password@host:port/name``, or ``sqlite:///path``; its tables are created.
    :ivar file_storage_path: a folder: the primary place without a database, and the fallback with one.
    :ivar redis_url: of a cache that processes share; without it, each has one in its memory.
    :ivar prefer_database: whether the database, if there is one, is the primary place.
    :ivar enable_caching: whether there is a cache.
    :ivar large_file_threshold: bytes above which an output is no part of its evaluation; 1 MiB at most.
    :ivar use_memory: memory instead of all of them, for tests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: SecretStr | None = None
    file_storage_path: Path = Path("./data")
    redis_url: SecretStr | None = None
    prefer_database: bool = True
    enable_caching: bool = True
    large_file_threshold: int = Field(INLINE, gt=0)
    use_memory: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> StorageConfig:
        """The configuration of ``DATABASE_URL``, ``FILE_STORAGE_PATH``, ``REDIS_URL`` and so on.

        :raises StorageConfigurationError: names the variables that are wrong.
        """
        given = os.environ if environ is None else environ
        values: dict[str, Any] = {name.lower(): given[name] for name in _VARIABLES if given.get(name)}
        try:
            return cls(**values)
        except ValidationError as error:
            problems = [f"{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors(include_input=False)]
            raise StorageConfigurationError("; ".join(problems)) from None

    @classmethod
    def for_testing(cls, *, use_memory: bool = True) -> StorageConfig:
        """A configuration without a database."""
        return cls(use_memory=use_memory)

    def manager(self) -> FlexibleStorageManager:
        """The manager that it describes."""
        if self.use_memory:
            return FlexibleStorageManager(InMemoryStorage(), None, self._cache())
        file = Store(FileEntries(self.file_storage_path))
        if self.database_url is None or not self.prefer_database:
            return self._managed(EvaluationStorage(file), None)
        return self._managed(DatabaseStorage(_adapter(self.database_url.get_secret_value())), file)

    def _managed(self, primary: EvaluationStorage, fallback: Store | None) -> FlexibleStorageManager:
        primary.records.inline = min(primary.records.inline, self.large_file_threshold)
        return FlexibleStorageManager(primary, fallback, self._cache())

    def _cache(self) -> object:
        if not self.enable_caching:
            return None
        if self.redis_url is None:
            return InMemoryStorage()
        return Store(RedisEntries(self.redis_url.get_secret_value(), "evaluations"))


def create_storage_manager() -> FlexibleStorageManager:
    """The storage manager for ``ENVIRONMENT``.

    ``production`` has the database of ``DATABASE_URL``, or the application's own one, with files as the fallback;
    ``testing`` has memory; all others have files. ``FILE_STORAGE_PATH``, ``REDIS_URL`` and the other variables of
    :class:`StorageConfig` apply.

    :raises StorageConfigurationError: names the variables that are wrong.
    """
    environment = os.environ.get("ENVIRONMENT", "development").lower()
    if environment == "testing":
        return StorageConfig.for_testing().manager()
    config = StorageConfig.from_environment()
    if "file_storage_path" not in config.model_fields_set:
        path = _PRODUCTION_PATH if environment == "production" else _DEVELOPMENT_PATH
        config = config.model_copy(update={"file_storage_path": Path(path)})
    if environment != "production":
        return config.model_copy(update={"prefer_database": False}).manager()
    if config.database_url is not None:
        return config.manager()
    return config._managed(DatabaseStorage(), Store(FileEntries(config.file_storage_path)))


def _adapter(url: str) -> DatabaseAdapter:
    """An adapter for a URL, with the tables of the application. :raises StorageConfigurationError: for another URL."""
    parts = urlsplit(url)
    adapter: DatabaseAdapter
    if parts.scheme == "sqlite":
        adapter = SQLiteAdapter({"path": unquote(parts.path.removeprefix("/"))})
    elif parts.scheme in {"postgresql", "postgres"}:
        given = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
        config = {name: unquote(value) if isinstance(value, str) else value for name, value in given.items() if value}
        adapter = PostgresAdapter({**config, "database": unquote(parts.path.removeprefix("/"))})
    else:
        raise StorageConfigurationError(
            "DATABASE_URL must be postgresql://user:password@host:port/name or sqlite:///path"
        )
    try:
        upgrade(adapter)
    except DataError as error:
        if not is_outage(error):
            raise
        logger.warning("the database of DATABASE_URL is out of reach; its tables are not checked: %s", error)
    return adapter
