from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from convex import ConvexInt64

from database.backends.convex.changes import ChangeReader
from database.changes.feed import Changes
from database.changes.feed import ReadChanges
from database.core.clock import utc_now
from database.core.context import NO_CONTEXT
from database.core.context import Context

MAX_SEQ = 2**63 - 1


def _nanoseconds(age: timedelta) -> int:
    return int((utc_now() - age).timestamp() * 1e9)


def test_what_a_purge_may_have_taken_is_a_gap() -> None:
    head = _nanoseconds(timedelta())

    def ask(function: str, arguments: Mapping[str, Any], context: Context) -> Any:
        return ConvexInt64(head) if function == "head" else []

    reader = ChangeReader(ask)
    old = reader.read(ReadChanges(f"{_nanoseconds(timedelta(days=6, hours=1))}:0", 10), NO_CONTEXT).value
    assert old == Changes((), f"{head}:{MAX_SEQ}", gap=True)
    cursor = f"{_nanoseconds(timedelta(days=5, hours=23))}:0"
    assert reader.read(ReadChanges(cursor, 10), NO_CONTEXT).value == Changes((), cursor)
    assert reader.read(ReadChanges(old.cursor, 10), NO_CONTEXT).value == Changes((), old.cursor)
