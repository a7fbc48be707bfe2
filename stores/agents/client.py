"""The client: what agents save and get, the same on every backend."""

from __future__ import annotations

import base64
import binascii
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from datetime import timedelta
from itertools import islice
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import Self

import orjson

from database.core.clock import utc_now
from database.core.tables.schema import new_id
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageSerializationError
from stores.agents.records.interface import AgentRecords
from stores.agents.records.interface import Place
from stores.agents.records.kinds import KINDS
from stores.agents.records.kinds import MESSAGES
from stores.agents.records.kinds import STATES
from stores.agents.records.kinds import TASKS
from stores.agents.records.kinds import TRANSACTIONS
from stores.agents.records.kinds import AgentRecord
from stores.agents.records.kinds import RecordKind
from stores.agents.records.kinds import checked_id
from stores.agents.records.kinds import named_id
from stores.agents.records.kinds import transaction_row
from stores.agents.records.moments import STEP
from stores.agents.records.moments import moments
from stores.agents.records.values import checked_value
from stores.agents.records.values import to_document

Value = dict[str, Any]

MAX_PAGE: Final = 1_000
"""The most values of a page."""


class ValuePage(NamedTuple):
    """Values in their order.

    :ivar next_cursor: leads on to the next page; None if there is none.
    """

    values: list[Value]
    next_cursor: str | None


class StorageClient(ABC):
    """What a backend of agents must have. A value is a dict of what JSON has, or of datetimes, decimals and the like.

    :raises StorageError: by all methods, if the backend fails, or for an id or a value that cannot be stored.
    """

    @abstractmethod
    def save_state(self, agent_id: str, state_id: str, state: Value) -> None:
        """Store a state of an agent, replacing the present one."""

    @abstractmethod
    def get_state(self, agent_id: str, state_id: str) -> Value | None:
        """A state of an agent, or None."""

    @abstractmethod
    def save_task(self, agent_id: str, task_id: str, task_data: Value) -> None:
        """Store a task of an agent, replacing the present one."""

    @abstractmethod
    def get_task(self, agent_id: str, task_id: str) -> Value | None:
        """A task of an agent, or None."""

    @abstractmethod
    def save_conversation(self, conversation_id: str, message: Value) -> None:
        """Add a message to a conversation. Messages with the same ``id`` are all kept."""

    @abstractmethod
    def get_conversation_history(self, conversation_id: str) -> list[Value]:
        """The messages of a conversation, by their ``timestamp`` if they have one, and then as they were saved."""

    @abstractmethod
    def save_transactions(self, case_id: str, transactions: Sequence[Value]) -> None:
        """Store transactions of a case, all or none. One with a ``transaction_id``, or an ``id``, replaces the one of
        this case that has it; all others are added.

        :raises StorageCapacityError: for more than the backend stores all or none, of which nothing is stored then; in
            Cosmos DB more than 100, or 2 MB.
        """

    @abstractmethod
    def get_transactions(self, case_id: str) -> list[Value]:
        """The transactions of a case, as they were saved."""

    def create_state(self, agent_id: str, state_id: str, state: Value) -> bool:
        """Store a state unless there is one; returns whether there was none."""
        if self.get_state(agent_id, state_id) is not None:
            return False
        self.save_state(agent_id, state_id, state)
        return True

    def change_state(self, agent_id: str, state_id: str, change: Callable[[Value | None], Value]) -> Value:
        """Replace a state by what ``change`` makes of it, or of None; returns the new state.

        ``change`` may be called several times, and must not use the client. Backends of Isthmus see to it that nobody
        else changes the state between; this method does not.
        """
        state = change(self.get_state(agent_id, state_id))
        self.save_state(agent_id, state_id, state)
        return state

    def close(self) -> None:  # noqa: B027  # one of your own may have nothing to close
        """Close all connections; the next call opens them again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RecordsClient(StorageClient):
    """The client of the backends of Isthmus.

    :param records: the backend.
    """

    def __init__(self, records: AgentRecords) -> None:
        self.records = records

    def save_state(self, agent_id: str, state_id: str, state: Value) -> None:
        self.records.put(STATES, [_named(STATES, agent_id, state_id, state)])

    def get_state(self, agent_id: str, state_id: str) -> Value | None:
        value: Value | None = self.records.value(
            STATES, checked_id(agent_id, "agent_id"), checked_id(state_id, "state_id")
        )
        return value

    def delete_state(self, agent_id: str, state_id: str) -> bool:
        """Delete a state of an agent; returns whether there was one."""
        return self._deleted(STATES, agent_id, state_id)

    def create_state(self, agent_id: str, state_id: str, state: Value) -> bool:
        return self.records.create(STATES, _named(STATES, agent_id, state_id, state))

    def change_state(self, agent_id: str, state_id: str, change: Callable[[Value | None], Value]) -> Value:
        def checked(present: Any) -> Any:
            return checked_value(change(present), "state")

        ids = checked_id(agent_id, "agent_id"), checked_id(state_id, "state_id")
        changed: Value = self.records.change(STATES, *ids, checked)
        return changed

    def save_task(self, agent_id: str, task_id: str, task_data: Value) -> None:
        self.records.put(TASKS, [_named(TASKS, agent_id, task_id, task_data)])

    def get_task(self, agent_id: str, task_id: str) -> Value | None:
        value: Value | None = self.records.value(
            TASKS, checked_id(agent_id, "agent_id"), checked_id(task_id, "task_id")
        )
        return value

    def delete_task(self, agent_id: str, task_id: str) -> bool:
        """Delete a task of an agent; returns whether there was one."""
        return self._deleted(TASKS, agent_id, task_id)

    def save_conversation(self, conversation_id: str, message: Value) -> None:
        group, value = checked_id(conversation_id, "conversation_id"), checked_value(message, "message")
        self.records.put(MESSAGES, [AgentRecord(new_id(), group, None, value, moments.of(value))])

    def get_conversation_history(self, conversation_id: str) -> list[Value]:
        return list(self._values(MESSAGES, conversation_id))

    def conversation_page(self, conversation_id: str, *, limit: int = MAX_PAGE, cursor: str | None = None) -> ValuePage:
        """A part of the history. :raises StorageKeyError: for a wrong limit, or the cursor of something else."""
        return self._page(MESSAGES, conversation_id, limit, cursor)

    def delete_conversation(self, conversation_id: str) -> int:
        """Delete a conversation; returns the number of its messages."""
        return self.records.delete(MESSAGES, checked_id(conversation_id, "conversation_id"))

    def save_transactions(self, case_id: str, transactions: Sequence[Value]) -> None:
        self.put_transactions(case_id, transactions)

    def put_transactions(self, case_id: str, transactions: Sequence[Value]) -> list[Value]:
        """As :meth:`save_transactions`; returns what is stored: of those with the same id, the last one."""
        values = _by_row(checked_id(case_id, "case_id"), transactions)
        if values:
            first = moments.take(len(values))
            records = [
                AgentRecord(id_, case, None, value, first + place * STEP)
                for place, ((case, id_), value) in enumerate(values.items())
            ]
            self.records.put(TRANSACTIONS, records)
        return list(values.values())

    def get_transactions(self, case_id: str) -> list[Value]:
        return list(self._values(TRANSACTIONS, case_id))

    def transactions_page(self, case_id: str, *, limit: int = MAX_PAGE, cursor: str | None = None) -> ValuePage:
        """A part of the transactions. :raises StorageKeyError: for a wrong limit, or the cursor of something else."""
        return self._page(TRANSACTIONS, case_id, limit, cursor)

    def delete_transactions(self, case_id: str) -> int:
        """Delete the transactions of a case; returns their number."""
        return self.records.delete(TRANSACTIONS, checked_id(case_id, "case_id"))

    def delete_older(self, than: timedelta) -> int:
        """Delete all states, tasks, messages and transactions whose ``timestamp`` is longer ago; returns their number.

        It may be interrupted, and run again.
        """
        if than <= timedelta():
            raise StorageKeyError("than must be more than 0 seconds")
        moment = (utc_now() - than).replace(tzinfo=None)
        return sum(self.records.delete_before(kind, moment) for kind in KINDS)

    def close(self) -> None:
        self.records.close()

    def _deleted(self, kind: RecordKind, group: str, name: str) -> bool:
        assert kind.name is not None
        return self.records.delete(kind, checked_id(group, kind.group), checked_id(name, kind.name)) > 0

    def _values(self, kind: RecordKind, group: str) -> Iterator[Value]:
        id_, after = checked_id(group, kind.group), None
        while True:
            found = self.records.page(kind, id_, after, MAX_PAGE)
            yield from (one.value for one in found)
            if len(found) < MAX_PAGE:
                return
            after = found[-1].timestamp, found[-1].id

    def _page(self, kind: RecordKind, group: str, limit: int, cursor: str | None) -> ValuePage:
        if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
            raise StorageKeyError(f"limit must be a number from 1 to {MAX_PAGE:,}")
        after = None if cursor is None else _place_of(cursor)
        # One more shows whether others follow.
        found = self.records.page(kind, checked_id(group, kind.group), after, limit + 1)
        shown = list(islice(found, limit))
        return ValuePage([one.value for one in shown], _cursor(shown[-1]) if len(found) > limit else None)


def _named(kind: RecordKind, group: str, name: str, value: Value) -> AgentRecord:
    assert kind.name is not None
    group, name = checked_id(group, kind.group), checked_id(name, kind.name)
    value = checked_value(value, kind.value)
    return AgentRecord(named_id(group, name), group, name, value, moments.of(value))


def _by_row(case: str, transactions: Sequence[Value]) -> dict[tuple[str, str], Value]:
    """The transactions by their case and the ids of their rows.

    :raises StorageSerializationError: for one that cannot be stored; names its place.
    """
    if isinstance(transactions, str | bytes | Mapping) or not isinstance(transactions, Sequence):
        raise StorageSerializationError(f"transactions must be a list of dicts, not {type(transactions).__name__}")
    values: dict[tuple[str, str], Value] = {}
    for number, value in enumerate(transactions):
        # Here and not behind, where its number is not known any more.
        to_document(checked_value(value, field := f"transactions[{number}]"), field)
        values[case, transaction_row(case, value) or new_id()] = value
    return values


def _cursor(record: AgentRecord) -> str:
    at = None if record.timestamp is None else record.timestamp.isoformat()
    return base64.urlsafe_b64encode(orjson.dumps([at, record.id])).decode().rstrip("=")


def _place_of(cursor: str) -> Place:
    try:
        at, id_ = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return None if at is None else datetime.fromisoformat(at), checked_id(id_, "cursor")
    except (ValueError, TypeError, binascii.Error):
        raise StorageKeyError("the cursor is not one of this list; use next_cursor of the page before") from None
