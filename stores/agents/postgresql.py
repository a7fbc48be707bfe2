"""The client on PostgreSQL."""

from __future__ import annotations

from typing import Any
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from config.agents import agent_settings
from storage.core.errors import StorageConfigurationError
from storage.providers.postgresql import DocumentedPostgres
from stores.agents.clients import OwnTablesClient
from stores.agents.tables import own_schema

_VARIABLE: Final = "POSTGRES_CONNECTION_STRING"
_NAMES: Final = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database"} | {
    "sslmode": "sslmode"
}
"""What an adapter calls the parameters of a connection string."""


class PostgreSQLClient(OwnTablesClient):
    """The four tables in a database of PostgreSQL, which are created with their indexes if they are missing.

    :param connection_string: as libpq takes it, ``postgresql://user:password@host:5432/database`` or ``host=…
        dbname=…``; that of ``POSTGRES_CONNECTION_STRING`` by default.
    :param max_connections: the most connections; who needs another one waits.
    :raises StorageError: if the server cannot be reached, or the tables cannot be created.
    """

    def __init__(self, connection_string: str | None = None, *, max_connections: int = 5) -> None:
        config = _config(_configured() if connection_string is None else connection_string)
        super().__init__(DocumentedPostgres({**config, "max_connections": max_connections}, own_schema(), "postgresql"))


def _configured() -> str:
    given = agent_settings().postgres
    if given is None:
        raise StorageConfigurationError(f"{_VARIABLE} is not set; set it, or give a connection string")
    return given.get_secret_value()


def _config(connection_string: str) -> dict[str, Any]:
    """The configuration of an adapter. Messages have no part of the string, which has a password."""
    try:
        given = conninfo_to_dict(connection_string)
    except psycopg.ProgrammingError:
        raise StorageConfigurationError(
            f"{_VARIABLE} is malformed; it must be as in postgresql://user:password@host:5432/database, with other"
            " characters than letters and digits percent-encoded"
        ) from None
    if unknown := sorted(given.keys() - _NAMES.keys()):
        raise StorageConfigurationError(
            f"{_VARIABLE} has the parameter {', '.join(unknown)}, which is not supported; leave it out"
        )
    config = {_NAMES[name]: value for name, value in given.items()}
    try:
        port = int(str(config.get("port", 5432)))
    except ValueError:
        raise StorageConfigurationError(f"{_VARIABLE} must have one port, which is a number") from None
    # As libpq has it.
    return {"database": config.get("user", "postgres"), **config, "port": port}
