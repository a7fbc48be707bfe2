"""The objects of a bucket: single requests, and the errors of S3 as those of stores."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from threading import Lock
from typing import Any
from typing import Final

import boto3
from botocore import exceptions
from botocore.config import Config

from database.core.errors import lost_answer
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageCredentialsRefused
from storage.core.errors import StorageError
from storage.core.errors import StorageThrottled

KIND: Final = "s3"
PARALLEL: Final = 8
"""How many objects are read at once."""

_UNMATCHED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "404", "412"})
"""The codes for an object that is not as the request demands."""

_making: Final = Lock()


class Bucket:
    """The objects in a bucket whose names begin with a prefix, which is not a part of the names here.

    :param options: of the client: ``endpoint_url``, ``region_name``, ``aws_access_key_id``, ``aws_secret_access_key``.
    :param timeout: seconds for a connection, and for each answer.
    """

    def __init__(self, name: str, prefix: str, options: Mapping[str, Any], timeout: float) -> None:
        self._name = name
        self._prefix = prefix
        # Retries are those of the store's pipeline, which knows what may be repeated.
        config = Config(
            connect_timeout=timeout,
            read_timeout=timeout,
            retries={"total_max_attempts": 1},
            signature_version="s3v4",
            max_pool_connections=PARALLEL,
            # Not all servers know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        # Sessions are not thread-safe while they make a client.
        with _making:
            self._client = _session().client("s3", config=config, **options)

    def get(self, name: str, most: int | None = None) -> tuple[bytes, str] | None:
        """The bytes of an object, and the tag by which S3 knows them; None if there is none.

        :param most: only so many from the beginning.
        """
        ranged = {} if most is None else {"Range": f"bytes=0-{most - 1}"}
        with _errors(reads=True):
            try:
                found = self._client.get_object(Bucket=self._name, Key=self._prefix + name, **ranged)
            except exceptions.ClientError as error:
                # Somebody's empty object has no range.
                if most is not None and error.response["Error"]["Code"] == "InvalidRange":
                    return self.get(name)
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise
            return found["Body"].read(), found["ETag"]

    def put(self, name: str, body: bytes, **conditions: str) -> bool:
        """Store an object; returns whether the conditions held."""
        with _errors(reads=False):
            return _holds(self._client.put_object, Bucket=self._name, Key=self._prefix + name, Body=body, **conditions)

    def delete(self, name: str, **conditions: str) -> bool:
        """Delete an object, if there is one; returns whether the conditions held."""
        with _errors(reads=False):
            return _holds(self._client.delete_object, Bucket=self._name, Key=self._prefix + name, **conditions)

    def delete_many(self, names: Sequence[str]) -> None:
        """Delete up to 1,000 objects."""
        objects = [{"Key": self._prefix + name} for name in names]
        with _errors(reads=False):
            answer = self._client.delete_objects(Bucket=self._name, Delete={"Objects": objects, "Quiet": True})
        if left := answer.get("Errors"):
            raise StorageError(f"S3 did not delete {len(left)} objects: {left[0].get('Code')}", backend=KIND)

    def names(self, start: str, after: str | None, at_once: int) -> Iterator[str]:
        """The names that begin with ``start``, behind ``after``, in order.

        :param at_once: how many each request returns.
        """
        behind = {} if after is None else {"StartAfter": self._prefix + after}
        arguments = {"Bucket": self._name, "Prefix": self._prefix + start, "MaxKeys": at_once, **behind}
        while True:
            with _errors(reads=True):
                page = self._client.list_objects_v2(**arguments)
            yield from (found["Key"].removeprefix(self._prefix) for found in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def ping(self) -> None:
        """Check that the bucket can be reached, and that it is there."""
        with _errors(reads=True):
            self._client.head_bucket(Bucket=self._name)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


@cache
def _session() -> Any:
    return boto3.session.Session()


def _holds(request: Any, **arguments: Any) -> bool:
    try:
        request(**arguments)
    except exceptions.ClientError as error:
        if error.response["Error"]["Code"] in _UNMATCHED:
            return False
        raise
    return True


@contextmanager
def _errors(*, reads: bool) -> Iterator[None]:
    try:
        yield
    except exceptions.ClientError as error:
        raise _refused(error, reads=reads) from error
    except (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError) as error:
        raise StorageConnectionError("could not connect to S3", backend=KIND) from error
    except exceptions.ReadTimeoutError as error:
        raise lost_answer("S3 did not answer in time", reads=reads, late=True) from error
    except exceptions.HTTPClientError as error:
        raise lost_answer("the connection to S3 was lost", reads=reads) from error
    except exceptions.BotoCoreError as error:
        raise StorageConfigurationError(f"the client of S3 is not set up: {error}", backend=KIND) from error


def _refused(error: exceptions.ClientError, *, reads: bool) -> Exception:
    code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code in {"NoSuchBucket", "404"}:
        return StorageConfigurationError("S3 has no such bucket; create it, or correct its name", backend=KIND)
    if code == "EntityTooLarge":
        return StorageCapacityError("S3 takes no objects of that size", backend=KIND)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return StorageCredentialsRefused("S3 refuses the access key, or its rights on the bucket", backend=KIND)
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return StorageThrottled("S3 limits the rate of requests", backend=KIND)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return lost_answer(f"S3 failed with status {status}", reads=reads)
    return StorageError(f"S3 refused the operation: {code}", backend=KIND)
