"""Reading ahead: the order, the errors and the end are those of the items."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from threading import Event
from threading import current_thread

import pytest

from database.core.context import as_application
from database.core.context import current_context
from database.sync.bulk.read_ahead import read_ahead

PATIENCE = 20.0


def test_the_next_item_is_made_while_a_large_one_is_worked_on() -> None:
    begun = [Event(), Event(), Event()]

    def items() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    found = []
    with closing(read_ahead(items(), lambda number: number == 1)) as reading:
        for number in reading:
            found.append(number)
            if number == 1:
                assert begun[2].wait(PATIENCE)
            elif number == 0:
                assert not begun[1].is_set()
    assert found == [0, 1, 2]


def test_an_error_is_told_where_its_item_would_be() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise LookupError("gone")

    with closing(read_ahead(items(), lambda _: True)) as reading:
        assert next(reading) == 0
        with pytest.raises(LookupError, match="gone"):
            next(reading)


def test_it_reads_for_the_same_caller_in_another_thread() -> None:
    callers = []

    def items() -> Iterator[int]:
        for number in range(3):
            callers.append((current_context.get().identity, current_thread().name))
            yield number

    with as_application(), closing(read_ahead(items(), lambda _: True)) as reading:
        own = current_context.get().identity
        assert list(reading) == [0, 1, 2]
    assert [one for one, _ in callers] == [own] * 3
    assert [name for _, name in callers][1:] == ["isthmus-sync-reader"] * 2


def test_when_it_is_closed_nothing_is_read_any_more() -> None:
    closed, begun, ended = Event(), Event(), Event()

    def items() -> Iterator[int]:
        yield 0
        begun.set()
        assert closed.wait(PATIENCE)
        ended.set()
        yield 1

    reading = read_ahead(items(), lambda _: True)
    assert next(reading) == 0
    assert begun.wait(PATIENCE)
    closed.set()
    reading.close()
    assert ended.is_set()
