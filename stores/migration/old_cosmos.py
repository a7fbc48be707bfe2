"""The records of agents in the old layout of Cosmos DB: four containers with the partition key ``/id``.

An item has the columns of the documented tables: ``id``, the ids of its record, the value, and the value's own
``timestamp``, which may be empty. They are read, and never written: neither a history nor several transactions of a
case are in one partition there.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final

from database.resilience.settings import ResilienceSettings
from storage.backends.cosmos.account import CosmosConnections
from storage.backends.cosmos.account import Item
from storage.backends.cosmos.account import Opening
from storage.backends.cosmos.errors import KIND
from storage.core.errors import StorageCorruptError
from storage.core.keys import without_nul
from stores.agents.records.cosmos_calls import CosmosCalls
from stores.agents.records.interface import RecordReader
from stores.agents.records.kinds import KINDS
from stores.agents.records.kinds import TRANSACTIONS
from stores.agents.records.kinds import AgentRecord
from stores.agents.records.kinds import RecordKind
from stores.agents.records.kinds import named_id
from stores.agents.records.kinds import row_id
from stores.agents.records.kinds import transaction_row
from stores.agents.records.moments import moment_of

_PARTITION: Final = "id"


class OldCosmosRecords(RecordReader):
    """Items of the old layout. The containers must be there.

    :param url: of the account.
    :param credential: the account's key, or a credential of ``azure.identity``.
    :param database: its name.
    :param containers: the names of the containers by the names of the tables.
    :param regions: as for :class:`~storage.CosmosEntries`.
    """

    def __init__(
        self, url: str, credential: Any, database: str, containers: Mapping[str, str], regions: Sequence[str] = ()
    ) -> None:
        settings = ResilienceSettings()
        account = CosmosConnections(url, credential, settings.timeout, regions)
        self._openings = {
            kind: Opening(account, database, containers[kind.table], _PARTITION, create=False) for kind in KINDS
        }
        self._calls = CosmosCalls(self._openings[KINDS[0]], settings)

    def every(self, kind: RecordKind) -> Iterator[AgentRecord]:
        return (_record(kind, item) for item in self._calls.items(self._openings[kind]))

    def close(self) -> None:
        self._calls.close()
        for opening in self._openings.values():
            opening.close()


def _record(kind: RecordKind, item: Item) -> AgentRecord:
    """The record of an item, with the id that it would have if it were saved now.

    :raises StorageCorruptError: if it is no item of this layout; says what is wrong.
    """
    group = _text(item, kind.group)
    name = None if kind.name is None else _text(item, kind.name)
    value = item.get(kind.value)
    if not isinstance(value, dict):
        raise _corrupt(item, f"its {kind.value} is no object")
    # A time that is none was empty; then the time of the last change is that of the saving.
    timestamp = moment_of(item) or moment_of(value) or moment_of({"timestamp": item.get("_ts")})
    return AgentRecord(_row(kind, group, name, item), group, name, value, timestamp)


def _row(kind: RecordKind, group: str, name: str | None, item: Item) -> str:
    if name is not None:
        return named_id(group, name)
    # So that a transaction that is saved again replaces the copied one.
    known = transaction_row(group, item[kind.value]) if kind is TRANSACTIONS else None
    # The ids of items are longer than those of rows may be, and messages of other conversations may have them.
    return known or row_id(group, item["id"])


def _text(item: Item, field: str) -> str:
    given = item.get(field)
    if not isinstance(given, str) or not given:
        raise _corrupt(item, f"its {field} is no text")
    return without_nul(given)


def _corrupt(item: Item, reason: str) -> StorageCorruptError:
    return StorageCorruptError(
        str(item.get("id")), f"{reason}; correct or delete the item, and repeat the copy", backend=KIND
    )
