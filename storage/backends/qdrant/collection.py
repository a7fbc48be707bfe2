"""The points of a collection: single requests, and the errors of Qdrant as those of stores."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from http import HTTPStatus
from threading import RLock
from typing import Any
from typing import Final

import httpx
from qdrant_client import QdrantClient
from qdrant_client import models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException
from qdrant_client.http.exceptions import ResponseHandlingException
from qdrant_client.http.exceptions import UnexpectedResponse

from database.core.errors import lost_answer
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageCredentialsRefused
from storage.core.errors import StorageError
from storage.core.errors import StorageThrottled
from storage.core.vectors.directions import floats

KIND: Final = "qdrant"
VECTOR: Final = "vector"
"""The name of the vector of a point. A point need not have one, as it must if the vector had no name."""

MEMORY: Final = ":memory:"
TOGETHER: Final = 1_000
"""How many points one request reads or deletes."""

_OLDEST: Final = (1, 17)
"""An older server does not know conditions on a write, and ignores them."""


class Collection:
    """A collection of points with one vector, or none. It is opened, and made if it is missing, by the first request.

    :param location: the URL of a server, a folder for the local mode, or ``:memory:``.
    :param timeout: seconds for each answer.
    """

    def __init__(self, location: str, name: str, dimensions: int, api_key: str | None, timeout: float) -> None:
        self._location, self._name, self._dimensions = location, name, dimensions
        self._api_key, self._timeout = api_key, timeout
        self._opening = RLock()
        # The client's local mode is not thread-safe.
        self._calling = RLock() if not is_server(location) else None
        self._client: QdrantClient | None = None

    def get(self, ids: Sequence[str], fields: Sequence[str] | None = None) -> list[models.Record]:
        """The points of these ids, in any order.

        :param fields: of their payloads, without the vectors; all of them, and the vectors, by default.
        """
        payload = True if fields is None else list(fields)
        with self._opened(reads=True) as client:
            return client.retrieve(self._name, list(ids), with_payload=payload, with_vectors=fields is None)

    def upsert(self, point: models.PointStruct, present: str | None = None) -> None:
        """Store a point.

        :param present: the etag that the present one must have; empty if there must be none; None for any. Qdrant does
            not tell whether it was so.
        """
        mode, condition = models.UpdateMode.UPSERT, None
        if present is not None:
            mode = models.UpdateMode.UPDATE_ONLY if present else models.UpdateMode.INSERT_ONLY
            condition = models.Filter(must=[equal("etag", present)]) if present else None
        with self._opened(reads=False) as client:
            client.upsert(
                self._name,
                [point],
                update_mode=mode,
                update_filter=condition,
                ordering=models.WriteOrdering.STRONG,
            )

    def delete(self, ids: Sequence[str], condition: models.FieldCondition | None = None) -> None:
        """Delete points.

        :param condition: only those for which it holds.
        """
        must: list[Any] = [models.HasIdCondition(has_id=list(ids))]
        if condition is not None:
            must.append(condition)
        selector = models.FilterSelector(filter=models.Filter(must=must))
        with self._opened(reads=False) as client:
            client.delete(self._name, selector, ordering=models.WriteOrdering.STRONG)

    def all(self, fields: Sequence[str], condition: models.FieldCondition | None = None) -> Iterator[models.Record]:
        """All points, with some fields of their payloads, in any order."""
        where = None if condition is None else models.Filter(must=[condition])
        after: Any = None
        while True:
            with self._opened(reads=True) as client:
                found, after = client.scroll(
                    self._name, scroll_filter=where, limit=TOGETHER, offset=after, with_payload=list(fields)
                )
            yield from found
            if after is None:
                return

    def nearest(
        self, stored: bytes, limit: int, conditions: Sequence[models.Condition], *, exact: bool
    ) -> list[models.ScoredPoint]:
        """The points with the most similar vectors, the best first, with their vectors and keys."""
        with self._opened(reads=True) as client:
            return client.query_points(
                self._name,
                query=floats(stored).tolist(),
                using=VECTOR,
                query_filter=models.Filter(must=list(conditions)) if conditions else None,
                # The local mode has no index.
                search_params=models.SearchParams(exact=exact) if self._calling is None else None,
                limit=limit,
                with_payload=["key"],
                with_vectors=True,
            ).points

    def ping(self) -> None:
        """Check that the server can be reached, and that the collection is there."""
        with self._opened(reads=True) as client:
            client.get_collection(self._name)

    def close(self) -> None:
        """Close the connections. What is in memory only would be lost, and stays."""
        with self._opening:
            if self._client is not None and self._location != MEMORY:
                self._client.close()
                self._client = None

    @contextmanager
    def _opened(self, *, reads: bool) -> Iterator[QdrantClient]:
        # What opens it may be repeated, and changes no point.
        with self._opening, _errors(reads=True):
            client = self._client = self._client or self._open()
        with _errors(reads=reads):
            if self._calling is None:
                yield client
            else:
                with self._calling:
                    yield client

    def _open(self) -> QdrantClient:
        client = self._connected()
        try:
            _check_version(client.info().version)
            if not client.collection_exists(self._name):
                self._make(client)
            _check(client.get_collection(self._name).config.params, self._name, self._dimensions)
        except BaseException:
            client.close()
            raise
        return client

    def _connected(self) -> QdrantClient:
        if self._location == MEMORY:
            return QdrantClient(MEMORY)
        if not is_server(self._location):
            return _local(self._location)
        seconds = max(1, math.ceil(self._timeout))
        return QdrantClient(url=self._location, api_key=self._api_key, timeout=seconds, check_compatibility=False)

    def _make(self, client: QdrantClient) -> None:
        # The vectors have length 1: their product is the cosine, and Qdrant need not change them.
        vectors = {VECTOR: models.VectorParams(size=self._dimensions, distance=models.Distance.DOT)}
        try:
            client.create_collection(self._name, vectors_config=vectors)
        except UnexpectedResponse as error:
            # Another process has made it in the meantime.
            if error.status_code != HTTPStatus.CONFLICT:
                raise


def is_server(location: str) -> bool:
    """Whether a location is the URL of a server."""
    return location.startswith(("http://", "https://"))


def equal(field: str, value: str | bool) -> models.FieldCondition:
    """The condition that a field of a payload is, or contains, a value."""
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _local(folder: str) -> QdrantClient:
    try:
        return QdrantClient(path=folder, force_disable_check_same_thread=True)
    except RuntimeError as error:
        raise StorageConfigurationError(
            f"another process uses the folder {folder} of Qdrant; several can use a server only", backend=KIND
        ) from error


def _check_version(version: str) -> None:
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if found < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise StorageConfigurationError(f"Qdrant must be of version {oldest} or newer, and is {version}", backend=KIND)


def _check(params: models.CollectionParams, name: str, dimensions: int) -> None:
    vectors = params.vectors
    found = vectors.get(VECTOR) if isinstance(vectors, dict) else None
    if found is None or found.size != dimensions or found.distance != models.Distance.DOT:
        raise StorageConfigurationError(
            f"the collection {name} of Qdrant must have vectors with the name {VECTOR!r}, {dimensions} dimensions and"
            " the distance Dot; choose another name for it, or other dimensions",
            backend=KIND,
        )


@contextmanager
def _errors(*, reads: bool) -> Iterator[None]:
    try:
        yield
    except UnexpectedResponse as error:
        raise _refused(error.status_code or 0, reads=reads) from error
    except ResourceExhaustedResponse as error:
        raise StorageThrottled(
            "Qdrant limits the rate of requests", backend=KIND, retry_after=float(error.retry_after_s)
        ) from error
    except ResponseHandlingException as error:
        raise _unanswered(error.source, reads=reads) from error
    except ApiException as error:
        raise StorageError("Qdrant refused the operation", backend=KIND) from error


def _unanswered(error: Exception, *, reads: bool) -> Exception:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return StorageConnectionError("could not connect to Qdrant", backend=KIND)
    if isinstance(error, httpx.TimeoutException):
        return lost_answer("Qdrant did not answer in time", reads=reads, late=True)
    return lost_answer("the connection to Qdrant was lost, or its answer is none", reads=reads)


def _refused(status: int, *, reads: bool) -> Exception:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return StorageCredentialsRefused("Qdrant refuses the API key, or its rights", backend=KIND)
    if status == HTTPStatus.NOT_FOUND:
        return StorageConfigurationError("Qdrant has no such collection any more", backend=KIND)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return StorageCapacityError("Qdrant takes no requests of that size", backend=KIND)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return lost_answer(f"Qdrant failed with status {status}", reads=reads)
    return StorageError(f"Qdrant refused the operation with status {status}", backend=KIND)
