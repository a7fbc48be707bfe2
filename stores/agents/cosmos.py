"""The client on Azure Cosmos DB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from config.agents import agent_settings
from storage.core.errors import StorageConfigurationError
from stores.agents.client import RecordsClient
from stores.agents.records.in_cosmos import CosmosRecords


class CosmosDBClient(RecordsClient):
    """The four containers of a database, which are made with it if they are missing.

    Several transactions are stored all or none only if they are 100 at most, with 2 MB: more are refused as a whole.

    :param endpoint: the URL of the account; ``COSMOS_ENDPOINT`` by default.
    :param key: of the account, or a credential of ``azure.identity``; ``COSMOS_KEY`` by default.
    :param database_name: ``COSMOS_DATABASE_NAME`` by default, or ``transaction_review``.
    :param regions: of the account, the nearest first, to whose first one that answers reads are sent;
        ``COSMOS_REGIONS`` by default, and without any, all requests are sent to the endpoint.
    :param autoscale: the most request units per second of each container that is made, a multiple of 1,000;
        ``COSMOS_AUTOSCALE`` by default, and without it, Cosmos DB chooses a throughput that stays as it is.
    :raises StorageError: if the account cannot be reached, or a container has another partition key.
    :raises ConfigurationError: for an invalid variable.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        key: Any = None,
        database_name: str | None = None,
        *,
        regions: Sequence[str] | None = None,
        autoscale: int | None = None,
    ) -> None:
        settings = agent_settings()
        url = endpoint or settings.cosmos_endpoint
        credential = key or (settings.cosmos_key and settings.cosmos_key.get_secret_value())
        if not (url and credential):
            raise StorageConfigurationError(
                "COSMOS_ENDPOINT and COSMOS_KEY are not both set; set them, or give the endpoint and the key"
            )
        records = CosmosRecords(
            url,
            credential,
            database_name or settings.cosmos_database,
            settings.cosmos_containers,
            regions=(settings.cosmos_regions or ()) if regions is None else regions,
            autoscale=settings.cosmos_autoscale if autoscale is None else autoscale,
        )
        super().__init__(records)
        try:
            records.open()
        except BaseException:
            records.close()
            raise
