"""The backend of Redis: each change is one script, so that it is atomic and needs one round trip."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from typing import ClassVar
from typing import Final
from typing import cast

import orjson
from redis.commands.core import Script
from redis.exceptions import NoScriptError

from database.core.clock import utc_now
from database.core.context import Context
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Batch
from database.core.operations import Ping
from storage.backends.about import about
from storage.backends.about import from_about
from storage.backends.redis.connection import KIND
from storage.backends.redis.connection import READING
from storage.backends.redis.connection import WRITING
from storage.backends.redis.connection import answer
from storage.backends.redis.connection import client_of
from storage.core.backend import StoreBackend
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import ABSENT
from storage.core.entry import Stored
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import changed
from storage.core.keys import after_all
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan

_FOLDER: Final = Path(__file__).parent
_PUT: Final = (_FOLDER / "put.lua").read_text()
_REMOVE: Final = (_FOLDER / "remove.lua").read_text()
_FORGET: Final = (_FOLDER / "forget.lua").read_text()
_ANY: Final = b"*"
_HEAD: Final = ["about"]
_WHOLE: Final = [*_HEAD, "body"]


class RedisEntries(StoreBackend):
    """Hashes, and a sorted set with their keys.

    How durable they are is decided by the server: with ``appendfsync always`` an acknowledged write survives a crash.

    :param url: such as ``redis://:password@localhost:6379/0``; ``rediss://`` for TLS.
    :param store: the name by which the entries of this store are told from others; also the part of the names that
        decides on the node of a cluster.
    :param timeout: seconds for a connection, and for each answer.
    """

    kind: ClassVar[str] = KIND
    capabilities = StoreCapabilities(batches=True, expiry="itself")

    def __init__(self, url: str, store: str = "default", timeout: float = 5.0) -> None:
        self._url = url
        self._timeout = timeout
        self._store = store
        # Bytes, which are sent as they are; the client looks at the type of all else.
        self._prefix = f"isthmus:{{{store}}}:".encode()
        self._index = self._prefix + b"keys"
        self._create_runtime_state()
        rebuild_after_fork(self, RedisEntries._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._client = client_of(self._url, self._timeout)
        self._put = self._client.register_script(_PUT)
        self._remove = self._client.register_script(_REMOVE)
        self._forget = self._client.register_script(_FORGET)

    def put(self, put: Put, context: Context) -> None:
        self._put_all([put])

    def batch(self, batch: Batch, context: Context) -> list[Any]:
        puts = [part for part in batch.operations if isinstance(part, Put)]
        if len(puts) != len(batch.operations):
            raise StorageUnsupportedError("other operations than puts in a batch", backend=self.kind)
        self._put_all(puts)
        return [None] * len(puts)

    def fetch(self, fetch: Fetch, context: Context) -> Stored | None:
        with READING:
            found = answer(self._client, "HMGET", self._name(fetch.key), *(_HEAD if fetch.head else _WHOLE))
        return _stored(fetch.key, found)

    def fetch_many(self, fetch: FetchMany, context: Context) -> list[Stored]:
        return self._entries(fetch.keys, _WHOLE)

    def remove(self, remove: Remove, context: Context) -> bool:
        expected = _ANY if remove.expected is None else remove.expected.encode()
        with WRITING:
            found = self._called(
                self._remove, [self._index, self._name(remove.key)], [_milliseconds(remove.now), remove.key, expected]
            )
        if found < 0:
            raise changed(remove.key, absent=False, backend=self.kind)
        return bool(found)

    def scan(self, scan: Scan, context: Context) -> list[Stored]:
        found: list[Stored] = []
        after = scan.after
        while True:
            wanted = scan.limit - len(found)
            keys = self._keys_behind(scan.prefix, after, wanted)
            found += self._entries(keys, _WHOLE if scan.bodies else _HEAD)
            if len(keys) < wanted or len(found) == scan.limit:
                return found
            after = keys[-1]

    def ping(self, ping: Ping, context: Context) -> None:
        with READING:
            self._client.ping()

    def close(self) -> None:
        self._client.close()

    def describe(self) -> Mapping[str, Any]:
        settings = self._client.connection_pool.connection_kwargs
        where: dict[str, Any] = {name: settings[name] for name in ("host", "port", "db") if name in settings}
        return {**where, "store": self._store}

    def _name(self, key: str) -> bytes:
        return b"%sentry:%s" % (self._prefix, key.encode())

    def _put_all(self, puts: Sequence[Put]) -> None:
        arguments: list[bytes] = []
        for put in puts:
            entry = put.entry
            arguments += [entry.etag.encode(), orjson.dumps(about(entry)), entry.body]
        conditional = [put for put in puts if put.expected is not None or put.entry.expires_at is not None]
        if conditional:
            arguments += _conditions(puts)
        with WRITING:
            refused = self._called(self._put, [self._index, *[self._name(put.entry.key) for put in puts]], arguments)
        if refused:
            put = puts[refused - 1]
            raise changed(put.entry.key, absent=put.expected == ABSENT, backend=self.kind)

    def _called(self, script: Script, keys: Sequence[bytes], args: Sequence[str | bytes | int]) -> int:
        """The answer of a script, which nearly always is there already: calling it by its name costs less."""
        try:
            return int(answer(self._client, b"EVALSHA", script.sha.encode(), b"%d" % len(keys), *keys, *args))
        except NoScriptError:
            return cast("int", script(keys=keys, args=args))

    def _keys_behind(self, prefix: str, after: str | None, limit: int) -> list[str]:
        """The next keys of the index, in order: Redis compares bytes, which for UTF-8 is the order of code points."""
        first = f"({after}" if after is not None and after >= prefix else f"[{prefix}" if prefix else "-"
        end = after_all(prefix)
        with READING:
            found = self._client.zrangebylex(self._index, first, "+" if end is None else f"({end}", 0, limit)
        return [key.decode() for key in cast("list[bytes]", found)]

    def _entries(self, keys: Sequence[str], fields: list[str]) -> list[Stored]:
        """The entries of these keys. Those that Redis has deleted because they expired leave the index."""
        with READING, self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.execute_command("HMGET", self._name(key), *fields)  # type: ignore[no-untyped-call]
            found = {key: _stored(key, values) for key, values in zip(keys, pipeline.execute(), strict=True)}
            if gone := [key for key, entry in found.items() if entry is None]:
                self._forget(keys=[self._index, *map(self._name, gone)], args=gone)
        return [entry for entry in found.values() if entry is not None]


def _conditions(puts: Sequence[Put]) -> Iterator[bytes]:
    """The time, and what is expected of each entry, and when it expires."""
    yield b"%d" % _milliseconds(puts[0].entry.stored_at)
    for put in puts:
        yield _ANY if put.expected is None else put.expected.encode()
        yield b"" if put.entry.expires_at is None else b"%d" % _milliseconds(put.entry.expires_at)


def _stored(key: str, found: Sequence[bytes | None]) -> Stored | None:
    known, *body = found
    if known is None:
        return None
    try:
        return from_about(orjson.loads(known), (body[0] or b"") if body else b"")
    except ValueError:
        return Stored.damaged(key, "its hash in Redis is damaged", utc_now())


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
