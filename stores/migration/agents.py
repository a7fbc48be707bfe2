"""Copying what agents have stored from one backend into another one: PostgreSQL, SQLite, Cosmos DB, an application.

Records are compared with those of the target before and after. So a copy may be interrupted at any moment, and
repeated: it stores what is missing. Of each record of the target, 100 bytes or so are held in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from hashlib import sha256
from typing import Final
from typing import NamedTuple

import orjson

from storage import Copied
from storage import CopyOptions
from storage.core.documents import to_json
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageSerializationError
from storage.core.errors import StorageUnsupportedError
from storage.core.keys import with_nul
from stores.agents.client import RecordsClient
from stores.agents.records.kinds import KINDS
from stores.agents.records.kinds import AgentRecord
from stores.agents.records.kinds import RecordKind

_PART: Final = 100

Told = Callable[[Copied], object]


class _Present(NamedTuple):
    """What is known about a record of the target."""

    hash: bytes
    timestamp: datetime | None

    def is_same(self, record: AgentRecord) -> bool:
        # A row of another program may have no time, and gets one when it is stored.
        return self.hash == _hash(record) and record.timestamp in {None, self.timestamp}

    def is_older(self, record: AgentRecord) -> bool:
        if record.timestamp is None:
            return False
        return self.timestamp is None or self.timestamp < record.timestamp


def copy_agents(
    source: RecordsClient,
    target: RecordsClient,
    options: CopyOptions | None = None,
    *,
    told: Told = lambda _: None,
) -> Copied:
    """Copy all states, tasks, messages and transactions; returns what was done and what was left.

    A record of the target is only replaced by one with a later time, unless ``replace`` is set. Nobody else should
    write the target meanwhile.

    :param options: those of stores; there is no ``prefix``, and ``since`` is compared with the times of the records.
    :param told: called after each part.
    :raises StorageError: if a backend cannot be reached. The same call goes on where this one has ended.
    """
    chosen = options or CopyOptions()
    if chosen.prefix:
        raise StorageUnsupportedError("prefixes", detail="the records of agents have no keys; leave the prefix out")
    copied = Copied()
    for kind in KINDS:
        _Copying(kind, source, target, chosen, copied).run(told)
    return copied


class _Copying:
    """The copy of one kind of records."""

    def __init__(
        self, kind: RecordKind, source: RecordsClient, target: RecordsClient, options: CopyOptions, copied: Copied
    ) -> None:
        self._kind = kind
        self._source = source.records
        self._target = target.records
        self._options = options
        self._copied = copied

    def run(self, told: Told) -> None:
        known = self._target.every(self._kind)
        present = {_name(self._kind, one): _Present(_hash(one), one.timestamp) for one in known}
        stored: dict[bytes, bytes] = {}
        for number, record in enumerate(self._source.every(self._kind), 1):
            name = _name(self._kind, record)
            there = present.pop(name, None)
            if self._is_meant(record) and self._is_stored(record, there):
                stored[name] = _hash(record)
            if number % _PART == 0:
                told(self._copied)
        self._copied.others += len(present)
        if stored:
            self._check(stored)
        told(self._copied)

    def _is_meant(self, record: AgentRecord) -> bool:
        since = self._options.since
        return since is None or (record.timestamp is not None and record.timestamp.replace(tzinfo=UTC) >= since)

    def _is_stored(self, record: AgentRecord, there: _Present | None) -> bool:
        """Store a record unless it is there, or is left; returns whether that was done."""
        self._copied.seen += 1
        if there is not None and there.is_same(record):
            self._copied.same += 1
        elif not (there is None or there.is_older(record) or self._options.replace):
            self._leave(record, "differs from the record in the target, which is not older; --replace overwrites it")
        elif self._options.dry_run:
            self._copied.count_moved(_size(record))
        else:
            return self._put(record, is_new=there is None)
        return False

    def _put(self, record: AgentRecord, *, is_new: bool) -> bool:
        try:
            if is_new and self._kind.name is not None:
                if not self._target.create(self._kind, record):
                    return self._leave(record, "was stored in the target by somebody else meanwhile")
            else:
                self._target.put(self._kind, [record])
        except (StorageCapacityError, StorageConflictError, StorageKeyError, StorageSerializationError) as error:
            return self._leave(record, f"could not be stored: {error}")
        return True

    def _check(self, stored: dict[bytes, bytes]) -> None:
        """Read back what was stored, and count it."""
        for record in self._target.every(self._kind):
            hashed = stored.pop(_name(self._kind, record), None)
            if hashed is None:
                continue
            if hashed == _hash(record):
                self._copied.count_moved(_size(record))
            else:
                self._leave(record, "was copied, and is another one in the target now; repeat the command")
        if stored:
            self._copied.left[f"{self._kind.table}: {len(stored):,} records"] = "were copied, and are not in the target"

    def _leave(self, record: AgentRecord, reason: str) -> bool:
        ids = "/".join(with_nul(part) for part in (record.group, record.name or record.id))
        self._copied.left[f"{self._kind.table}: {ids}"] = reason
        return False


def _name(kind: RecordKind, record: AgentRecord) -> bytes:
    """What a record is known by in every backend: rows of other programs have ids of their own."""
    parts = [record.group, record.id if kind.name is None else record.name]
    return sha256(orjson.dumps(parts)).digest()


def _hash(record: AgentRecord) -> bytes:
    return sha256(orjson.dumps(orjson.loads(to_json(record.value)), option=orjson.OPT_SORT_KEYS)).digest()


def _size(record: AgentRecord) -> int:
    return len(to_json(record.value))
