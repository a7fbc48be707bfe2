"""The backend of S3: an object for each entry, changed under conditions on its tag."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from itertools import groupby
from typing import Any
from typing import ClassVar
from typing import Final

from database.core.context import Context
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Ping
from storage.backends.ordered_names import LONGEST
from storage.backends.ordered_names import key_of
from storage.backends.ordered_names import name_of
from storage.backends.ordered_names import short_name_of
from storage.backends.s3.layout import LINE
from storage.backends.s3.layout import UNKNOWN
from storage.backends.s3.layout import Known
from storage.backends.s3.layout import has_note
from storage.backends.s3.layout import known_of
from storage.backends.s3.layout import laid_out
from storage.backends.s3.objects import KIND
from storage.backends.s3.objects import PARALLEL
from storage.backends.s3.objects import Bucket
from storage.backends.s3.parts import PART
from storage.backends.s3.parts import begun
from storage.backends.s3.parts import in_parts
from storage.backends.s3.parts import put_parts
from storage.core.backend import StoreBackend
from storage.core.backend import require_etag
from storage.core.backend import require_expected
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import ABSENT
from storage.core.entry import DAMAGED
from storage.core.entry import Stored
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import changed
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Link
from storage.core.operations import Put
from storage.core.operations import Read
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.operations import Upload

_ATTEMPTS: Final = 5
_PAGE: Final = 500
_LONGEST_STORE: Final = 100


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
    capabilities = StoreCapabilities(uploads=True)

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
        name = short_name_of(put.entry.key)
        options, start = laid_out(put.entry)
        text = start + put.entry.body
        self._store(put, lambda conditions: self._bucket.put(name, text, **options, **conditions))

    def upload(self, upload: Upload, context: Context) -> int:
        try:
            return self._uploaded(upload, context)
        except DataError as error:
            # What has been read of the chunks is gone.
            error.retryable = False
            raise

    def read(self, read: Read, context: Context) -> Stored | None:
        name = short_name_of(read.key)
        for _ in range(_ATTEMPTS):
            found = self._bucket.get(name, read.start, read.stop)
            if found is None:
                return None
            if has_note(found):
                known, part = known_of(found, name), found
            else:
                known = self._known(name)
                stop = None if read.stop is None else known.start + read.stop
                if (again := self._bucket.get(name, known.start + read.start, stop, known.tag)) is None:
                    # Somebody has replaced it in the meantime.
                    continue
                part = again
            return None if known.entry is None else known.entry._replace(body=part.content)
        raise changed(read.key, absent=False, backend=self.kind)

    def link(self, link: Link, context: Context) -> str | None:
        name = short_name_of(link.key)
        known = self._known(name)
        if known.entry is None or known.entry.is_past(link.now):
            return None
        if known.start or DAMAGED in known.entry.headers:
            reason = "the entry has no link: its key and metadata are too long, or it is an older one; store it again"
            raise StorageUnsupportedError("links", backend=self.kind, detail=reason)
        return self._bucket.url(name, link.seconds)

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
            found_here = self._read_all(names, head=not scan.bodies, small=scan.small)
            entries = sorted(found_here, key=lambda entry: entry.key)
            found += [
                entry for entry in entries if entry.key.startswith(scan.prefix) and entry.key > (scan.after or "")
            ]
            if len(found) >= scan.limit:
                break
        return found[: scan.limit]

    def clear(self, clear: Clear, context: Context) -> int:
        if clear.past:
            return super().clear(clear, context)
        delete = self._bucket.delete_many
        return self._clear_together(
            clear, context, _PAGE, lambda found: delete([short_name_of(entry.key) for entry in found])
        )

    def ping(self, ping: Ping, context: Context) -> None:
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

    def _read_all(self, names: Sequence[str], *, head: bool, small: int = 0) -> list[Stored]:
        """The entries of the names, apart from those that have just been deleted."""
        if not names:
            return []
        with ThreadPoolExecutor(min(len(names), PARALLEL)) as threads:
            found = threads.map(lambda name: self._read(name, head=head, small=small)[0], names)
            return [entry for entry in found if entry is not None]

    def _read(self, name: str, *, head: bool, small: int = 0) -> tuple[Stored | None, str]:
        """The entry of a name, without its body for a head, and the tag by which S3 knows it."""
        if head:
            entry, tag, _ = self._known(name, small)
            return entry, tag
        found = self._bucket.get(name)
        if found is None:
            return None, ""
        entry, tag, start = known_of(found, name)
        return None if entry is None else entry._replace(body=found.content[start:]), tag

    def _known(self, name: str, small: int = 0) -> Known:
        """The entry of a name, without its body, unless that is all of the object and has up to ``small`` bytes."""
        found = self._bucket.get(name, 0, small) if small else self._bucket.head(name)
        if found is not None and not has_note(found):
            found = self._bucket.get(name, 0, LINE)
            if found is not None and b"\n" not in found.content:
                found = self._bucket.get(name)
        if found is None:
            return Known(None, "", 0)
        known = known_of(found, name)
        if known.entry is None or not has_note(found) or found.length > small or DAMAGED in known.entry.headers:
            return known
        return known._replace(entry=known.entry._replace(body=found.content))

    def _store(self, put: Put, request: Callable[[dict[str, str]], bool]) -> None:
        """Store an entry as :meth:`put` must.

        :param request: does so under conditions, and returns whether they held.
        """
        conditions = {"IfNoneMatch": "*"} if put.expected == ABSENT else self._conditions(put)
        for _ in range(_ATTEMPTS):
            # None if it is there already, because its answer was lost.
            if conditions is None or request(conditions):
                return
            conditions = self._conditions(put)
        raise changed(put.entry.key, absent=put.expected == ABSENT, backend=self.kind)

    def _uploaded(self, upload: Upload, context: Context) -> int:
        parts = in_parts(upload.chunks)
        first = next(parts, b"")
        if len(first) < PART:
            entry = upload.entry._replace(body=first, size=len(first))
            self.put(Put(entry, upload.expected), context)
            return len(first)
        name = short_name_of(upload.entry.key)
        options, start = laid_out(upload.entry._replace(size=UNKNOWN))
        with begun(self._bucket, name, options) as id_:
            tags, size = put_parts(self._bucket, name, id_, chain([start + first], parts))
            put = Put(upload.entry, upload.expected)
            try:
                self._store(put, lambda conditions: self._bucket.complete(name, id_, tags, **conditions))
            except OutcomeUnknown:
                # The answer was lost. An entry with this etag can only be this one.
                if (present := self._known(name).entry) is None or present.etag != upload.entry.etag:
                    raise
        return size - len(start)
