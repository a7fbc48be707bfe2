"""The entries of a copy in parts: as many as are read, and written, at once."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Final

from storage.core.entry import Stored
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.store import Store

_TOGETHER: Final = 100
_BYTES_READ: Final = 4 << 20
_BYTES_WRITTEN: Final = 900_000
"""How many entries, and bytes of their values, are read and written at once; a batch of Cosmos DB has 2 MB."""

SMALL: Final = 8 << 10
"""The bytes of a body that may come with its head."""

Pair = tuple[Stored, Stored | None]
"""An entry of the source, and that of the target, if there is one; bodies that are not small are left out."""


def by_key(store: Store, keys: Sequence[str]) -> dict[str, Stored]:
    """The entries of these keys that there are, with their bodies."""
    return {entry.key: entry for entry in store.run(FetchMany(tuple(keys)))} if keys else {}


def whole(store: Store, found: Sequence[Stored]) -> dict[str, Stored]:
    """The entries that were found, and are still there, by their keys; the bodies that were left out are read."""
    known = {entry.key: entry for entry in found if entry.body and len(entry.body) == entry.size}
    return known | by_key(store, [entry.key for entry in found if entry.key not in known])


def in_parts(pairs: Iterator[Pair], is_alone: Callable[[Stored], bool]) -> Iterator[list[Pair]]:
    """The pairs in parts that are read together; those with a large body alone."""
    part: list[Pair] = []
    size = 0
    for head, present in pairs:
        if part and (is_alone(head) or len(part) == _TOGETHER or size + head.size > _BYTES_READ):
            yield part
            part, size = [], 0
        part.append((head, present))
        size += head.size
        if is_alone(head):
            yield part
            part, size = [], 0
    if part:
        yield part


def batches(puts: Sequence[Put]) -> Iterator[list[Put]]:
    """The writes in parts that every batch takes."""
    batch: list[Put] = []
    size = 0
    for put in puts:
        if batch and size + len(put.entry.body) > _BYTES_WRITTEN:
            yield batch
            batch, size = [], 0
        batch.append(put)
        size += len(put.entry.body)
    if batch:
        yield batch
