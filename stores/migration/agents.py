"""Copying what agents have stored from one backend into another one: PostgreSQL, SQLite, Cosmos DB, an application.

Records are compared with those of the target before and after, a hundred at a time. So a copy may be interrupted at any
moment, and repeated: it stores what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import UTC
from hashlib import sha256
from itertools import islice
from typing import Final

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
from stores.agents.records.interface import AgentRecords
from stores.agents.records.interface import RecordReader
from stores.agents.records.kinds import KINDS
from stores.agents.records.kinds import AgentRecord
from stores.agents.records.kinds import RecordKind

_PART: Final = 100

Told = Callable[[Copied], object]


def copy_agents(
    source: RecordsClient | RecordReader,
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
    copied, reader = Copied(), source.records if isinstance(source, RecordsClient) else source
    for kind in KINDS:
        _Copying(kind, reader, target.records, chosen, copied).run(told)
    return copied


class _Copying:
    """The copy of one kind of records."""

    def __init__(
        self, kind: RecordKind, source: RecordReader, target: AgentRecords, options: CopyOptions, copied: Copied
    ) -> None:
        self._kind = kind
        self._source = source
        self._target = target
        self._options = options
        self._copied = copied

    def run(self, told: Told) -> None:
        self._copied.others += self._target.count(self._kind)
        source = self._source.every(self._kind)
        while part := list(islice(source, _PART)):
            self._copy([one for one in part if self._is_meant(one)], self._present(part))
            told(self._copied)

    def _copy(self, part: Sequence[AgentRecord], present: Mapping[bytes, AgentRecord]) -> None:
        stored = [one for one in part if self._is_stored(one, present.get(_name(self._kind, one)))]
        if stored:
            self._check(stored)

    def _present(self, part: Sequence[AgentRecord]) -> dict[bytes, AgentRecord]:
        """The records of the target with the names of these; they are not others."""
        found = {_name(self._kind, one): one for one in self._target.found(self._kind, part)}
        present = {name: found[name] for one in part if (name := _name(self._kind, one)) in found}
        self._copied.others -= len(present)
        return present

    def _is_meant(self, record: AgentRecord) -> bool:
        since = self._options.since
        return since is None or (record.timestamp is not None and record.timestamp.replace(tzinfo=UTC) >= since)

    def _is_stored(self, record: AgentRecord, there: AgentRecord | None) -> bool:
        """Store a record unless it is there, or is left; returns whether that was done."""
        self._copied.seen += 1
        if there is not None and _is_same(there, record):
            self._copied.same += 1
        elif not (there is None or _is_older(there, record) or self._options.replace):
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

    def _check(self, stored: Sequence[AgentRecord]) -> None:
        """Read back what was stored, and count it."""
        found = {_name(self._kind, one): _hash(one) for one in self._target.found(self._kind, stored)}
        for record in stored:
            if found.get(_name(self._kind, record)) == _hash(record):
                self._copied.count_moved(_size(record))
            else:
                self._leave(record, "was copied, and is another one in the target now; repeat the command")

    def _leave(self, record: AgentRecord, reason: str) -> bool:
        ids = "/".join(with_nul(part) for part in (record.group, record.name or record.id))
        self._copied.left[f"{self._kind.table}: {ids}"] = reason
        return False


def _is_same(there: AgentRecord, record: AgentRecord) -> bool:
    # A row of another program may have no time, and gets one when it is stored.
    return _hash(there) == _hash(record) and record.timestamp in {None, there.timestamp}


def _is_older(there: AgentRecord, record: AgentRecord) -> bool:
    return record.timestamp is not None and (there.timestamp is None or there.timestamp < record.timestamp)


def _name(kind: RecordKind, record: AgentRecord) -> bytes:
    """What a record is known by in every backend: rows of other programs have ids of their own."""
    parts = [record.group, record.id if kind.name is None else record.name]
    return sha256(orjson.dumps(parts)).digest()


def _hash(record: AgentRecord) -> bytes:
    return sha256(orjson.dumps(orjson.loads(to_json(record.value)), option=orjson.OPT_SORT_KEYS)).digest()


def _size(record: AgentRecord) -> int:
    return len(to_json(record.value))
