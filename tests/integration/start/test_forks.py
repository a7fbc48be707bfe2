"""A process that is forked in the middle of requests: the child waits for none of them.

What is under way in the parent goes on there alone. A lock that it holds at that moment would be held in the child for
ever, as no thread is there to release it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from api.operations.auto_migration import AutoMigration
from api.operations.health import Readiness
from api.operations.purging import Purger
from auth.errors import InvalidToken
from auth.keys.pem import locked_for_writing
from auth.keys.ring import KeyRing
from auth.keys.ring import fixed_ring
from auth.keys.ring_file import KeyringFile
from auth.sign_in.hashing import PasswordHashing
from auth.sign_in.jwks_cache import IssuerKeys
from auth.sign_in.limits import Counters
from auth.verification import TokenVerifier
from config.settings import load_settings
from config.sign_in import ExternalIssuer
from database.backends.memory import MemoryAdapter
from database.backends.memory.adapter import MemoryBackend
from database.backends.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from database.core.caching import ByteCache
from database.core.clock import utc_now
from database.core.context import Context
from database.core.operations import Operation
from database.core.result import Result
from database.core.tables.schema import Schema
from database.schema.migrations.runner import upgrade
from tests.clocks import ManualClock
from tests.clocks import WallClock
from tests.integration.forks import answer_of_child
from tests.unit.auth.forging import ISSUER
from tests.unit.auth.forging import KEY
from tests.unit.auth.forging import forge

PATIENCE = 60  # seconds; only a failure needs them


class Halt:
    """Where the parent stops until it is freed; a child goes on.

    :ivar passed: whether the child has.
    """

    def __init__(self) -> None:
        self.passed = Event()
        self._parent = os.getpid()
        self._reached, self._free = Event(), Event()

    def __call__(self) -> None:
        if os.getpid() == self._parent:
            self._reached.set()
            assert self._free.wait(PATIENCE)
        else:
            self.passed.set()

    @contextmanager
    def under_way(self, work: Callable[[], object]) -> Iterator[None]:
        """Run the block while ``work`` stands here in another thread."""
        thread = Thread(target=work)
        thread.start()
        try:
            assert self._reached.wait(PATIENCE)
            yield
        finally:
            self._free.set()
            thread.join()


halt = Halt()


@pytest.fixture(autouse=True)
def _new_halt() -> None:
    globals()["halt"] = Halt()


class HaltingBackend(MemoryBackend):
    """Stops with every operation."""

    def execute(self, operation: Operation, context: Context) -> Result:
        halt()
        return super().execute(operation, context)


class HaltingAdapter(MemoryAdapter):
    """An adapter on that backend."""

    backend_class = HaltingBackend


class HaltingText(str):
    """A token that stops when it is looked up again, which is when it is remembered."""

    __slots__ = ("looked_up",)

    def __hash__(self) -> int:
        if hasattr(self, "looked_up"):
            halt()
        self.looked_up = True
        return super().__hash__()


class HaltingHasher(PasswordHasher):
    """Stops while it hashes."""

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        halt()
        return super().hash(password, salt=salt)


class HaltingManager(ConnectionManager):
    """Stops while it is made."""

    def __init__(self) -> None:
        halt()
        super().__init__(load_settings(None, DB_ADAPTER_ORDER="memory"), {"memory": MemoryAdapter({})})


def manager() -> ConnectionManager:
    return ConnectionManager(load_settings(None, DB_ADAPTER_ORDER="memory"), {"memory": HaltingAdapter({})})


def readiness(_: Path) -> Callable[[], object]:
    return Readiness(manager())


def migration(_: Path) -> Callable[[], object]:
    return AutoMigration(manager()).start


def issuer_keys(_: Path) -> Callable[[], object]:
    def fetch(url: str, deadline: float) -> bytes:
        halt()
        return b'{"keys": []}'

    issuer = ExternalIssuer(
        name="other", issuer=ISSUER, audience="us", jwks_url=f"{ISSUER}/keys", algorithms=("ES256",)
    )
    keys = IssuerKeys(issuer, fetch)

    def unknown() -> None:
        with pytest.raises(InvalidToken):
            keys.key("unknown", "ES256")

    return unknown


def key_ring(folder: Path) -> Callable[[], object]:
    file = KeyringFile(folder / "keys.json", None, setting="JWT_KEYRING_FILE", production=False)

    def make() -> None:
        halt()
        file.prepare(lambda: KEY, utc_now)

    ring = KeyRing(file, make=make)
    return lambda: ring.current


def verifier(_: Path) -> Callable[[], object]:
    clock = WallClock()
    made = TokenVerifier(fixed_ring(KEY, now=clock), issuer=ISSUER, audience="authenticated", leeway=0, now=clock)
    return lambda: made.verify(HaltingText(forge()))


def hashing(_: Path) -> Callable[[], object]:
    made = PasswordHashing(HaltingHasher(time_cost=1, memory_cost=8, parallelism=1), most_waiting=0)
    return lambda: made.hash("a password")


def counters(_: Path) -> Callable[[], object]:
    made = Counters(None)

    def counted(strategy: Any) -> None:
        with strategy.storage.locks["somebody"]:
            halt()

    return lambda: made.ask(counted)


def cache(_: Path) -> Callable[[], object]:
    made: ByteCache[int] = ByteCache(1 << 20)

    class Key:
        def __hash__(self) -> int:
            halt()
            return 1

    return lambda: made.put(Key(), 1, 1)


def instance(_: Path) -> Callable[[], object]:
    # The application of an earlier test may have offered its manager to all classes.
    HaltingManager.set_instance(None)
    return HaltingManager.get_instance


def upgrades(folder: Path) -> Callable[[], object]:
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "halting.py").write_text(
        f"from {__name__} import halt_here as upgrade\nrevision, down_revision = 'halting', None\n"
    )
    schema = Schema.of(sa.MetaData(), migrations=folder / "migrations")
    return lambda: upgrade(SQLiteAdapter({"path": folder / f"{os.getpid()}.db"}, schema))


def halt_here() -> None:
    """Stop in a migration."""
    halt()


@pytest.mark.parametrize(
    "make",
    [readiness, migration, issuer_keys, key_ring, verifier, hashing, counters, cache, instance, upgrades],
    ids=lambda make: make.__name__,
)
def test_a_child_does_not_wait_for_what_its_parent_does(
    make: Callable[[Path], Callable[[], object]], tmp_path: Path
) -> None:
    work = make(tmp_path)

    def in_child() -> str:
        work()
        return "done"

    with halt.under_way(work):
        assert answer_of_child(in_child) == "done"


def test_a_child_purges_though_its_parent_does() -> None:
    clock = ManualClock()
    owner = manager()
    purger = Purger(owner, clock)

    def begin() -> None:
        clock.now += owner.settings.purge_interval
        purger.before_request()

    def in_child() -> str:
        begin()
        return f"purged: {halt.passed.wait(PATIENCE)}"

    with halt.under_way(begin):
        assert answer_of_child(in_child) == "purged: True"


def test_a_child_does_not_keep_the_file_of_the_keys_locked(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    receiving, sending = os.pipe()
    with locked_for_writing(path):
        child = os.fork()
        if child == 0:
            os.close(sending)
            os.read(receiving, 1)
            os._exit(0)
    try:
        descriptor = os.open(tmp_path / ".keys.json.lock", os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
    finally:
        os.close(sending)
        os.waitpid(child, 0)
        os.close(receiving)
