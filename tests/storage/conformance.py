"""The features of the backends of stores, for the page of all backends.

The contract suite of stores holds every backend to its capabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Final

from storage.backends.cosmos.backend import CosmosEntries
from storage.backends.documents import DocumentEntries
from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.backends.qdrant.backend import QdrantEntries
from storage.backends.redis.backend import RedisEntries
from storage.backends.s3.backend import S3Entries
from storage.backends.table import TableEntries
from storage.core.backend import StoreBackend

Kind = type[StoreBackend]

KINDS: Final[tuple[Kind, ...]] = (
    *(MemoryEntries, FileEntries, RedisEntries, S3Entries),
    *(CosmosEntries, QdrantEntries, TableEntries, DocumentEntries),
)

_INTRODUCTION: Final = """\
## What each backend of a store can do

The tests in `tests/storage/contract` run on every backend of [stores](../storage.md), and check this table. The columns
are the names of the classes without `Entries`. `Table` is a table of any backend above, which is as durable as that is,
and can be shared as it can. `Qdrant` without a server can be used by one process only."""


def _switch(capability: str) -> Callable[[Kind], str]:
    return lambda kind: "yes" if getattr(kind.capabilities, capability) else "no"


def _largest(kind: Kind) -> str:
    largest = kind.capabilities.largest
    return f"{largest >> 20} MiB" if largest >= 1 << 20 else f"{largest >> 10} KiB"


LINES: Final[tuple[tuple[str, str, Callable[[Kind], str]], ...]] = (
    ("durable", "keeps its entries when the process ends", _switch("durable")),
    ("shared", "several processes at once", _switch("shared")),
    ("versions", "conditional writes are atomic", _switch("versions")),
    ("batches", "`put_many`: all or none", _switch("batches")),
    ("joins", "writes join the transaction of a request", _switch("joins")),
    ("expiry", "deletes what has expired", lambda kind: kind.capabilities.expiry.replace("swept", "by `sweep()`")),
    ("largest", "largest value", _largest),
    ("uploads", "values of any size in parts, and links", _switch("uploads")),
    ("tenants", "each tenant reads its own only", _switch("tenants")),
    ("dimensions", "vectors", lambda kind: "yes" if "dimensions" in signature(kind).parameters else "no"),
)
"""A line for every capability: the field, its title, and what a backend has of it."""


def section() -> str:
    """The part of the page about stores."""
    rows = [
        ["", *(kind.__name__.removesuffix("Entries") for kind in KINDS)],
        ["---"] * (len(KINDS) + 1),
        *([title, *map(tell, KINDS)] for _, title, tell in LINES),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{_INTRODUCTION}\n\n{table}\n"
