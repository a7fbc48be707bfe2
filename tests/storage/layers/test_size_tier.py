"""The size tier: nothing that was acknowledged is lost, and what is left over is swept."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from config.settings import load_settings
from database import flask_scope
from database import internal_tables
from database.backends.memory import MemoryAdapter
from database.backends.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from database.core.context import SERVICE
from database.core.operations import Operation
from database.core.tables.schema import Schema
from storage import Encryption
from storage import FileEntries
from storage import Keys
from storage import MemoryEntries
from storage import StorageCapacityError
from storage import StorageConfigurationError
from storage import StorageConflictError
from storage import StorageConnectionError
from storage import StorageCorruptError
from storage import StorageOutcomeUnknown
from storage import Store
from storage import TableEntries
from storage.core.capabilities import StoreCapabilities
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.layers.size_tier import SizeTier
from tests.clocks import WallClock
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over

LARGE = b"0123456789" * 500
GRACE = 100


class Tiered:
    """A store with a size tier, and its places."""

    def __init__(self) -> None:
        self.clock = WallClock()
        self.rows, self.bodies = Faulty(), Faulty()
        self.blobs = over(self.bodies, clock=self.clock)
        self.tier = SizeTier(self.blobs, 1_000, grace=GRACE)
        self.store = over(self.rows, self.tier, clock=self.clock)

    def swept(self) -> int:
        """How many blobs are left when all that may be swept is."""
        self.clock.advance(GRACE)
        self.store.sweep()
        return self.blobs.count()


@pytest.fixture
def tiered() -> Tiered:
    return Tiered()


def test_the_threshold_is_one_of_bytes(tiered: Tiered) -> None:
    for key, value in {"small": b"x" * 1_000, "large": b"x" * 1_001, "text": "é" * 600}.items():
        tiered.store.put(key, value)
    assert tiered.blobs.count() == 2
    assert [len(tiered.store.load(key)) for key in ("small", "large", "text")] == [1_000, 1_001, 600]
    assert [entry.size for entry in tiered.store.page().entries] == [1_001, 1_000, 1_202]


def test_a_preview_is_read_without_the_blob(tiered: Tiered) -> None:
    put = tiered.store.put("large", LARGE, metadata={"m": 1}, media_type="text/plain")
    tiered.store.put("small", [1, 2])
    with tiered.bodies.down():
        assert tiered.store.preview("large") == LARGE[:1024]
        assert tiered.store.preview("small") == b"[1,2]"
        assert tiered.store.preview("missing") is None
        head = tiered.store.head("large")
        assert head is not None
        assert (head.etag, head.size, head.metadata, head.media_type) == (put.etag, 5_000, {"m": 1}, "text/plain")
        with pytest.raises(StorageConnectionError):
            tiered.store.load("large")


def test_equal_bodies_are_one_blob(tiered: Tiered) -> None:
    for key in "ab":
        tiered.store.put(key, LARGE)
    assert tiered.blobs.count() == 1
    tiered.store.delete("a")
    assert tiered.swept() == 1
    assert tiered.store.load("b") == LARGE
    tiered.store.put("b", b"small")
    assert tiered.swept() == 0


def test_a_refused_write_takes_its_blob_with_it(tiered: Tiered) -> None:
    tiered.store.put("key", 1)
    with pytest.raises(StorageConflictError):
        tiered.store.put("key", LARGE, if_absent=True)
    with tiered.rows.down(), pytest.raises(StorageConnectionError):
        tiered.store.put("key", LARGE)
    tiered.store.put("other", LARGE)
    with pytest.raises(StorageConflictError):
        tiered.store.put("key", LARGE, if_absent=True)
    assert tiered.store.load("other") == LARGE
    assert tiered.blobs.count() == 1


def test_without_the_blobs_nothing_is_stored(tiered: Tiered) -> None:
    tiered.store.put("key", 1)
    with tiered.bodies.down(), pytest.raises(StorageConnectionError):
        tiered.store.put("key", LARGE)
    assert tiered.store.load("key") == 1


def test_a_write_of_unknown_outcome_keeps_its_blob(tiered: Tiered) -> None:
    with tiered.rows.losing_answers(), pytest.raises(StorageOutcomeUnknown):
        tiered.store.put("key", LARGE)
    assert tiered.store.load("key") == LARGE


def test_a_write_that_was_killed_between_its_two_loses_nothing(tiered: Tiered) -> None:
    tiered.store.put("key", "before" * 1_000)

    def killed(operation: Operation) -> None:
        raise KeyboardInterrupt

    tiered.rows.before = killed
    with pytest.raises(KeyboardInterrupt):
        tiered.store.put("key", LARGE)
    tiered.rows.heal()
    assert tiered.store.load("key") == "before" * 1_000
    assert tiered.blobs.count() == 2
    tiered.store.sweep()
    assert tiered.blobs.count() == 2  # it could be the one of a transaction that is still open
    assert tiered.swept() == 1
    assert tiered.store.load("key") == "before" * 1_000


def test_a_blob_that_is_stored_again_while_orphans_are_swept_is_kept(tiered: Tiered) -> None:
    tiered.store.put("gone", LARGE)
    tiered.store.delete("gone")
    tiered.clock.advance(GRACE)

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, Remove):
            tiered.bodies.heal()
            tiered.store.put("new", LARGE)

    tiered.bodies.before = meanwhile
    tiered.store.sweep()
    assert tiered.store.load("new") == LARGE


def test_a_damaged_entry_stops_the_sweep_of_blobs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, blobs = WallClock(), Store(MemoryEntries())
    store = Store(FileEntries(tmp_path), clock=clock, layers=[SizeTier(blobs, 1_000, grace=0)])
    store.put("key", LARGE)
    text = (tmp_path / "key").read_bytes()
    (tmp_path / "key").write_bytes(text[:-10])
    clock.advance(1)
    store.sweep()
    assert "no blobs are swept" in caplog.text
    (tmp_path / "key").write_bytes(text)
    assert store.load("key") == LARGE


def test_an_entry_that_is_replaced_while_it_is_read(tiered: Tiered) -> None:
    tiered.store.put("key", LARGE)

    def meanwhile(operation: Operation) -> None:
        if not isinstance(operation, Put):
            tiered.bodies.heal()
            tiered.store.put("key", LARGE[1:])
            tiered.swept()

    reads: list[Callable[[], Any]] = [lambda: tiered.store.load("key"), lambda: tiered.store.find({})[0].value]
    for read in reads:
        tiered.bodies.before = meanwhile
        assert read() == LARGE[1:]
        tiered.store.put("key", LARGE)


def test_a_blob_that_is_gone_or_another_one(tiered: Tiered) -> None:
    tiered.store.put("key", LARGE)
    (blob,) = tiered.blobs.page().entries
    tiered.blobs.put(blob.key, b"something else")
    with pytest.raises(StorageCorruptError, match="another one"):
        tiered.store.load("key")
    tiered.blobs.delete(blob.key)
    with pytest.raises(StorageCorruptError, match="missing"):
        tiered.store.load("key")
    tiered.store.put("key", LARGE)
    assert tiered.store.load("key") == LARGE


def test_stores_that_share_a_store_for_blobs(tiered: Tiered) -> None:
    stores = [
        Store(MemoryEntries(), clock=tiered.clock, layers=[SizeTier(tiered.blobs, 10, space=space, grace=0)])
        for space in ("a", "a/b", "")
    ]
    for store in stores:
        store.put("key", LARGE)
    tiered.clock.advance(1)
    for store in stores:
        store.sweep()
    assert [store.load("key") for store in stores] == [LARGE] * 3
    stores[0].delete("key")
    stores[0].sweep()
    assert tiered.blobs.count() == 2


def test_the_largest_value_is_that_of_the_blobs() -> None:
    small = MemoryEntries()
    small.capabilities = StoreCapabilities(largest=2_000)
    store = Store(small, layers=[SizeTier(Store(MemoryEntries()), 1_000)])
    store.put("key", LARGE)
    with pytest.raises(StorageCapacityError):
        store.put("key", b"x" * (store.capabilities.largest + 1))
    with pytest.raises(StorageConfigurationError, match="threshold"):
        Store(small, layers=[SizeTier(Store(MemoryEntries()), 2_001)])


def test_no_file_of_an_encrypted_stack_has_a_word_of_a_value(tmp_path: Path) -> None:
    encryption = [Encryption(Keys({"a": b"k" * 32}, "a")) for _ in range(2)]
    blobs = Store(FileEntries(tmp_path / "blobs"), layers=[encryption[0]])
    store = Store(FileEntries(tmp_path / "rows"), layers=[SizeTier(blobs, 1_000, secret=b"s"), encryption[1]])
    store.put("key", "canary" * 1_000)
    assert store.load("key") == "canary" * 1_000
    assert store.preview("key") == b'"' + ("canary" * 1_000)[:1023].encode()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len([text for text in files if b"etag" in text]) == 2
    assert b"canary" not in b"".join(files)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ConnectionManager]:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/rows.db", poolclass=sa.NullPool)
    internal_tables.metadata.create_all(engine)
    engine.dispose()
    schema = Schema.of(internal_tables.metadata)
    adapter = SQLiteAdapter({"path": f"{tmp_path}/rows.db", "synchronous": "normal"}, schema)
    made = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})
    yield made
    made.disconnect()


def test_a_request_that_is_rolled_back_leaves_no_blob(manager: ConnectionManager, tmp_path: Path) -> None:
    blobs = Store(FileEntries(tmp_path / "blobs"))
    store = Store(TableEntries(manager), layers=[SizeTier(blobs)])
    app = Flask(__name__)
    flask_scope.init_app(app, manager, caller=SERVICE)
    shared = b"shared" * 100_000

    @app.post("/<int:status>")
    def keep(status: int) -> tuple[str, int]:
        value = b"%d" % status * 100_000
        store.put(f"key {status}", value)
        store.put("shared", shared)
        assert (store.load(f"key {status}"), store.load("shared")) == (value, shared)
        return "", status

    client = app.test_client()
    assert client.post("/400").status_code == 400
    assert (store.count(), blobs.count()) == (0, 0)
    assert client.post("/200").status_code == 200
    assert client.post("/409").status_code == 409
    assert list(store.keys()) == ["key 200", "shared"]
    assert blobs.count() == 2
    assert (len(store.load("key 200")), store.load("shared")) == (300_000, shared)


def test_a_request_that_is_rolled_back_keeps_the_blob_of_a_store_that_does_not_join(tiered: Tiered) -> None:
    app = Flask(__name__)
    adapter = MemoryAdapter(schema=Schema.of(internal_tables.metadata))
    manager = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})
    flask_scope.init_app(app, manager, caller=SERVICE)

    @app.post("/")
    def keep() -> tuple[str, int]:
        tiered.store.put("key", LARGE)
        return "", 400

    assert app.test_client().post("/").status_code == 400
    assert tiered.store.load("key") == LARGE
    manager.disconnect()
