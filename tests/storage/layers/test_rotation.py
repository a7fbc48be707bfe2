"""Keys rotate while entries are read and written, though the rotation is killed: none is lost or left.

``ROTATED_VALUES`` is their number; then it is killed twice.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any
from typing import Final

from database.core.operations import Operation
from storage import Encryption
from storage import Keys
from storage import MemoryEntries
from storage import SizeTier
from storage import Store
from storage import rewrap
from storage.core.layer import layers_within
from storage.core.operations import Fetch
from storage.core.operations import Put
from tests.storage.layers.faulty import Faulty
from tests.storage.writers import rotate
from tests.storage.writers import sealed
from tests.storage.writers import writer

VALUES: Final = int(os.environ.get("ROTATED_VALUES", "150"))
KILLS: Final = 2 if "ROTATED_VALUES" in os.environ else 1
OLD, NEW = os.urandom(32), os.urandom(32)
BOTH: Final = {"old": OLD, "new": NEW}


def read_and_write(store: Store, ended: Event) -> dict[str, Any]:
    """Replace one entry after another, and read others meanwhile; what was stored last."""
    last: dict[str, Any] = {}
    turn = 0
    while not ended.is_set():
        turn += 1
        key, other = f"{turn * 7 % VALUES:06}", f"{turn * 13 % VALUES:06}"
        store.put(key, [turn])
        last[key] = [turn]
        assert store.load(other) == last.get(other, 0)
    return last


def test_a_rotation_that_is_killed_goes_on_while_others_read_and_write(tmp_path: Path) -> None:
    before, recipe = sealed(tmp_path, {"old": OLD}, "old")(), sealed(tmp_path, BOTH, "new")
    for number in range(VALUES):
        before.put(f"{number:06}", 0)
    ended = Event()
    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(read_and_write, recipe(), ended)
        try:
            for _ in range(KILLS):
                with writer(rotate, 0, recipe) as process:
                    assert process.stdout is not None
                    assert process.stdout.readline() == b"100\n"
                    process.kill()
            with writer(rotate, 0, recipe) as process:
                assert process.stdout is not None
                seen = process.stdout.read().split()
            assert (process.returncode, seen[-1]) == (0, b"%d" % VALUES)
        finally:
            ended.set()
    expected = {f"{number:06}": 0 for number in range(VALUES)} | written.result()
    rotated = sealed(tmp_path, {"new": NEW}, "new")()
    assert {entry.key: entry.value for entry in rotated.found({})} == expected


def test_what_is_rotated_is_not_read_again() -> None:
    place = Faulty(MemoryEntries())
    asked: list[Operation] = []
    store = Store(place, layers=[Encryption(Keys({"old": OLD}, "old"))])
    for number in range(150):
        store.put(f"{number:03}", number)
    encryption = Encryption(Keys(BOTH, "new"))
    Store(place, layers=[encryption])
    assert rewrap(encryption.behind, encryption, after="099").done == 50
    place.before = asked.append
    assert rewrap(encryption.behind, encryption).done == 100
    assert [len([one for one in asked if isinstance(one, kind)]) for kind in (Fetch, Put)] == [100, 100]


def test_the_places_of_layers_are_found() -> None:
    blobs = Store(MemoryEntries(), "blobs", layers=[Encryption(Keys({"old": OLD}, "old"))])
    store = Store(MemoryEntries(), "notes", layers=[SizeTier(blobs, 10), Encryption(Keys({"old": OLD}, "old"))])
    found = [(place.name, type(layer)) for place, layer in layers_within(store)]
    assert found == [("notes", SizeTier), ("blobs", Encryption), ("notes", Encryption)]
