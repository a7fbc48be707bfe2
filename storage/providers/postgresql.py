"""PostgreSQL, with the data in a table that people can query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import ClassVar
from typing import Final

from database.backends.postgres.adapter import PostgresAdapter
from database.backends.postgres.adapter import PostgresBackend
from storage.backends.documents import DocumentEntries
from storage.core.store import Store
from storage.providers.store import StoreProvider

_LONGEST_KEY: Final = 2_000
"""Bytes of a key: an index of PostgreSQL takes 2,704."""


class _Backend(PostgresBackend):
    settings_prefix: ClassVar[str] = "POSTGRES"


class DocumentedPostgres(PostgresAdapter):
    """PostgreSQL, whose variables in the environment begin with ``POSTGRES``, as messages name them."""

    backend_class: ClassVar[type[PostgresBackend]] = _Backend


class PostgreSQLProvider(StoreProvider):
    """A table with the columns ``key``, ``data`` and ``metadata`` (both ``jsonb``), ``created_at`` and others, which is
    created when it is first used.

    :param table: its name.
    :param sslmode: of libpq, from ``disable`` to ``verify-full``.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 5432,
        database: str = "postgres",
        user: str | None = None,
        password: str | None = None,
        table: str = "storage",
        sslmode: str = "prefer",
    ) -> None:
        config = {
            "host": host,
            "port": port,
            "database": database,
            "user": user,
            "password": password,
            "sslmode": sslmode,
        }
        super().__init__(Store(postgresql_documents(config, table), "postgresql"))


def postgresql_documents(config: Mapping[str, Any], table: str) -> DocumentEntries:
    """A table of entries in a database.

    :param config: of the adapter.
    :raises StorageConfigurationError: if the table cannot have that name.
    """
    return DocumentEntries(DocumentedPostgres, config, table, _LONGEST_KEY)
