"""Records of agents in four containers of Cosmos DB, with an item for each record.

An item has the columns of the documented tables, and ``place``, by which the items of a group are in their order. The
partition key of a container is the column by which its records belong together: so a history is read from one
partition, and several transactions of a case are stored together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any
from typing import Final

from database.core.lifecycle import rebuild_after_fork
from database.resilience.repetition import repeated
from database.resilience.settings import ResilienceSettings
from storage.backends.cosmos.account import CosmosConnections
from storage.backends.cosmos.account import Item
from storage.backends.cosmos.account import Opening
from storage.backends.cosmos.container import MOST_TOGETHER
from storage.backends.cosmos.container import Container
from storage.backends.cosmos.container import check_batch
from storage.backends.cosmos.errors import KIND
from storage.core.errors import StorageCorruptError
from storage.core.errors import StorageTransactionConflict
from stores.agents.records.cosmos_calls import CosmosCalls
from stores.agents.records.interface import AgentRecords
from stores.agents.records.interface import Change
from stores.agents.records.interface import Place
from stores.agents.records.kinds import KINDS
from stores.agents.records.kinds import AgentRecord
from stores.agents.records.kinds import RecordKind
from stores.agents.records.kinds import named_id
from stores.agents.records.kinds import row_id
from stores.agents.records.moments import moments
from stores.agents.records.values import from_document
from stores.agents.records.values import to_document

_PAGE: Final = "SELECT * FROM c WHERE c.place > @after ORDER BY c.place"
_NOT_IN_IDS: Final = re.compile(r"[/\\?#]")
_AT_ONCE: Final = 1_000
_FEWER: Final = (
    "save them in several calls, each of which is all or none, and give each a transaction_id, so that a call that is"
    " repeated adds nothing twice"
)


class CosmosRecords(AgentRecords):
    """Items of four containers, which are made with their database if they are missing.

    :param url: of the account.
    :param credential: the account's key, or a credential of ``azure.identity``.
    :param database: its name.
    :param containers: the names of the containers by the names of the tables, where they differ.
    :param settings: timeouts, retries and circuit breaker of the calls.
    :param regions: the regions of the account to which reads are sent, and ``autoscale`` the throughput of containers
        that are made, as for :class:`~storage.CosmosEntries`.
    """

    def __init__(
        self,
        url: str,
        credential: Any,
        database: str,
        containers: Mapping[str, str],
        settings: ResilienceSettings | None = None,
        *,
        regions: Sequence[str] = (),
        autoscale: int | None = None,
    ) -> None:
        self._where = url, credential, database
        self._regions, self._autoscale = regions, autoscale
        self._containers = containers
        self._settings = settings or ResilienceSettings()
        self._create_runtime_state()
        rebuild_after_fork(self, CosmosRecords._create_runtime_state)

    def _create_runtime_state(self) -> None:
        url, credential, database = self._where
        account = CosmosConnections(url, credential, self._settings.timeout or 60, self._regions)
        self._openings = {
            kind: Opening(
                account,
                database,
                self._containers.get(kind.table, kind.table),
                kind.group,
                indexed=_without_index_on(kind.value),
                autoscale=self._autoscale,
            )
            for kind in KINDS
        }
        self._calls = CosmosCalls(self._openings[KINDS[0]], self._settings)
        self._call = self._calls.call

    def open(self) -> None:
        """Open the containers, and make those that are missing."""
        for opening in self._openings.values():
            self._call(opening.opened)

    def put(self, kind: RecordKind, records: Sequence[AgentRecord]) -> None:
        items = [_item(kind, one) for one in records]
        container = self._container(kind, records[0].group)
        if len(items) == 1:
            self._call(lambda: container.upsert(items[0]))
            return
        check_batch(items, kind.table, _FEWER)
        self._call(lambda: container.batch([("upsert", (item,)) for item in items]))

    def create(self, kind: RecordKind, record: AgentRecord) -> bool:
        container, item = self._container(kind, record.group), _item(kind, record)
        return self._call(lambda: container.create(item), again=False)

    def value(self, kind: RecordKind, group: str, name: str) -> Any:
        container = self._container(kind, group)
        item = self._call(lambda: container.get(named_id(group, name)))
        return None if item is None else _value(kind, item)

    def change(self, kind: RecordKind, group: str, name: str, change: Change) -> Any:
        container, id_ = self._container(kind, group), named_id(group, name)

        def attempt() -> Any:
            present = self._call(lambda: container.get(id_))
            value = change(None if present is None else _value(kind, present))
            item = _item(kind, AgentRecord(id_, group, name, value, moments.of(value)))
            if present is None:
                done = self._call(lambda: container.create(item), again=False)
            else:
                done = self._call(lambda: container.replace(item, present["_etag"]), again=False)
            if not done:
                raise StorageTransactionConflict(f"somebody else has changed the {kind.value} meanwhile; retry")
            return value

        return repeated(attempt)

    def page(self, kind: RecordKind, group: str, after: Place | None, limit: int) -> list[AgentRecord]:
        container, behind = self._container(kind, group), {"@after": "" if after is None else _at(*after)}
        items = self._call(lambda: list(islice(container.query(_PAGE, behind, limit), limit)))
        return [_record(kind, item) for item in items]

    def every(self, kind: RecordKind) -> Iterator[AgentRecord]:
        return (_record(kind, item) for item in self._calls.items(self._openings[kind]))

    def found(self, kind: RecordKind, records: Sequence[AgentRecord]) -> list[AgentRecord]:
        items = (self._call(partial(self._container(kind, one.group).get, _item_id(kind, one))) for one in records)
        return [_record(kind, item) for item in items if item is not None]

    def count(self, kind: RecordKind) -> int:
        return sum(1 for _ in self.every(kind))

    def delete(self, kind: RecordKind, group: str, name: str | None = None) -> int:
        container = self._container(kind, group)
        if name is not None:
            return int(self._call(lambda: container.delete(named_id(group, name)), again=False))
        ids = self._call(lambda: [item["id"] for item in container.query("SELECT c.id FROM c", {}, _AT_ONCE)])
        for first in range(0, len(ids), MOST_TOGETHER):
            self._delete_all(container, ids[first : first + MOST_TOGETHER])
        return len(ids)

    def delete_before(self, kind: RecordKind, moment: datetime) -> int:
        old = (one for one in self.every(kind) if one.timestamp is not None and one.timestamp < moment)
        return sum(self._call(partial(self._container(kind, one.group).delete, one.id)) for one in old)

    def close(self) -> None:
        self._calls.close()
        for opening in self._openings.values():
            opening.close()

    def _delete_all(self, container: Container, ids: Sequence[str]) -> None:
        if not self._call(lambda: container.batch([("delete", (id_,)) for id_ in ids])):
            # Somebody else has deleted one of them.
            for id_ in ids:
                self._call(partial(container.delete, id_))

    def _container(self, kind: RecordKind, group: str) -> Container:
        return Container(self._openings[kind], group)


def _without_index_on(field: str) -> dict[str, Any]:
    excluded = [{"path": f"/{field}/*"}]
    return {"indexingMode": "consistent", "includedPaths": [{"path": "/*"}], "excludedPaths": excluded}


def _at(timestamp: datetime | None, id_: str) -> str:
    return f"{'' if timestamp is None else timestamp.isoformat(timespec='microseconds')} {id_}"


def _item(kind: RecordKind, record: AgentRecord) -> Item:
    at = _at(record.timestamp, record.id)
    item = {"id": _item_id(kind, record), kind.group: record.group, "place": at, "timestamp": at.partition(" ")[0]}
    if kind.name is not None:
        item[kind.name] = record.name or ""
    # The numbers of Cosmos DB are doubles.
    return item | {kind.value: to_document(record.value, kind.value, doubles=True)}


def _item_id(kind: RecordKind, record: AgentRecord) -> str:
    """The id by which an item is found, whatever the id of its row was elsewhere."""
    if kind.name is not None:
        return named_id(record.group, record.name or "")
    # An id that another program has given may have characters that those of items cannot have.
    return row_id(record.id) if _NOT_IN_IDS.search(record.id) else record.id


def _value(kind: RecordKind, item: Item) -> Any:
    """The value of an item. :raises StorageCorruptError: if another program has made it, or spoiled it."""
    if kind.value not in item:
        raise StorageCorruptError(str(item.get("id")), f"its item has no {kind.value}", backend=KIND)
    return from_document(item[kind.value])


def _record(kind: RecordKind, item: Item) -> AgentRecord:
    """The record of an item. :raises StorageCorruptError: as :func:`_value`."""
    value, at = _value(kind, item), item.get("timestamp")
    try:
        timestamp = datetime.fromisoformat(at) if at else None
        name = None if kind.name is None else item[kind.name]
    except (KeyError, TypeError, ValueError) as error:
        raise StorageCorruptError(str(item.get("id")), "its item is damaged", backend=KIND) from error
    return AgentRecord(item["id"], item[kind.group], name, value, timestamp)
