"""The four kinds of records: their tables, which are also the names of their containers, and the ids of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any
from typing import Final

import orjson

from database.core.immutable import immutable
from storage.core.errors import StorageKeyError
from storage.core.errors import shown
from storage.core.keys import without_nul

MAX_ID: Final = 255
"""The longest id, in characters."""

_KEYS: Final = ("transaction_id", "id")
"""What a transaction may be known by, the first one first."""


@dataclass(frozen=True, slots=True)
class RecordKind:
    """A kind of records.

    :ivar table: the name of its table.
    :ivar group: the column by which records belong together.
    :ivar name: the column by which a record is found in its group; None if they are only read in their order.
    :ivar value: the column with the value.
    :ivar by: the columns by which a record replaces another one; none for those that do so by their id.
    """

    table: str
    group: str
    name: str | None
    value: str
    by: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", () if self.name is None else (self.group, self.name))


STATES: Final = RecordKind("agent_states", "agent_id", "state_id", "state")
TASKS: Final = RecordKind("agent_tasks", "agent_id", "task_id", "task_data")
MESSAGES: Final = RecordKind("conversations", "conversation_id", None, "message")
TRANSACTIONS: Final = RecordKind("transactions", "case_id", None, "transaction")
KINDS: Final = (STATES, TASKS, MESSAGES, TRANSACTIONS)


@immutable
class AgentRecord:
    """A row.

    :param group: the value of the kind's column ``group``; ``name`` likewise, None if the kind has none.
    :param value: a dict.
    :param timestamp: in UTC, without time zone; None only in rows of other programs.
    """

    id: str
    group: str
    name: str | None
    value: Any
    timestamp: datetime | None


def checked_id(given: object, field: str) -> str:
    """An id as it is stored. :raises StorageKeyError: if it is none; names the field."""
    # Almost all ids.
    if type(given) is str and 0 < len(given) <= MAX_ID and given.isascii() and given.isprintable():
        return given
    if not isinstance(given, str) or not given:
        raise StorageKeyError(f"{field} must be text of 1 to {MAX_ID} characters, not {shown(given)}")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise StorageKeyError(f"{field} has half of a surrogate pair, which is no text: {shown(given)}") from None
    text = without_nul(given)
    if len(text) > MAX_ID:
        counted = ", of which NUL and U+0001 take two" if text != given else ""
        raise StorageKeyError(f"{field} must have at most {MAX_ID} characters{counted}, not {len(text):,}")
    return text


@lru_cache(maxsize=4_096)
def named_id(group: str, name: str) -> str:
    """The id of the row with a name. An agent asks for the same ones again and again."""
    return row_id(group, name)


def row_id(*parts: str) -> str:
    """The id of the row with these ids, which no other ids have: an id has no NUL when it is stored."""
    return sha256("\0".join(parts).encode()).hexdigest()


def transaction_row(case: str, value: dict[str, Any]) -> str | None:
    """The id of the row of a transaction: the same one for the same id in the same case; None for one without an id."""
    for key in _KEYS:
        given = value.get(key)
        if isinstance(given, str | int) and not isinstance(given, bool) and given != "":
            # An id may be of any length, and have any characters.
            return row_id(case, key, orjson.dumps(str(given)).decode())
    return None
