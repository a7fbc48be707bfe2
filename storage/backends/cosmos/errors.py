"""The errors of Cosmos DB as those of stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from azure.core import exceptions as core
from azure.cosmos import exceptions

from database.core.errors import lost_answer
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageCredentialsRefused
from storage.core.errors import StorageError
from storage.core.errors import StorageThrottled

KIND: Final = "cosmos"

_RETRY_WITH: Final = 449
_PARTITION_FULL: Final = 1014


class WriteNotServed(core.AzureError):
    """A write was answered with 503, and may have been applied nevertheless."""

    def __init__(self) -> None:
        super().__init__("Cosmos DB failed with status 503")


@contextmanager
def translated_errors(*, reads: bool) -> Iterator[None]:
    """Raise the errors of stores in the block.

    :param reads: whether the request changes nothing, so that a lost answer leaves nothing unknown.
    """
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
    except WriteNotServed as error:
        raise lost_answer(error.message, reads=reads) from error
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
