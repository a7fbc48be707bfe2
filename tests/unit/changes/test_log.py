from __future__ import annotations

import pytest

from database.backends.memory.log import ChangeLog
from database.changes.feed import Change
from database.core.errors import InvalidQuery


def _changes(start: int, end: int) -> list[Change]:
    return [Change("things", str(number), "insert") for number in range(start, end)]


def test_a_page_goes_on_where_the_last_one_ended() -> None:
    log = ChangeLog()
    log.append(_changes(0, 2))
    start = log.page(None, 10)
    assert (start.changes, start.more) == ((), False)
    log.append(_changes(2, 5))
    first = log.page(start.cursor, 2)
    assert (first.changes, first.more, first.gap) == (tuple(_changes(2, 4)), True, False)
    second = log.page(first.cursor, 2)
    assert (second.changes, second.more, second.gap) == (tuple(_changes(4, 5)), False, False)
    assert log.page(second.cursor, 2).cursor == second.cursor


def test_who_is_too_far_behind_is_told_so() -> None:
    log = ChangeLog(capacity=3)
    start = log.page(None, 10)
    log.append(_changes(0, 3))
    assert not log.page(start.cursor, 10).gap
    log.append(_changes(3, 4))
    late = log.page(start.cursor, 2)
    assert (late.changes, late.more, late.gap) == (tuple(_changes(1, 3)), True, True)
    assert not log.page(late.cursor, 2).gap


def test_a_cursor_from_another_life_has_a_gap() -> None:
    log = ChangeLog()
    log.append(_changes(0, 3))
    page = log.page("7", 10)
    assert (page.changes, page.cursor, page.gap) == (tuple(_changes(0, 3)), "3", True)


def test_a_cursor_is_a_number() -> None:
    with pytest.raises(InvalidQuery):
        ChangeLog().page("1.5", 10)
