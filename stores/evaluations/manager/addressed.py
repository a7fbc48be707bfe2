"""The database that ``DATABASE_URL`` names, with the tables of evaluations alone."""

from __future__ import annotations

from typing import ClassVar
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.backends.postgres.adapter import PostgresAdapter
from database.backends.postgres.adapter import PostgresBackend
from database.backends.sqlite import SQLiteAdapter
from storage.core.errors import StorageConfigurationError
from storage.migration.places import database_config
from storage.migration.places import parsed
from stores.evaluations.tables import own_schema

_VARIABLE: Final = "DATABASE_URL"


class _Backend(PostgresBackend):
    settings_prefix: ClassVar[str] = _VARIABLE


class _Postgres(PostgresAdapter):
    backend_class: ClassVar[type[PostgresBackend]] = _Backend


_ADAPTERS: Final = {"sqlite": SQLiteAdapter, "postgresql": _Postgres, "postgres": _Postgres}


def database_at(url: str) -> DatabaseAdapter:
    """An adapter for a URL. :raises StorageConfigurationError: says what is wrong with it, without its password."""
    adapter: type[DatabaseAdapter] | None = _ADAPTERS.get(url.partition(":")[0].lower())
    if adapter is None:
        raise StorageConfigurationError(
            f"{_VARIABLE} must be postgresql://user:password@host:port/name or sqlite:///path"
        )
    try:
        with parsed(url) as parts:
            return adapter(database_config(parts), own_schema(), _VARIABLE)
    except StorageConfigurationError as error:
        raise StorageConfigurationError(f"{_VARIABLE}: {error.message}") from None
