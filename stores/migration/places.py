"""The places of records as text. Agents store in ``sqlite:///app.db``, ``postgresql://user@host/database`` or
``cosmos://account.documents.azure.com/database``, whose containers have the names of the environment, and which is read
in the old layout with ``?partition=id``; evaluations in any store, as :mod:`storage.migration.places` describes its
place. ``application`` is the application's own database.
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
from stores.agents.records.interface import RecordReader
from stores.agents.tables import own_schema
from stores.declaration import declared_in
from stores.evaluations.core import Evaluations
from stores.evaluations.places.on_stores import EvaluationsInStore

Missing = Literal["create", "refuse", "empty"]
"""What to do if nothing is there: make it, raise an error, or take an empty place in memory."""

_APPLICATION: Final = "application"
_COSMOS: Final = frozenset({"cosmos", "cosmos+http", "cosmos+https"})
_OLD_PARTITION: Final = "id"
"""What a place says of the old layout in Cosmos DB: the field by which its items are in partitions."""


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


@contextmanager
def agents_source(place: str, database: ConnectionManager | None = None) -> Iterator[RecordsClient | RecordReader]:
    """The records of agents at a place that is only read: also ``cosmos://…?partition=id``, in the old layout.

    The parameters and errors are those of :func:`agents_at`.
    """
    if (old := _old_cosmos(place)) is None:
        with agents_at(place, "refuse", database) as client:
            yield client
        return
    with closing(old):
        yield old


def _client(place: str, missing: Missing) -> RecordsClient:
    kind = place.partition(":")[0]
    if kind == "postgresql":
        return stores.PostgreSQLClient(place)
    if kind not in {"sqlite", *_COSMOS}:
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
    if url.take("partition") is not None:
        raise StorageConfigurationError(
            f"the place {url.shown} has a partition, which only the source of a copy may have: containers in the old"
            " layout are read, and never written; name another database"
        )
    return partial(stores.CosmosDBClient, *_account(url))


def _old_cosmos(place: str) -> RecordReader | None:
    """The old layout, if the place says that it has it."""
    if place.partition(":")[0] not in _COSMOS:
        return None
    with parsed(place) as url:
        partition = url.take("partition")
        if partition not in {None, _OLD_PARTITION}:
            raise StorageConfigurationError(f"the partition of the place {url.shown} can only be {_OLD_PARTITION}")
        account = _account(url)
    if partition is None:
        return None
    from stores.migration.old_cosmos import OldCosmosRecords  # noqa: PLC0415  # its driver

    settings = agent_settings()
    return OldCosmosRecords(*account, settings.cosmos_containers, settings.cosmos_regions or ())


def _account(url: PlaceUrl) -> tuple[str, str, str]:
    """The URL, the key and the database."""
    (database,), key = url.path("the database"), agent_settings().cosmos_key
    if key is None:
        raise StorageConfigurationError(f"the place {url.shown} needs the account's key; set COSMOS_KEY")
    return url.at, key.get_secret_value(), database
