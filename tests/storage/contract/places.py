"""The places in which the suite stores: how each backend is made, with a real server where it has one."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.backends.redis.backend import RedisEntries
from storage.core.backend import StoreBackend
from storage.core.store import Layer
from storage.layers.encryption import Encryption
from storage.layers.encryption import Keys
from tests.servers.available import available
from tests.servers.redis import RedisServer


@dataclass(frozen=True, slots=True)
class Place:
    """How the stores of one kind are made.

    :ivar make: an empty backend; the folder is that of the test.
    """

    make: Callable[[Path], StoreBackend]
    layers: Sequence[Layer] = ()


@contextmanager
def memory() -> Iterator[Place]:
    yield Place(lambda _: MemoryEntries())


@contextmanager
def file() -> Iterator[Place]:
    yield Place(lambda folder: FileEntries(folder / "store"))


@contextmanager
def redis() -> Iterator[Place]:
    with available(RedisServer) as server:
        numbers = count()
        yield Place(lambda _: RedisEntries(server.url, f"store {next(numbers)}", TIMEOUT))


@contextmanager
def sealed_files() -> Iterator[Place]:
    yield Place(lambda folder: FileEntries(folder / "store"), [Encryption(Keys({"a": os.urandom(32)}, "a"))])


TIMEOUT: Final = 20  # seconds; only a broken backend needs them

PLACES = {made.__name__: made for made in (memory, file, redis, sealed_files)}
