"""The items of a container in one partition: single requests, and the errors of Cosmos DB as those of stores."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock
from typing import Any
from typing import Final

from azure.core import MatchConditions
from azure.core import exceptions as core
from azure.cosmos import ContainerProxy
from azure.cosmos import CosmosClient
from azure.cosmos import PartitionKey
from azure.cosmos import exceptions
from azure.cosmos.documents import ConnectionPolicy

from database.core.errors import lost_answer
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageCredentialsRefused
from storage.core.errors import StorageError
from storage.core.errors import StorageThrottled

KIND: Final = "cosmos"
PARTITION: Final = "store"
"""The field by which items are in partitions."""

_UNMATCHED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
"""The answers for an item that is not as the request demands."""

_RETRY_WITH: Final = 449
_NO_CONTAINER: Final = 1003
_PARTITION_FULL: Final = 1014
_INDEXED: Final = {
    "indexingMode": "consistent",
    "includedPaths": [{"path": "/expires/?"}],
    "excludedPaths": [{"path": "/*"}],
}

Item = dict[str, Any]


class Container:
    """The items of a store: those with one partition key. It is opened by the first request.

    :param credential: the account's key, or a credential of ``azure.identity``.
    :param create: make the database and the container if they are missing.
    :param timeout: seconds for a connection, and for each answer.
    """

    def __init__(
        self, url: str, credential: Any, database: str, name: str, store: str, *, create: bool, timeout: float
    ) -> None:
        self._url, self._credential, self._timeout = url, credential, timeout
        self._database, self._name, self._store, self._create = database, name, store, create
        self._opening = Lock()
        self._client: CosmosClient | None = None
        self._opened: ContainerProxy | None = None

    def get(self, id_: str) -> Item | None:
        """An item, or None."""
        items = self._items()
        with _errors(reads=True):
            try:
                return items.read_item(id_, self._store)
            except exceptions.CosmosResourceNotFoundError as error:
                if error.sub_status == _NO_CONTAINER:
                    raise
                return None

    def query(self, text: str, parameters: Mapping[str, Any], at_once: int | None = None) -> Iterator[Item]:
        """The items of a query, with parameters such as ``@id``.

        :param at_once: how many each request returns.
        """
        given = [{"name": name, "value": value} for name, value in parameters.items()]
        items = self._items()
        with _errors(reads=True):
            yield from items.query_items(
                text, parameters=given, partition_key=self._store, max_item_count=at_once, enable_scan_in_query=True
            )

    def upsert(self, item: Item) -> None:
        """Store an item, replacing the one that is there."""
        items = self._items()
        with _errors(reads=False):
            items.upsert_item(item)

    def create(self, item: Item) -> bool:
        """Store an item, if there is none; returns whether there was none."""
        return self._holds(self._items().create_item, item)

    def replace(self, item: Item, tag: str) -> bool:
        """Replace the item that has this tag; returns whether it had it."""
        return self._holds(self._items().replace_item, item["id"], item, **_if(tag))

    def delete(self, id_: str, tag: str | None = None) -> bool:
        """Delete an item, which must have the tag; returns whether it was there, and had it."""
        conditions = {} if tag is None else _if(tag)
        return self._holds(self._items().delete_item, id_, self._store, **conditions)

    def batch(self, operations: Sequence[tuple[Any, ...]]) -> bool:
        """Carry out all operations, or none; returns whether their conditions held."""
        items = self._items()
        with _errors(reads=False):
            try:
                items.execute_item_batch(list(operations), self._store)
            except exceptions.CosmosBatchOperationError as error:
                if error.status_code in _UNMATCHED:
                    return False
                raise
            return True

    def ping(self) -> None:
        """Check that the container can be reached, and that it is there."""
        items = self._items()
        with _errors(reads=True):
            items.read()

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            if self._client is not None:
                self._client.close()
            self._client = self._opened = None

    def _items(self) -> ContainerProxy:
        with self._opening:
            if self._opened is None:
                # What opens it may be repeated, and changes no item.
                with _errors(reads=True):
                    self._opened = self._open()
            return self._opened

    def _open(self) -> ContainerProxy:
        if self._client is None:
            try:
                self._client = _client(self._url, self._credential, self._timeout)
            except ValueError as error:
                reason = "the URL or the key of the account of Cosmos DB is malformed; copy them from its page"
                raise StorageConfigurationError(reason, backend=KIND) from error
        if self._create:
            database = self._client.create_database_if_not_exists(self._database)
            opened = database.create_container_if_not_exists(
                self._name, PartitionKey(f"/{PARTITION}"), default_ttl=-1, indexing_policy=_INDEXED
            )
        else:
            opened = self._client.get_database_client(self._database).get_container_client(self._name)
        _check(opened.read(), self._name)
        return opened

    def _holds(self, request: Any, *arguments: Any, **options: Any) -> bool:
        with _errors(reads=False):
            try:
                request(*arguments, **options)
            except exceptions.CosmosHttpResponseError as error:
                if error.status_code in _UNMATCHED and error.sub_status != _NO_CONTAINER:
                    return False
                raise
            return True


def _client(url: str, credential: Any, timeout: float) -> CosmosClient:
    # Retries are those of the store's pipeline, which knows what may be repeated. The client takes no 0 for this one.
    policy = ConnectionPolicy()
    policy.RetryOptions._max_retry_attempt_count = 0
    return CosmosClient(
        url,
        credential,
        connection_policy=policy,
        retry_total=0,
        retry_connect=0,
        retry_read=0,
        retry_status=0,
        # Another region is a retry, too.
        enable_endpoint_discovery=False,
        connection_timeout=timeout,
        read_timeout=timeout,
        no_response_on_write=True,
        enable_compact_utf8_item_writes=True,
    )


def _if(tag: str) -> dict[str, Any]:
    return {"etag": tag, "match_condition": MatchConditions.IfNotModified}


def _check(container: Mapping[str, Any], name: str) -> None:
    """Refuse a container in which entries would be lost, or not be atomic together."""
    if container["partitionKey"]["paths"] != [f"/{PARTITION}"]:
        raise StorageConfigurationError(f"the container {name} must have the partition key /{PARTITION}", backend=KIND)
    if (container.get("defaultTtl") or -1) > 0:
        raise StorageConfigurationError(
            f"the container {name} deletes all items after a time; set its default time to live to -1", backend=KIND
        )


@contextmanager
def _errors(*, reads: bool) -> Iterator[None]:
    try:
        yield
    except exceptions.CosmosHttpResponseError as error:
        raise _refused(error, reads=reads) from error
    except core.ServiceRequestError as error:
        raise StorageConnectionError("could not connect to Cosmos DB", backend=KIND) from error
    except (core.ServiceResponseTimeoutError, exceptions.CosmosClientTimeoutError) as error:
        raise lost_answer("Cosmos DB did not answer in time", reads=reads, late=True) from error
    except core.ClientAuthenticationError as error:
        raise StorageCredentialsRefused("Cosmos DB refuses the credential", backend=KIND) from error
    except core.AzureError as error:
        raise lost_answer("the connection to Cosmos DB was lost", reads=reads) from error


def _refused(error: exceptions.CosmosHttpResponseError, *, reads: bool) -> Exception:
    status, sub_status = error.status_code or 0, error.sub_status
    if status == HTTPStatus.NOT_FOUND:
        return StorageConfigurationError(
            "Cosmos DB has no such database or container; create it, or correct its name", backend=KIND
        )
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or sub_status == _PARTITION_FULL:
        return StorageCapacityError(
            "Cosmos DB has no room for the entry: an item has 2 MB, a store 20 GB", backend=KIND
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return StorageCredentialsRefused("Cosmos DB refuses the key of the account, or its rights", backend=KIND)
    if status in {HTTPStatus.TOO_MANY_REQUESTS, _RETRY_WITH}:
        return StorageThrottled("Cosmos DB limits the rate of requests", backend=KIND, retry_after=_pause(error))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE}:
        return lost_answer(f"Cosmos DB failed with status {status}", reads=reads)
    return StorageError(f"Cosmos DB refused the operation with status {status}", backend=KIND)


def _pause(error: exceptions.CosmosHttpResponseError) -> float | None:
    """The seconds after which it may be tried again."""
    milliseconds = (error.headers or {}).get("x-ms-retry-after-ms")
    return None if milliseconds is None else float(milliseconds) / 1000
