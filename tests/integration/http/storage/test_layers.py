"""The layers of an application's stores: copies are repaired, and keys rotate in the places of layers, too."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from database.core.context import as_application
from storage import Encryption
from storage import FileEntries
from storage import Mirrors
from storage import SizeTier
from storage import Store
from storage import StoreDeclaration
from storage import StoreSetup
from storage.core.layer import Layer
from tests.integration.http.storage.test_commands import run
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.http.support import wait_until
from tests.integration.migrated import migrated_sqlite
from tests.storage.layers.faulty import AT_ONCE

Declare = Callable[[Callable[[StoreSetup], list[Layer]]], None]


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Declares the store ``notes``, in files, with layers."""
    migrated_sqlite(tmp_path / "isthmus.db")

    def declare(layers: Callable[[StoreSetup], list[Layer]]) -> None:
        notes = StoreDeclaration(backend=lambda _: FileEntries(tmp_path / "notes"), layers=layers)
        monkeypatch.setattr("tests.laboratory.config.stores.STORES", {"notes": notes})

    return declare


def put(site: Site, key: str, value: object) -> None:
    with as_application():
        site.stores["notes"].put(key, value)


def test_what_a_copy_has_missed_is_repaired_by_command_and_by_the_application(tmp_path: Path, declare: Declare) -> None:
    copy, queue = (Store(FileEntries(tmp_path / name), name, AT_ONCE) for name in ("copy", "queue"))
    declare(lambda _: [Mirrors({"copy": copy}, queue)])
    # Out of reach: a file is in the place of the folder.
    (tmp_path / "copy").touch()
    with closing(make_site(tmp_path)) as site:
        put(site, "first", 1)
        left = run(site, "repair", status=1).output
        assert "notes: 0 writes repaired, 1 left" in left
        (tmp_path / "copy").unlink()
        assert run(site, "repair", "notes").output == "notes: 1 writes repaired, 0 left\n"
        assert copy.load("first") == 1
        (tmp_path / "copy").rename(tmp_path / "away")
        (tmp_path / "copy").touch()
        put(site, "second", 2)
    (tmp_path / "copy").unlink()
    (tmp_path / "away").rename(tmp_path / "copy")
    assert list(copy.keys()) == ["first"]
    with closing(make_site(tmp_path, PURGE_INTERVAL="0.01")) as site:
        wait_until(lambda: site.get("/livez").status_code == 200 and copy.exists("second"), "the copy is not repaired")


def test_keys_rotate_in_the_store_of_a_layer(tmp_path: Path, declare: Declare) -> None:
    keys = {name: f"{name}={b64encode(os.urandom(32)).decode()}" for name in ("old", "new")}

    def layers(setup: StoreSetup) -> list[Layer]:
        def sealing() -> Encryption:
            return Encryption(setup.encryption_keys())

        blobs = Store(FileEntries(tmp_path / "blobs"), "blobs", layers=[sealing()])
        return [SizeTier(blobs, 200), sealing()]

    declare(layers)

    def with_keys(*names: str) -> Site:
        return make_site(tmp_path, STORAGE_KEYS=",".join(keys[name] for name in names))

    with closing(with_keys("old")) as site:
        for number in range(3):
            put(site, f"n{number}", f"{number}" * 10 ** (number + 1))
    with closing(with_keys("new", "old")) as site:
        said = "notes, in blobs: 1 entries, 1 wrapped again\nnotes: 3 entries, 3 wrapped again\n"
        assert run(site, "rewrap").output == said
        assert run(site, "rewrap", "notes").output == said.replace("1 wrapped", "0 wrapped").replace("3 wr", "0 wr")
        assert "one encryption" in run(site, "rewrap", "notes", "--after", "a", status=2).output
    with closing(with_keys("new")) as site, as_application():
        assert [len(site.stores["notes"].load(f"n{number}")) for number in range(3)] == [10, 100, 1_000]
