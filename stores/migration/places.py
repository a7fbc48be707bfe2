"""The places of records as text. Agents store in ``sqlite:///app.db``, ``postgresql://user@host/database`` or
``cosmos://account.documents.azure.com/database``, whose containers have the names of the environment; evaluations in
any store, as :mod:`storage.migration.places` describes its place. ``application`` is the application's own database.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from typing import Literal

import stores
from config.agents import agent_settings
from database import ConnectionManager
from database import as_application
from database.backends.memory import MemoryAdapter
from storage import current_store
from storage import store_at
from storage.core.errors import StorageConfigurationError
from storage.migration.places import PlaceUrl
from storage.migration.places import parsed
from stores.agents.client import RecordsClient
from stores.agents.tables import own_schema
from stores.declaration import declared_in
from stores.evaluations.core import Evaluations
from stores.evaluations.places.on_stores import EvaluationsInStore

Missing = Literal["create", "refuse", "empty"]
"""What to do if nothing is there: make it, raise an error, or take an empty place in memory."""

_APPLICATION: Final = "application"


@contextmanager
def agents_at(
    place: str, missing: Missing = "create", database: ConnectionManager | None = None
) -> Iterator[RecordsClient]:
    """The records of agents at a place, which is closed at the end.

    :param missing: the tables or containers of servers are made in any case.
    :param database: that of the application, if there is one.
    :raises StorageConfigurationError: says what is wrong with the text, or that the file is not there.
    :raises StorageError: if the server cannot be reached.
    """
    if database is not None and place == _APPLICATION:
        yield stores.DatabaseClient(database)
        return
    with _client(place, missing) as client:
        yield client


@contextmanager
def evaluations_at(
    place: str, missing: Missing = "create", database: ConnectionManager | None = None
) -> Iterator[Evaluations]:
    """Evaluations in the store at a place, or in the application's tables and its store for outputs.

    The parameters and errors are those of :func:`agents_at` and of ``store_at``.
    """
    if database is not None and place == _APPLICATION:
        declared = declared_in(database.settings.application_package).get("evaluations")
        blobs = None if declared is None or declared.blobs is None else current_store(declared.blobs)
        with as_application():
            yield Evaluations(stores.EvaluationsInTables(database), blobs)
        return
    with closing(store_at(place, missing)) as store:
        yield Evaluations(EvaluationsInStore(store), store)


def _client(place: str, missing: Missing) -> RecordsClient:
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


def _in_file(file: Path, missing: Missing) -> RecordsClient:
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
