"""The storage manager of evaluations that the environment, or the file ``.env``, describes when it is made."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from typing import Self
from typing import TypeVar

from pydantic import ValidationError

from config.evaluations import EvaluationPlaces
from config.evaluations import evaluation_settings
from storage.backends.file.backend import FileEntries
from storage.backends.redis.backend import RedisEntries
from storage.core.errors import StorageConfigurationError
from storage.core.store import Store
from stores.evaluations.manager.addressed import database_at
from stores.evaluations.manager.manager import FlexibleStorageManager
from stores.evaluations.manager.storages import DatabaseStorage
from stores.evaluations.manager.storages import EvaluationStorage
from stores.evaluations.manager.storages import InMemoryStorage

_PRODUCTION_PATH: Final = "/data/storage"
_DEVELOPMENT_PATH: Final = "./data/storage"

_Read = TypeVar("_Read")


class StorageConfig(EvaluationPlaces):
    """Where a storage manager keeps evaluations.

    :ivar use_memory: memory instead of all other places, for tests.
    """

    use_memory: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """The configuration of ``DATABASE_URL``, ``FILE_STORAGE_PATH``, ``REDIS_URL`` and so on.

        :param environ: the variables; those of the environment and of the file ``.env`` by default.
        :raises StorageConfigurationError: names the variables that are wrong.
        """
        if environ is None:
            return _checked(lambda: cls(**evaluation_settings().places()))
        given = {name: environ[name.upper()] for name in EvaluationPlaces.model_fields if environ.get(name.upper())}
        return _checked(lambda: cls.model_validate(given))

    @classmethod
    def for_testing(cls, *, use_memory: bool = True) -> Self:
        """A configuration without a database."""
        return cls(use_memory=use_memory)

    def manager(self) -> FlexibleStorageManager:
        """The manager that it describes."""
        if self.use_memory:
            return FlexibleStorageManager(InMemoryStorage(), None, self._cache())
        file = Store(FileEntries(self.file_storage_path))
        if self.database_url is None or not self.prefer_database:
            return self._managed(EvaluationStorage(file), None)
        return self._managed(DatabaseStorage(database_at(self.database_url.get_secret_value())), file)

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
    :class:`StorageConfig` apply. All of them may be in the file ``.env``, too; the environment comes first.

    :raises StorageConfigurationError: names the variables that are wrong.
    :raises ConfigurationError: if the application's own database is not configured; names the settings.
    """
    environment = _checked(evaluation_settings).environment
    if environment == "testing":
        return StorageConfig.for_testing().manager()
    config = StorageConfig.from_environment()
    if "file_storage_path" not in config.model_fields_set:
        path = _PRODUCTION_PATH if environment == "production" else _DEVELOPMENT_PATH
        config = config.model_copy(update={"file_storage_path": Path(path)})
    if environment != "production":
        return config.model_copy(update={"prefer_database": False}).manager()
    if config.database_url is not None or not config.prefer_database:
        return config.manager()
    return config._managed(DatabaseStorage(), Store(FileEntries(config.file_storage_path)))


def _checked(read: Callable[[], _Read]) -> _Read:
    """What is read. :raises StorageConfigurationError: names the variables that are wrong, without their values."""
    try:
        return read()
    except ValidationError as error:
        problems = [
            f"{str(one['loc'][0]).upper()}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_input=False)
        ]
        raise StorageConfigurationError("; ".join(problems)) from None
