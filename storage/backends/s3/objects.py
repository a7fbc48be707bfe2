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
from typing import NamedTuple

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

MOST_PARTS: Final = 10_000

_making: Final = Lock()


class Found(NamedTuple):
    """An object that was read.

    :ivar content: the bytes that were asked for.
    :ivar tag: by which S3 knows them.
    :ivar notes: what S3 calls its user-defined metadata.
    :ivar length: of all its bytes.
    """

    content: bytes
    tag: str
    notes: Mapping[str, str]
    length: int


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

    def get(self, name: str, first: int = 0, last: int | None = None, tag: str | None = None) -> Found | None:
        """An object with a part of its bytes; None if there is none, or if it has another tag.

        :param first: the first byte; behind the last one, there are none.
        :param last: the one behind the last byte; None for all.
        """
        if last is not None and last <= first:
            return self.head(name)
        options: dict[str, str] = {} if tag is None else {"IfMatch": tag}
        if first or last is not None:
            options["Range"] = f"bytes={first}-{'' if last is None else last - 1}"
        with _errors(reads=True):
            try:
                found = self._client.get_object(Bucket=self._name, Key=self._prefix + name, **options)
            except exceptions.ClientError as error:
                if error.response["Error"]["Code"] == "InvalidRange":
                    return self._without_bytes(name)
                if error.response["Error"]["Code"] in _UNMATCHED:
                    return None
                raise
            return _found(found, found["Body"].read())

    def head(self, name: str) -> Found | None:
        """An object without its bytes; None if there is none."""
        # S3 says what is missing in the text of an answer, which one to the method HEAD does not have.
        found = self.get(name, 0, 1)
        return None if found is None else found._replace(content=b"")

    def _without_bytes(self, name: str) -> Found | None:
        """An object that has no bytes where some were asked for."""
        try:
            return _found(self._client.head_object(Bucket=self._name, Key=self._prefix + name), b"")
        except exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _UNMATCHED:
                return None
            raise

    def put(self, name: str, body: bytes, **options: Any) -> bool:
        """Store an object; returns whether the conditions among the options held."""
        with _errors(reads=False):
            return _holds(self._client.put_object, Bucket=self._name, Key=self._prefix + name, Body=body, **options)

    def begin(self, name: str, **options: Any) -> str:
        """Begin an object of several parts; its id. Until it is completed, there is none."""
        with _errors(reads=True):
            begun = self._client.create_multipart_upload(Bucket=self._name, Key=self._prefix + name, **options)
        return str(begun["UploadId"])

    def put_part(self, name: str, upload: str, number: int, body: bytes) -> str:
        """Store a part, from 1 to :data:`MOST_PARTS`; its tag."""
        where = {"Bucket": self._name, "Key": self._prefix + name, "UploadId": upload}
        # It changes nothing that anybody can see.
        with _errors(reads=True):
            return str(self._client.upload_part(**where, PartNumber=number, Body=body)["ETag"])

    def complete(self, name: str, upload: str, tags: Sequence[str], **conditions: str) -> bool:
        """Make an object of its parts; returns whether the conditions held."""
        where = {"Bucket": self._name, "Key": self._prefix + name, "UploadId": upload}
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        with _errors(reads=False):
            request = self._client.complete_multipart_upload
            return _holds(request, **where, MultipartUpload={"Parts": parts}, **conditions)

    def abort(self, name: str, upload: str) -> None:
        """Forget the parts of an object."""
        with _errors(reads=True):
            self._client.abort_multipart_upload(Bucket=self._name, Key=self._prefix + name, UploadId=upload)

    def url(self, name: str, seconds: int) -> str:
        """A URL that reads an object."""
        parameters = {"Bucket": self._name, "Key": self._prefix + name}
        with _errors(reads=True):
            return str(self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds))

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


def _found(answer: Mapping[str, Any], content: bytes) -> Found:
    length = answer.get("ContentRange", "").rpartition("/")[2] or answer["ContentLength"]
    return Found(content, answer["ETag"], answer.get("Metadata", {}), int(length))


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
