"""The backend of files: every change is one rename, so that a crash leaves the old entry or the new one."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from bisect import bisect_left
from bisect import bisect_right
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from hashlib import sha256
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any
from typing import ClassVar
from typing import Final

import uuid_utils

from database.core.clock import monotonic
from database.core.clock import utc_now
from database.core.context import Context
from database.core.operations import Ping
from storage.backends.file.document import read
from storage.backends.file.document import written
from storage.backends.file.names import is_long
from storage.backends.file.names import key_of
from storage.backends.file.names import name_of
from storage.core.backend import StoreBackend
from storage.core.backend import require_etag
from storage.core.backend import require_expected
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import Stored
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageTimeoutError
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan

_LOCKS: Final = 64
"""How many writers can be at work at once, unless their keys share a lock."""

_LOCKS_FOLDER: Final = ".locks"
_PAUSE: Final = 0.001
_BEGUN: Final = ".new"
_ABANDONED: Final = 3600
"""Seconds after which nobody is writing a file any more."""


class FileEntries(StoreBackend):
    """A folder of JSON files.

    Writers lock a file, so several processes may share a folder that is on a local disk.

    :param folder: where the files are.
    :param create: make the folder if it is missing; otherwise that is an error.
    :param pretty: write a line for each part of a value.
    """

    kind: ClassVar[str] = "file"
    capabilities = StoreCapabilities()

    def __init__(self, folder: str | os.PathLike[str], *, create: bool = True, pretty: bool = True) -> None:
        self._folder = Path(folder).absolute()
        self._pretty = pretty
        if not create and not self._folder.is_dir():
            raise StorageConfigurationError(f"the folder {self._folder} of the store does not exist; create it")
        self._listing: tuple[int, list[tuple[str, str]]] | None = None

    def put(self, put: Put, context: Context) -> None:
        entry = put.entry
        path = self._folder / name_of(entry.key)
        with self._errors("write"), self._temporary(entry) as temporary, self._locked(entry.key, context):
            if put.expected is not None:
                require_expected(self._read(path, entry.key), put, self.kind)
            temporary.replace(path)
            self._sync_folder()

    def fetch(self, fetch: Fetch, context: Context) -> Stored | None:
        with self._errors("read"):
            found = self._read(self._folder / name_of(fetch.key), fetch.key)
        return found._replace(body=b"") if found is not None and fetch.head else found

    def remove(self, remove: Remove, context: Context) -> bool:
        path = self._folder / name_of(remove.key)
        with self._errors("delete"), self._locked(remove.key, context):
            present = self._read(path, remove.key)
            require_etag(present, remove, self.kind)
            if present is None:
                return False
            path.unlink()
            self._sync_folder()
            return not present.is_past(remove.now)

    def scan(self, scan: Scan, context: Context) -> list[Stored]:
        found: list[Stored] = []
        with self._errors("read"):
            for key, name in self._keys_from(scan):
                if len(found) == scan.limit or not key.startswith(scan.prefix):
                    break
                # None if it has just been deleted.
                if (entry := self._read(self._folder / name, key)) is not None:
                    found.append(entry if scan.bodies else entry._replace(body=b""))
        return found

    def clear(self, clear: Clear, context: Context) -> int:
        if clear.past:
            self._discard_leftovers()
        return super().clear(clear, context)

    def ping(self, ping: Ping, context: Context) -> None:
        with self._errors("read"):
            self._make_folder()
            os.scandir(self._folder).close()

    def describe(self) -> Mapping[str, Any]:
        return {"folder": str(self._folder)}

    def _discard_leftovers(self) -> None:
        """Delete the files that writers had begun who then died."""
        for path in self._folder.glob(f".*{_BEGUN}"):
            # None that somebody is writing right now, nor one that is gone in the meantime.
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()

    def _read(self, path: Path, key: str) -> Stored | None:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            entry = read(text)
        except ValueError as error:
            return Stored.damaged(key, f"the file {path} is damaged: {error}", _changed_at(path))
        if entry.key != key:
            return Stored.damaged(key, f"the file {path} has the entry of another key", _changed_at(path))
        return entry

    def _keys_from(self, scan: Scan) -> Iterator[tuple[str, str]]:
        """The keys from the first one that may be meant, with the names of their files."""
        keys = self._keys()
        first = bisect_left(keys, scan.prefix, key=itemgetter(0))
        if scan.after is not None:
            first = max(first, bisect_right(keys, scan.after, key=itemgetter(0)))
        return islice(keys, first, None)

    def _keys(self) -> list[tuple[str, str]]:
        """All keys with the names of their files, in the order of the keys."""
        # A listing makes no folder: the files may be on a disk that can only be read.
        if not self._folder.is_dir():
            return []
        changed = self._folder.stat().st_mtime_ns
        # A listing is read page by page. A change at the moment of the listing may leave no trace in the time.
        if self._listing is None or self._listing[0] != changed or time.time_ns() - changed < _UNCERTAIN:
            with os.scandir(self._folder) as files:
                names = [file.name for file in files]
            keys = [(key, name) for name in names if (key := self._key(name)) is not None]
            self._listing = changed, sorted(keys)
        return self._listing[1]

    def _key(self, name: str) -> str | None:
        if not is_long(name):
            return key_of(name)
        try:
            key = read((self._folder / name).read_bytes()).key
        except (OSError, ValueError):
            return None
        return key if name_of(key) == name else None

    @contextmanager
    def _temporary(self, entry: Stored) -> Iterator[Path]:
        """A file of another name with the entry, which is on disk; deleted unless it was renamed."""
        self._make_folder()
        # A name of its own: somebody else may write the same version, as a copy or with another key.
        path = self._folder / f".{uuid_utils.uuid7().hex}{_BEGUN}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(written(entry, pretty=self._pretty))
                file.flush()
                os.fsync(descriptor)
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, key: str, context: Context) -> Iterator[None]:
        """Keep other threads and processes from changing the file of a key."""
        self._make_folder()
        number = sha256(key.encode()).digest()[0] % _LOCKS
        path = self._folder / _LOCKS_FOLDER / str(number)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _lock(descriptor):
                if monotonic() >= context.deadline:
                    raise StorageTimeoutError("another writer held the lock until the deadline", backend=self.kind)
                time.sleep(_PAUSE)
            yield
        finally:
            os.close(descriptor)

    def _make_folder(self) -> None:
        folder = self._folder / _LOCKS_FOLDER
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, StorageConnectionError | StorageTimeoutError):
                raise
            reason = error.strerror or type(error).__name__
            made = StorageCapacityError if error.errno in _FULL else StorageConnectionError
            raise made(f"cannot {verb} an entry in the folder {self._folder}: {reason}", backend=self.kind) from error


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""There is no room for the entry, and waiting makes none."""

_UNCERTAIN: Final = 20_000_000
"""Nanoseconds after a change in which another change may get the same time."""


def _lock(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _changed_at(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return utc_now()
