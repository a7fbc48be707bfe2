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


def _read(cursor: str, head: int) -> Changes:
    """A page of a feed without changes."""

    def ask(function: str, arguments: Mapping[str, Any], context: Context) -> Any:
        return ConvexInt64(head) if function == "head" else []

    page: Changes = ChangeReader(ask).read(ReadChanges(cursor, 10), NO_CONTEXT).value
    return page


def test_what_a_purge_may_have_taken_is_a_gap() -> None:
    head = _nanoseconds(timedelta())
    old = _read(f"{_nanoseconds(timedelta(days=6, hours=1))}:0", head)
    assert old == Changes((), f"{head}:{MAX_SEQ}", gap=True)
    assert _read(old.cursor, head) == Changes((), old.cursor)


def test_the_cursor_of_a_quiet_feed_moves_on_before_it_is_a_gap() -> None:
    young = f"{_nanoseconds(timedelta(hours=23))}:0"
    assert _read(young, _nanoseconds(timedelta())) == Changes((), young)
    aging = f"{_nanoseconds(timedelta(days=5, hours=23))}:0"
    head = _nanoseconds(timedelta())
    assert _read(aging, head) == Changes((), f"{head}:{MAX_SEQ}")
    # An answer of the server's cache may be older than the cursor.
    assert _read(aging, _nanoseconds(timedelta(days=9))) == Changes((), aging)


def test_what_is_committed_while_a_quiet_feed_is_read_is_not_passed_over() -> None:
    aging, late = _nanoseconds(timedelta(days=2)), _nanoseconds(timedelta())
    asked: list[str] = []

    def ask(function: str, arguments: Mapping[str, Any], context: Context) -> Any:
        asked.append(function)
        return ConvexInt64(late if "changes" in asked else aging + 1) if function == "head" else []

    page = ChangeReader(ask).read(ReadChanges(f"{aging}:0", 10), NO_CONTEXT).value
    assert page == Changes((), f"{aging + 1}:{MAX_SEQ}")
