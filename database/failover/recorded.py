"""The primary that a move has recorded in the databases, for all processes.

Without a record, the first database of ``DB_ADAPTER_ORDER`` is the primary. A record has an epoch, which grows with
each change; the highest one counts, wherever it was found. While writes are held, they wait until the next record: the
move carries the last changes over and makes another database the primary.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Final
from typing import Self

from database.adapter.base import DatabaseAdapter
from database.core.context import as_application
from database.core.context import on_its_own
from database.core.errors import DataError
from database.core.operations import Get

RECORDS_TABLE: Final = "isthmus_sync_cursors"
RECORD: Final = "primary"
"""The id of the record."""

NOTE: Final = "note"
"""The epoch of a row that is no checkpoint of sync, but a note: of this, of an audit or of a move."""


_PATIENCE: Final = 2.0
"""Seconds that a database may take to answer; calls wait meanwhile."""


@dataclass(frozen=True, slots=True)
class RecordedPrimary:
    """The primary of all processes.

    :ivar name: its name in ``DB_ADAPTER_ORDER``.
    :ivar epoch: how often it was recorded.
    :ivar held: the most seconds for which writes wait for the next record; 0 if they do not.
    """

    name: str
    epoch: int
    held: float = 0.0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The record of a row."""
        return cls(str(row["cursors"]["primary"]), int(row["version"]), float(row["cursors"]["held"]))

    def as_row(self) -> dict[str, Any]:
        """The row that stores it."""
        content = {"primary": self.name, "held": self.held}
        return {"id": RECORD, "version": self.epoch, "epoch": NOTE, "cursors": content}


def recorded(adapters: Iterable[DatabaseAdapter]) -> RecordedPrimary | None:
    """The record with the highest epoch; None if no database has one, or can be asked."""
    return highest(map(_recorded_in, adapters))


def highest(found: Iterable[RecordedPrimary | None]) -> RecordedPrimary | None:
    """The record with the highest epoch; None if there is none."""
    return max((one for one in found if one is not None), key=lambda one: one.epoch, default=None)


def answer_of(adapter: DatabaseAdapter) -> RecordedPrimary | None:
    """The record of a database; None if it has none. :raises DataError: if it cannot be asked."""
    if RECORDS_TABLE not in adapter.schema:
        return None
    with on_its_own(), as_application(within=_PATIENCE):
        row = adapter.run_alone(Get(RECORDS_TABLE, RECORD)).first
    return None if row is None else RecordedPrimary.of(row)


def _recorded_in(adapter: DatabaseAdapter) -> RecordedPrimary | None:
    try:
        return answer_of(adapter)
    except DataError:
        return None
