"""Writers in processes of their own: ``python -m tests.storage.writers count_up 40``, with a recipe as its input."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any
from typing import Final

from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.core.chance import chance
from database.core.clock import monotonic
from database.core.tables.schema import Schema
from storage.backends.file.backend import FileEntries
from storage.backends.table import TableEntries
from storage.core.backend import StoreBackend
from storage.core.errors import StorageConflictError
from storage.core.store import Store
from storage.layers.encryption import Encryption
from storage.layers.encryption import Keys
from storage.layers.encryption import Rewrapping
from storage.layers.encryption import rewrap
from storage.layers.fallback.stage import Fallback
from storage.layers.mirror.stage import Mirrors
from storage.layers.size_tier import SizeTier

Recipe = Callable[[], StoreBackend | Store]
"""Makes a backend, or a store with layers, in any process, because it can be pickled."""

_DOUBLINGS: Final = 5
LENGTH = 2_000


def table_entries(kind: type[DatabaseAdapter], config: Mapping[str, Any], store: str) -> TableEntries:
    """The entries of a store in the database that an adapter of this kind reaches."""
    return TableEntries(kind(config, Schema.of(internal_tables.metadata)), store)


def _mirrored(folder: Path) -> Store:
    blobs, copy, queue = (Store(FileEntries(folder / name)) for name in ("blobs", "copy", "queue"))
    layers = [SizeTier(blobs, 1_000, grace=0), Mirrors({"copy": copy}, queue)]
    return Store(FileEntries(folder / "main"), layers=layers)


def mirrored(folder: Path) -> Callable[[], Store]:
    """A store of files with a copy, and another store for their values."""
    return partial(_mirrored, folder)


def _out_of_reach(folder: Path) -> Store:
    return Store(FileEntries(folder / "main"), layers=[Fallback(Store(FileEntries(folder / "pending")))])


def out_of_reach(folder: Path) -> Callable[[], Store]:
    """A store with a fallback. It cannot be reached as long as ``main`` in the folder is a file."""
    return partial(_out_of_reach, folder)


def _sealed(folder: Path, keys: Mapping[str, bytes], current: str) -> Store:
    return Store(FileEntries(folder), layers=[Encryption(Keys(keys, current))])


def sealed(folder: Path, keys: Mapping[str, bytes], current: str) -> Callable[[], Store]:
    """A store of encrypted files."""
    return partial(_sealed, folder, keys, current)


def store_of(recipe: Recipe) -> Store:
    """The store that a recipe makes."""
    made = recipe()
    return made if isinstance(made, Store) else Store(made)


def count_up(store: Store, times: int) -> None:
    """Increment the counter; somebody else does so at the same time.

    Who was not the first one waits for longer and longer: otherwise, of many at once, nearly all work is for nothing.
    """
    for _ in range(times):
        for attempt in count():
            began, entry = monotonic(), store.entry("counter")
            try:
                store.put("counter", entry.value + 1, expected=entry.etag)
            except StorageConflictError:
                sleep(chance() * (monotonic() - began) * 2 ** min(attempt, _DOUBLINGS))
                continue
            break


def write_on(store: Store, keys: int) -> None:
    """Store one number after another under a few keys, and print each when it is acknowledged."""
    for number in count():
        store.put(f"key {number % keys}", [number] * LENGTH)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def rotate(store: Store, _: int) -> None:
    """Rotate the keys of an encrypted store, and print how many entries were seen after each part."""

    def told(state: Rewrapping) -> None:
        sys.stdout.write(f"{state.seen}\n")
        sys.stdout.flush()

    (encryption,) = store.layers
    assert isinstance(encryption, Encryption)
    rewrap(encryption.behind, encryption, told=told)


@contextmanager
def writer(work: Callable[[Store, int], None], number: int, recipe: Recipe) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does the work; it is waited for."""
    command = (sys.executable, "-m", __name__, work.__name__, str(number))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(pickle.dumps(recipe))
        process.stdin.close()
        yield process


if __name__ == "__main__":
    {"count_up": count_up, "write_on": write_on, "rotate": rotate}[sys.argv[1]](
        store_of(pickle.load(sys.stdin.buffer)),  # noqa: S301 - from the test that has begun the process
        int(sys.argv[2]),
    )
