"""The operations of stores, as immutable values: the stages of a pipeline carry them out like those of databases."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from typing import ClassVar

from database.core.immutable import immutable
from database.core.operations import Batch
from database.core.operations import Operation
from storage.core.entry import Stored


@immutable
class Put(Operation):
    """Store an entry, replacing the one that is there.

    It may be sent again: an entry that has the etag of this one already is its own.

    :param expected: the etag that the present entry must have; ``ABSENT`` if there must be none; None for any.
    """

    kind: ClassVar[str] = "put"
    entry: Stored
    expected: str | None = None

    @property
    def idempotent(self) -> bool:
        return True


@immutable
class Fetch(Operation):
    """Read an entry; the value is a ``Stored``, or None.

    :param head: without its body.
    :param preview: the beginning of its body is enough, and all of it as good.
    :param value_only: what its value needs is enough: key, body, headers and the time at which it expires. The others
        may be missing, so that it is nothing to keep.
    """

    kind: ClassVar[str] = "fetch"
    reads: ClassVar[bool] = True
    key: str
    head: bool = False
    preview: bool = False
    value_only: bool = False


@immutable
class FetchMany(Operation):
    """Read the entries of several keys with their bodies; the value is a list of those ``Stored`` that there are."""

    kind: ClassVar[str] = "fetch_many"
    reads: ClassVar[bool] = True
    keys: tuple[str, ...]


@immutable
class Remove(Operation):
    """Delete an entry; the value is whether there was one that had not expired by ``now``.

    :param expected: the etag that it must have, whether or not it has expired; None for any.
    """

    kind: ClassVar[str] = "remove"
    key: str
    now: datetime
    expected: str | None = None

    @property
    def idempotent(self) -> bool:
        return self.expected is None


@immutable
class Scan(Operation):
    """Read entries in the order of their keys; the value is a list of ``Stored``.

    :param after: only the keys behind this one.
    :param limit: how many at most; if there are fewer, they are the last ones.
    :param bodies: with their bodies.
    :param small: also without ``bodies``, those of up to so many bytes may come with their entries, where that takes no
        more requests.
    """

    kind: ClassVar[str] = "scan"
    reads: ClassVar[bool] = True
    prefix: str = ""
    after: str | None = None
    limit: int = 100
    bodies: bool = False
    small: int = 0


@immutable
class Clear(Operation):
    """Delete all entries whose keys begin with a prefix; the value is how many of them had not expired by ``now``.

    :param past: only delete those that had; the value is their number.
    """

    kind: ClassVar[str] = "clear"
    now: datetime
    prefix: str = ""
    past: bool = False


@immutable
class Search(Operation):
    """Find the entries whose vectors are most similar; the value is a list of pairs of a ``Stored`` and its score.

    Those that have expired by ``now`` are left out.

    :param vector: a direction, as in ``Stored``.
    :param limit: how many at most; if there are fewer, there are no others.
    :param filters: only entries whose keys and metadata have these values; they need no value.
    :param prefix: only entries whose keys begin with it.
    """

    kind: ClassVar[str] = "search"
    reads: ClassVar[bool] = True
    vector: bytes
    now: datetime
    limit: int
    filters: Mapping[str, Any]
    prefix: str = ""


@immutable
class Read(Operation):
    """Read a part of the body of an entry; the value is a ``Stored`` with these bytes as its body, or None.

    Only for backends with ``uploads``.

    :param start: the first byte; behind the last one, there are none.
    :param stop: the one behind the last byte; None for all.
    """

    kind: ClassVar[str] = "read"
    reads: ClassVar[bool] = True
    key: str
    start: int = 0
    stop: int | None = None


@immutable
class Upload(Operation):
    """Store an entry whose body comes in chunks, which can be read once; the value is its size in bytes.

    Only for backends with ``uploads``.

    :param entry: without its body.
    :param expected: as in :class:`Put`.
    """

    kind: ClassVar[str] = "upload"
    entry: Stored
    chunks: Iterator[bytes]
    expected: str | None = None


@immutable
class Link(Operation):
    """Make a URL by which anybody can read the body of an entry for some time; the value is the URL, or None.

    An entry that has expired by ``now`` is none. Only for backends with ``uploads``.
    """

    kind: ClassVar[str] = "link"
    reads: ClassVar[bool] = True
    key: str
    now: datetime
    seconds: int


def written(operation: Operation) -> dict[str, str | None]:
    """The keys that an operation other than :class:`Clear` writes, with the etags that they then have, if any."""
    if isinstance(operation, Put):
        return {operation.entry.key: operation.entry.etag}
    if isinstance(operation, Remove):
        return {operation.key: None}
    if isinstance(operation, Batch):
        return {key: etag for part in operation.operations for key, etag in written(part).items()}
    return {}
