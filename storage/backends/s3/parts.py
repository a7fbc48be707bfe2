"""A body that is uploaded in parts."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import suppress
from typing import Any
from typing import Final

from database.core.errors import DataError
from storage.backends.s3.objects import KIND
from storage.backends.s3.objects import MOST_PARTS
from storage.backends.s3.objects import Bucket
from storage.core.errors import StorageCapacityError

PART: Final = 8 << 20
"""The bytes of a part; S3 takes no smaller one than 5 MiB, apart from the last one."""


def in_parts(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of the chunks in parts of this size; the last one may be smaller."""
    held: list[memoryview] = []
    size = 0
    for chunk in chunks:
        left = memoryview(chunk)
        while left:
            held.append(left[: PART - size])
            size += len(held[-1])
            left = left[len(held[-1]) :]
            if size == PART:
                yield _joined(held)
                size = 0
    if held:
        yield _joined(held)


def _joined(held: list[memoryview]) -> bytes:
    part = b"".join(held)
    held.clear()
    return part


@contextmanager
def begun(bucket: Bucket, name: str, options: Mapping[str, Any]) -> Iterator[str]:
    """The id of an object that is made of parts; they are forgotten if it is not completed."""
    id_ = bucket.begin(name, **options)
    try:
        yield id_
    except BaseException:
        with suppress(DataError):
            bucket.abort(name, id_)
        raise


def put_parts(bucket: Bucket, name: str, id_: str, parts: Iterable[bytes]) -> tuple[list[str], int]:
    """The tags of the parts, and their size together. :raises StorageCapacityError: if there are too many."""
    tags: list[str] = []
    size = 0
    for part in parts:
        if len(tags) == MOST_PARTS:
            raise StorageCapacityError(f"S3 takes at most {MOST_PARTS * PART:,} bytes in parts", backend=KIND)
        tags.append(bucket.put_part(name, id_, len(tags) + 1, part))
        size += len(part)
    return tags, size
