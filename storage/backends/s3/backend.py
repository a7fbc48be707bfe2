"""The backend of S3: a line of JSON about the entry and its body in one object, changed under conditions on its tag."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from typing import Any
from typing import ClassVar
from typing import Final

import orjson

from database.core.clock import utc_now
from database.core.context import Context
from database.core.lifecycle import rebuild_after_fork
from storage.backends.ordered_names import LONGEST
from storage.backends.ordered_names import key_of
from storage.backends.ordered_names import name_of
from storage.backends.ordered_names import short_name_of
from storage.backends.s3.objects import KIND
from storage.backends.s3.objects import PARALLEL
from storage.backends.s3.objects import Bucket
from storage.core.about import about
from storage.core.about import from_about
from storage.core.backend import StoreBackend
from storage.core.backend import require_etag
from storage.core.backend import require_expected
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import ABSENT
from storage.core.entry import Stored
from storage.core.errors import StorageConfigurationError
from storage.core.errors import changed
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan

_ATTEMPTS: Final = 5
_PAGE: Final = 500
_LONGEST_STORE: Final = 100
_HEAD: Final = 8 << 10
"""The bytes of an object that are read for what is known about its entry; if that is longer, all of it is read."""


class S3Entries(StoreBackend):
    """Objects in a bucket of S3, MinIO or another server that takes conditional writes.

    :param bucket: its name; it must exist.
    :param store: the name by which the entries of this store are told from others.
    :param endpoint: the server's URL; that of AWS by default.
    :param region: of the bucket; as boto3 finds it by default, like the keys.
    :param timeout: seconds for a connection, and for each answer.
    :raises StorageConfigurationError: if the name of the store is too long.
    """

    kind: ClassVar[str] = KIND
    capabilities = StoreCapabilities()

    def __init__(
        self,
        bucket: str,
        store: str = "default",
        *,
        endpoint: str | None = None,
        region: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        if not 0 < len(name_of(store)) <= _LONGEST_STORE:
            raise StorageConfigurationError(f"the name of a store in S3 must have 1 to {_LONGEST_STORE} letters")
        self._where = {"bucket": bucket, "store": store, "endpoint": endpoint}
        options = {
            "endpoint_url": endpoint,
            "region_name": region,
            "aws_access_key_id": access_key,
            "aws_secret_access_key": secret_key,
        }
        self._open = partial(Bucket, bucket, f"{name_of(store)}/", options, timeout)
        self._create_runtime_state()
        rebuild_after_fork(self, S3Entries._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._bucket = self._open()

    def put(self, put: Put, context: Context) -> None:
        name, text = short_name_of(put.entry.key), _written(put.entry)
        conditions = {"IfNoneMatch": "*"} if put.expected == ABSENT else self._conditions(put)
        for _ in range(_ATTEMPTS):
            # None if it is there already, because its answer was lost.
            if conditions is None or self._bucket.put(name, text, **conditions):
                return
            conditions = self._conditions(put)
        raise changed(put.entry.key, absent=put.expected == ABSENT, backend=self.kind)

    def fetch(self, fetch: Fetch, context: Context) -> Stored | None:
        return self._read(short_name_of(fetch.key), head=fetch.head)[0]

    def fetch_many(self, fetch: FetchMany, context: Context) -> list[Stored]:
        return self._read_all([short_name_of(key) for key in fetch.keys], head=False)

    def remove(self, remove: Remove, context: Context) -> bool:
        name = short_name_of(remove.key)
        present, tag = self._read(name, head=True)
        require_etag(present, remove, self.kind)
        if present is None:
            return False
        conditions = {} if remove.expected is None else {"IfMatch": tag}
        if not self._bucket.delete(name, **conditions):
            raise changed(remove.key, absent=False, backend=self.kind)
        return not present.is_past(remove.now)

    def scan(self, scan: Scan, context: Context) -> list[Stored]:
        found: list[Stored] = []
        for names in self._names(scan):
            # The keys of long names are in the objects only.
            entries = sorted(self._read_all(names, head=not scan.bodies), key=lambda entry: entry.key)
            found += [
                entry for entry in entries if entry.key.startswith(scan.prefix) and entry.key > (scan.after or "")
            ]
            if len(found) >= scan.limit:
                break
        return found[: scan.limit]

    def clear(self, clear: Clear, context: Context) -> int:
        if clear.past:
            return super().clear(clear, context)
        number, after = 0, None
        while found := self.scan(Scan(clear.prefix, after, _PAGE), context):
            self._bucket.delete_many([short_name_of(entry.key) for entry in found])
            number += sum(not entry.is_past(clear.now) for entry in found)
            after = found[-1].key
        return number

    def ping(self, context: Context) -> None:
        self._bucket.ping()

    def close(self) -> None:
        self._bucket.close()

    def describe(self) -> Mapping[str, Any]:
        return self._where

    def _conditions(self, put: Put) -> dict[str, str] | None:
        """What S3 must find in order to store the entry; None if it is there already.

        :raises StorageConflictError: if the present one is not as expected.
        """
        if put.expected is None:
            return {}
        present, tag = self._read(short_name_of(put.entry.key), head=True)
        require_expected(present, put, self.kind)
        if present is None:
            return {"IfNoneMatch": "*"}
        return None if present.etag == put.entry.etag else {"IfMatch": tag}

    def _names(self, scan: Scan) -> Iterator[list[str]]:
        """The names of the keys that may be meant, in order, in parts. Those with one beginning are in one part."""
        after = None if scan.after is None else name_of(scan.after)[:LONGEST]
        names = self._bucket.names(name_of(scan.prefix)[:LONGEST], after, min(scan.limit, 1_000))
        ours = (name for name in names if len(name) > LONGEST or key_of(name) is not None)
        part: list[str] = []
        for _, alike in groupby(ours, key=lambda name: name[:LONGEST]):
            part += alike
            if len(part) >= scan.limit:
                yield part
                part = []
        yield part

    def _read_all(self, names: Sequence[str], *, head: bool) -> list[Stored]:
        """The entries of the names, apart from those that have just been deleted."""
        if not names:
            return []
        with ThreadPoolExecutor(min(len(names), PARALLEL)) as threads:
            found = threads.map(lambda name: self._read(name, head=head)[0], names)
            return [entry for entry in found if entry is not None]

    def _read(self, name: str, *, head: bool) -> tuple[Stored | None, str]:
        """The entry of a name, without its body for a head, and the tag by which S3 knows it."""
        found = self._bucket.get(name, _HEAD if head else None)
        if found is not None and head and b"\n" not in found[0]:
            found = self._bucket.get(name)
        if found is None:
            return None, ""
        text, tag = found
        try:
            entry = _entry(text, name)
        except ValueError as error:
            key = key_of(name)
            # The key of a long name was in the object only.
            return None if key is None else Stored.damaged(key, f"its object is damaged: {error}", utc_now()), tag
        return entry._replace(body=b"") if head else entry, tag


def _written(entry: Stored) -> bytes:
    return orjson.dumps(about(entry)) + b"\n" + entry.body


def _entry(text: bytes, name: str) -> Stored:
    """The entry of an object. :raises ValueError: if it is not that of its name, or damaged."""
    known, _, body = text.partition(b"\n")
    entry = from_about(orjson.loads(known), body)
    if short_name_of(entry.key) != name:
        raise ValueError("it has the entry of another key")
    return entry
