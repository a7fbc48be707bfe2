"""The change feed, read from the log that ``isthmus:commit`` writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from typing import Final

from convex import ConvexInt64

from database.backends.convex.codec import plain
from database.backends.convex.reading import Ask
from database.changes.feed import PAGE
from database.changes.feed import Change
from database.changes.feed import Changes
from database.changes.feed import ReadChanges
from database.core.clock import utc_now
from database.core.context import Context
from database.core.errors import InvalidQuery
from database.core.result import Result

_KEPT: Final = timedelta(days=6)
"""How long a change is certainly kept: the log is purged after seven days, by a clock that may differ from ours."""

_RESTS: Final = timedelta(days=1)
"""Age of the cursor of a feed without changes, from which it moves on, so that a quiet feed never seems purged."""

_INT64: Final = 2**63
_CURSOR = re.compile(r"(\d{1,19}):(\d{1,19})", re.ASCII)
"""The time of a commit in nanoseconds, and the index of a change in that commit."""


class ChangeReader:
    """Executes :class:`~database.changes.feed.ReadChanges`.

    The feed contains the writes made through Isthmus's functions, but not changes made in the Convex dashboard.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def read(self, operation: ReadChanges, context: Context) -> Result:
        """Read one page of the log."""
        if operation.cursor is None:
            return Result(value=Changes((), self._end(context)))
        rev, seq = _position(operation.cursor)
        age = utc_now().timestamp() * 1e9 - rev
        if age > _in_nanoseconds(_KEPT):
            return Result(value=Changes((), self._end(context), gap=True))
        # Before the entries are read: what is committed between the two reads comes after this end.
        end = self._end(context) if age > _in_nanoseconds(_RESTS) else operation.cursor
        # A query of Convex may read and return only so much.
        limit = min(operation.limit, PAGE)
        arguments = {"rev": ConvexInt64(rev), "seq": ConvexInt64(seq), "limit": limit}
        entries = [plain(entry) for entry in self._ask("changes", arguments, context)]
        changes = tuple(Change(entry["table"], entry["id"], entry["op"]) for entry in entries)
        cursor = _cursor(entries[-1]) if entries else max(end, operation.cursor, key=_position)
        return Result(value=Changes(changes, cursor, more=len(entries) == limit))

    def _end(self, context: Context) -> str:
        # The maximum index, because changes committed at that same time are already readable.
        return f"{plain(self._ask('head', {}, context))}:{_INT64 - 1}"


def _in_nanoseconds(duration: timedelta) -> float:
    return duration.total_seconds() * 1e9


def _cursor(entry: Mapping[str, Any]) -> str:
    return f"{entry['rev']}:{entry['seq']}"


def _position(cursor: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(cursor)
    numbers = [int(text) for text in match.groups()] if match else []
    if not numbers or max(numbers) >= _INT64:
        raise InvalidQuery("invalid change-feed cursor: it was not made by Convex")
    return numbers[0], numbers[1]
