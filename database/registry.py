"""Creates adapters from the settings, by the names used in ``DB_ADAPTER_ORDER``.

The modules and the driver of a backend are loaded when its first adapter is created.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from config.databases import CallSettings
from config.databases import DatabaseSettings
from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import check_database_names
from config.settings import database_names
from database.adapter.base import DatabaseAdapter
from database.backends import convex
from database.backends import memory
from database.backends import postgres
from database.backends import sqlite
from database.backends import supabase
from database.core.tables.schema import Schema

Factory = Callable[[Settings, str, Schema], DatabaseAdapter | None]
"""Creates an adapter with the given name and tables from the settings; None if the settings disable it."""

_factories: dict[str, Factory] = {}


def register(name: str, factory: Factory) -> None:
    """Register a backend under ``name``; replaces one with the same name."""
    _factories[name] = factory
    database_names.add(name)


def unregister(name: str) -> None:
    """Remove a backend. :raises KeyError: if none has that name."""
    del _factories[name]
    database_names.discard(name)


def registered() -> list[str]:
    """The registered names, sorted."""
    return sorted(_factories)


def adapters_in_order(settings: Settings, schema: Schema) -> dict[str, DatabaseAdapter]:
    """Create the adapters that ``DB_ADAPTER_ORDER`` names, in order of preference.

    :param schema: the tables for the adapters.
    :raises ConfigurationError: for an unknown name, for missing settings of a backend, or if all are disabled.
    """
    try:
        # Settings read before this module was loaded were not checked against the registered names.
        check_database_names(settings.db_adapter_order)
    except ValueError as error:
        raise ConfigurationError({"DB_ADAPTER_ORDER": str(error)}) from None
    if settings.production and "db_adapter_order" not in settings.model_fields_set:
        reason = (
            "must be set in production to the names of the databases in order of preference, such as supabase,local"
        )
        raise ConfigurationError({"DB_ADAPTER_ORDER": reason})
    made = {name: _create(name, settings, schema) for name in settings.db_adapter_order}
    adapters = {name: adapter for name, adapter in made.items() if adapter is not None}
    if not adapters:
        raise ConfigurationError({"DB_ADAPTER_ORDER": "names only databases that are disabled; enable one of them"})
    return adapters


def _create(name: str, settings: Settings, schema: Schema) -> DatabaseAdapter | None:
    try:
        return _factories[name](settings, name, schema)
    except ValueError as error:
        # A backend's ValueError is about its configuration, and its message names the setting.
        raise ConfigurationError({name: str(error)}) from error


def _local(settings: Settings, name: str, schema: Schema) -> DatabaseAdapter | None:
    database = settings.local_db
    if not database.enabled:
        return None
    if database.host is not None:
        return postgres.PostgresAdapter(_server(database), schema, name)
    config = {"path": database.path, "synchronous": database.synchronous}
    return sqlite.SQLiteAdapter(config | _resilience(database), schema, name)


def _supabase(settings: Settings, name: str, schema: Schema) -> DatabaseAdapter | None:
    database = settings.supabase_db
    if not database.enabled and "enabled" in database.model_fields_set:
        return None
    if database.host is not None:
        return postgres.SupabaseDirectAdapter(_server(database) | {"pooler": database.pooler}, schema, name)
    project = settings.supabase
    if project.url is None:
        reason = f"must be set because DB_ADAPTER_ORDER names {name}, or SUPABASE_URL with SUPABASE_KEY"
        raise ConfigurationError({"SUPABASE_DB_HOST": reason})
    if project.key is None:
        raise ConfigurationError({"SUPABASE_KEY": "must be set because SUPABASE_URL is set"})
    config = {"url": project.url, "key": _secret(project.key), "anon_key": _secret(project.anon_key)}
    return supabase.SupabaseAdapter(config | _resilience(project), schema, name)


def _convex(settings: Settings, name: str, schema: Schema) -> DatabaseAdapter | None:
    deployment = settings.convex
    if not deployment.db_enabled:
        return None
    needed = {"CONVEX_URL": deployment.url, "CONVEX_DEPLOYMENT_KEY": deployment.deployment_key}
    missing = [setting for setting, value in needed.items() if value is None]
    if missing:
        raise ConfigurationError(dict.fromkeys(missing, f"must be set because DB_ADAPTER_ORDER names {name}"))
    config = {"url": deployment.url, "key": _secret(deployment.deployment_key)}
    return convex.ConvexAdapter(config | _resilience(deployment), schema, name)


def _memory(_: Settings, name: str, schema: Schema) -> DatabaseAdapter:
    return memory.MemoryAdapter(schema=schema, name=name)


def _server(database: DatabaseSettings) -> dict[str, Any]:
    return {
        "host": database.host,
        "port": database.port,
        "user": database.user,
        "password": _secret(database.password),
        "database": database.name,
        "sslmode": database.sslmode,
        "min_connections": database.min_connections,
        "max_connections": database.max_connections,
        "isolation": database.isolation,
        **_resilience(database),
    }


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def _resilience(database: CallSettings) -> dict[str, Any]:
    return {
        "timeout": database.timeout,
        "retry_count": database.retry_count,
        "circuit_breaker_threshold": database.circuit_breaker_threshold,
        "circuit_breaker_timeout": database.circuit_breaker_timeout,
    }


register("local", _local)
register("supabase", _supabase)
register("convex", _convex)
register("memory", _memory)
