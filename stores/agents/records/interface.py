"""What keeps the records of agents: the interface between the client and a backend."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stores.agents.records.kinds import AgentRecord
from stores.agents.records.kinds import RecordKind

Place = tuple[datetime | None, str]
"""The timestamp and the id of a record, by which those of a group are ordered."""

Change = Callable[[Any], Any]
"""Makes the new value from the present one, or from None; it may be called several times."""


class RecordReader(ABC):
    """Records that can be copied.

    :raises StorageError: by all methods, if the backend fails.
    """

    @abstractmethod
    def every(self, kind: RecordKind) -> Iterator[AgentRecord]:
        """The records of all groups, in any order. :meth:`AgentRecords.put` stores one of them elsewhere as it is."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections; the next call opens them again."""


class AgentRecords(RecordReader):
    """Keeps records. All ids are as :func:`~stores.agents.records.kinds.checked_id` returns them.

    :raises StorageError: by all methods, if the backend fails.
    """

    @abstractmethod
    def put(self, kind: RecordKind, records: Sequence[AgentRecord]) -> None:
        """Store records of one group, all or none; each replaces the one with its name, or with its id."""

    @abstractmethod
    def create(self, kind: RecordKind, record: AgentRecord) -> bool:
        """Store a record unless there is one with its name; returns whether there was none."""

    @abstractmethod
    def value(self, kind: RecordKind, group: str, name: str) -> Any:
        """The value of a record, or None."""

    @abstractmethod
    def change(self, kind: RecordKind, group: str, name: str, change: Change) -> Any:
        """Replace the value of a record by what ``change`` makes of it, and nobody else changes it between; returns
        the new value. An exception of ``change`` leaves it as it is.
        """

    @abstractmethod
    def page(self, kind: RecordKind, group: str, after: Place | None, limit: int) -> list[AgentRecord]:
        """The records of a group behind a place, by timestamp and then id."""

    @abstractmethod
    def found(self, kind: RecordKind, records: Sequence[AgentRecord]) -> list[AgentRecord]:
        """Those here that have the names of these records, or their ids if the kind has no names; in any order."""

    @abstractmethod
    def count(self, kind: RecordKind) -> int:
        """The number of records of all groups."""

    @abstractmethod
    def delete(self, kind: RecordKind, group: str, name: str | None = None) -> int:
        """Delete a record, or those of a whole group; returns their number."""

    @abstractmethod
    def delete_before(self, kind: RecordKind, moment: datetime) -> int:
        """Delete the records of all groups with an earlier timestamp; returns their number. It may be interrupted.

        :param moment: in UTC, without time zone.
        """
