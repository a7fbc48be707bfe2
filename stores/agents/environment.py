"""The client that the environment describes."""

from __future__ import annotations

from config.agents import agent_settings
from storage.core.errors import StorageConfigurationError
from stores.agents.client import StorageClient


class NoBackendConfigured(StorageConfigurationError, ValueError):
    """The environment says nothing about where agents store."""


def create_storage_client() -> StorageClient:
    """The client of the backend that the environment, or the file ``.env``, names now: PostgreSQL if
    ``POSTGRES_CONNECTION_STRING`` is set, otherwise Cosmos DB if ``COSMOS_ENDPOINT`` and ``COSMOS_KEY`` are.

    :raises ValueError: if neither is; names both.
    :raises StorageError: if the backend cannot be reached.
    """
    settings = agent_settings()
    if settings.postgres is not None:
        from stores.agents.postgresql import PostgreSQLClient  # noqa: PLC0415

        return PostgreSQLClient()
    if settings.cosmos_endpoint and settings.cosmos_key is not None:
        from stores.agents.cosmos import CosmosDBClient  # noqa: PLC0415

        return CosmosDBClient()
    raise NoBackendConfigured(
        "No storage backend configured: set POSTGRES_CONNECTION_STRING for PostgreSQL, or COSMOS_ENDPOINT and"
        " COSMOS_KEY for Azure Cosmos DB"
    )
