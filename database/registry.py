"""Adapters by the names that ``DB_ADAPTER_ORDER`` uses, made from the settings.

A backend's modules, and with them its driver, are loaded when the first adapter of it is made.
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
"""Makes an adapter with the given name and tables from the settings; None where they switch it off."""

_factories: dict[str, Factory] = {}


def register(name: str, factory: Factory) -> None:
    """Offer a backend under ``name``; one of the same name is replaced."""
    _factories[name] = factory
    database_names.add(name)


def unregister(name: str) -> None:
    """Take a backend back. :raises KeyError: if there is none of that name."""
    del _factories[name]
    database_names.discard(name)


def registered() -> list[str]:
    """The names that can be used, sorted."""
    return sorted(_factories)


def adapters_in_order(settings: Settings, schema: Schema) -> dict[str, DatabaseAdapter]:
    """The adapters that ``DB_ADAPTER_ORDER`` names, best first.

    :param schema: the tables that they know.
    :raises ConfigurationError: for unknown names, for a name without its settings, or if none is left.
    """
    try:
        # Settings that were read before this module was there have not been checked for it.
        check_database_names(settings.db_adapter_order)
    except ValueError as error:
        raise ConfigurationError({"DB_ADAPTER_ORDER": str(error)}) from None
    if settings.production and "db_adapter_order" not in settings.model_fields_set:
        reason = "must be set in production: the names of the databases, best first, such as supabase or local"
        raise ConfigurationError({"DB_ADAPTER_ORDER": reason})
    made = {name: _made(name, settings, schema) for name in settings.db_adapter_order}
    adapters = {name: adapter for name, adapter in made.items() if adapter is not None}
    if not adapters:
        raise ConfigurationError({"DB_ADAPTER_ORDER": "names only databases that are switched off"})
    return adapters


def _made(name: str, settings: Settings, schema: Schema) -> DatabaseAdapter | None:
    try:
        return _factories[name](settings, name, schema)
    except ValueError as error:
        # What a backend says of its configuration names the setting, and is no accident.
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
        reason = f"is needed because DB_ADAPTER_ORDER names {name}, or SUPABASE_URL with SUPABASE_KEY"
        raise ConfigurationError({"SUPABASE_DB_HOST": reason})
    if project.key is None:
        raise ConfigurationError({"SUPABASE_KEY": "is needed with SUPABASE_URL"})
    config = {"url": project.url, "key": _secret(project.key), "anon_key": _secret(project.anon_key)}
    return supabase.SupabaseAdapter(config | _resilience(project), schema, name)


def _convex(settings: Settings, name: str, schema: Schema) -> DatabaseAdapter | None:
    deployment = settings.convex
    if not deployment.db_enabled:
        return None
    needed = {"CONVEX_URL": deployment.url, "CONVEX_DEPLOYMENT_KEY": deployment.deployment_key}
    missing = [setting for setting, value in needed.items() if value is None]
    if missing:
        raise ConfigurationError(dict.fromkeys(missing, f"is needed because DB_ADAPTER_ORDER names {name}"))
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
