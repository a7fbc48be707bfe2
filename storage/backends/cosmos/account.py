"""An account of Cosmos DB, and its containers, which are opened when they are first used."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from http import HTTPStatus
from threading import Lock
from typing import Any
from typing import Final

from azure.core.pipeline import PipelineResponse
from azure.cosmos import ContainerProxy
from azure.cosmos import CosmosClient
from azure.cosmos import PartitionKey
from azure.cosmos import ThroughputProperties
from azure.cosmos.documents import ConnectionPolicy

from storage.backends.cosmos.errors import KIND
from storage.backends.cosmos.errors import WriteNotServed
from storage.backends.cosmos.errors import translated_errors
from storage.core.errors import StorageConfigurationError

PARTITION: Final = "store"
"""The field by which the entries of stores are in partitions."""

_INDEXED: Final = {
    "indexingMode": "consistent",
    "includedPaths": [{"path": "/expires/?"}],
    "excludedPaths": [{"path": "/*"}],
}

_STEP: Final = 1_000
"""The least maximum of a throughput that grows, and the step between two, in request units per second."""

Item = dict[str, Any]


class CosmosConnections:
    """An account of Cosmos DB, with the connections to it.

    :param credential: the account's key, or a credential of ``azure.identity``.
    :param timeout: seconds for a connection, and for each answer.
    :param regions: names of regions of the account, the nearest first, such as ``West US``. Reads are sent to the first
        one that answers, and so are writes if the account takes writes in several regions. Without any, ``url`` is the
        only address that is used, as emulators and private endpoints need it.
    :raises StorageConfigurationError: if the regions are no sequence of names.
    """

    def __init__(self, url: str, credential: Any, timeout: float, regions: Sequence[str] = ()) -> None:
        if isinstance(regions, str) or not all(name.strip() for name in regions):
            raise StorageConfigurationError(
                f"regions must be a list of names such as ['West US'], not {regions!r}", backend=KIND
            )
        self._arguments = url, credential, timeout, tuple(regions)
        self._lock = Lock()
        self._client: CosmosClient | None = None

    def client(self) -> CosmosClient:
        """The client. :raises StorageConfigurationError: if the URL or the key is none."""
        with self._lock:
            if self._client is None:
                try:
                    self._client = _client(*self._arguments)
                except ValueError as error:
                    reason = "the URL or the key of the account of Cosmos DB is malformed; copy them from its page"
                    raise StorageConfigurationError(reason, backend=KIND) from error
            return self._client

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None


class Opening:
    """A container, which is opened by the first request.

    :param partition: the field by which items are in partitions.
    :param create: make the database and the container if they are missing.
    :param indexed: the indexing policy of a container that is made.
    :param autoscale: the most request units per second of a container that is made, whose throughput then grows and
        shrinks by itself. Without it, Cosmos DB chooses a throughput that stays as it is.
    :raises StorageConfigurationError: if ``autoscale`` is none that Cosmos DB knows.
    """

    def __init__(
        self,
        account: CosmosConnections,
        database: str,
        name: str,
        partition: str = PARTITION,
        *,
        create: bool = True,
        indexed: Mapping[str, Any] = _INDEXED,
        autoscale: int | None = None,
    ) -> None:
        self._throughput = None if autoscale is None else _growing(autoscale)
        self._account, self._database, self._name = account, database, name
        self._partition, self._create, self._indexed = partition, create, indexed
        self._lock = Lock()
        self._opened: ContainerProxy | None = None

    def opened(self) -> ContainerProxy:
        """The container. :raises StorageError: if it cannot be opened."""
        with self._lock:
            if self._opened is None:
                # What opens it may be repeated, and changes no item.
                with translated_errors(reads=True):
                    self._opened = self._open()
            return self._opened

    def part(self, at_once: int, continuation: str | None) -> tuple[list[Item], str | None]:
        """Items of all partitions, and what leads on to the next ones; None if there are no more."""
        container = self.opened()
        with translated_errors(reads=True):
            pages: Any = container.read_all_items(max_item_count=at_once).by_page(continuation)
            return list(next(pages, ())), pages.continuation_token

    def close(self) -> None:
        """Close the connections of the account."""
        with self._lock:
            self._opened = None
            self._account.close()

    def _open(self) -> ContainerProxy:
        client = self._account.client()
        if self._create:
            database = client.create_database_if_not_exists(self._database)
            opened = database.create_container_if_not_exists(
                self._name,
                PartitionKey(f"/{self._partition}"),
                default_ttl=-1,
                indexing_policy=dict(self._indexed),
                offer_throughput=self._throughput,
            )
        else:
            opened = client.get_database_client(self._database).get_container_client(self._name)
        _check(opened.read(), self._name, self._partition)
        return opened


def _client(url: str, credential: Any, timeout: float, regions: Sequence[str]) -> CosmosClient:
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
        # Another region is a retry, too: only for those who ask for regions, and not for writes.
        enable_endpoint_discovery=bool(regions),
        preferred_locations=list(regions),
        raw_response_hook=_keep_write_from_other_regions if regions else None,
        connection_timeout=timeout,
        read_timeout=timeout,
        no_response_on_write=True,
        enable_compact_utf8_item_writes=True,
    )


def _keep_write_from_other_regions(response: PipelineResponse[Any, Any]) -> None:
    """Raise for a write that is answered with 503, which the client would send again: it may have been applied."""
    request = response.http_request
    is_read = request.method == "GET" or "x-ms-documentdb-isquery" in request.headers
    if response.http_response.status_code == HTTPStatus.SERVICE_UNAVAILABLE and not is_read:
        raise WriteNotServed


def _growing(most: int) -> ThroughputProperties:
    if type(most) is not int or most < _STEP or most % _STEP:
        raise StorageConfigurationError(
            f"autoscale must be a multiple of {_STEP:,} request units per second, not {most!r}", backend=KIND
        )
    return ThroughputProperties(auto_scale_max_throughput=most)


def _check(container: Mapping[str, Any], name: str, partition: str) -> None:
    """Refuse a container in which items would be lost, or not be atomic together."""
    if (paths := container["partitionKey"]["paths"]) != [f"/{partition}"]:
        raise StorageConfigurationError(
            f"the container {name} must have the partition key /{partition}, not {', '.join(paths)}; name another one",
            backend=KIND,
        )
    if (container.get("defaultTtl") or -1) > 0:
        raise StorageConfigurationError(
            f"the container {name} deletes all items after a time; set its default time to live to -1", backend=KIND
        )
