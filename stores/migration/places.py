"""The places of agents' records as text: ``sqlite:///app.db``, ``postgresql://user@host/database`` or
``cosmos://account.documents.azure.com/database``, whose containers have the names of the environment.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import stores
from config.agents import agent_settings
from database.backends.memory import MemoryAdapter
from storage.core.errors import StorageConfigurationError
from storage.migration.places import PlaceUrl
from storage.migration.places import parsed
from stores.agents.client import RecordsClient
from stores.agents.tables import own_schema


def agents_at(place: str, missing: Literal["create", "refuse", "empty"] = "create") -> RecordsClient:
    """The records of agents at a place.

    :param missing: what to do if a file is not there; the tables or containers of servers are made in any case.
    :raises StorageConfigurationError: says what is wrong with the text, or that the file is not there.
    :raises StorageError: if the server cannot be reached.
    """
    kind = place.partition(":")[0]
    if kind == "postgresql":
        return stores.PostgreSQLClient(place)
    if kind not in {"sqlite", "cosmos", "cosmos+http", "cosmos+https"}:
        raise StorageConfigurationError(
            f"agents store in sqlite:///file, postgresql://host/database or cosmos://account/database, not {kind}:"
        )
    with parsed(place) as url:
        made = partial(_in_file, url.file(), missing) if kind == "sqlite" else _in_cosmos(url)
    return made()


def _in_file(file: Path, missing: Literal["create", "refuse", "empty"]) -> RecordsClient:
    if missing == "create" or file.exists():
        return stores.SQLiteClient(file)
    if missing == "refuse":
        raise StorageConfigurationError(f"there is no file {file}; correct the name of the place")
    return stores.DatabaseClient(MemoryAdapter(schema=own_schema()))


def _in_cosmos(url: PlaceUrl) -> Callable[[], RecordsClient]:
    (database,), key = url.path("the database"), agent_settings().cosmos_key
    if key is None:
        raise StorageConfigurationError(f"the place {url.shown} needs the account's key; set COSMOS_KEY")
    return partial(stores.CosmosDBClient, url.at, key.get_secret_value(), database)
