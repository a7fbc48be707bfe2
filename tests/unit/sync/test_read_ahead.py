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
from database.sync.bulk.read_ahead import read_meanwhile

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


def test_it_reads_for_the_same_caller_in_one_other_thread() -> None:
    callers = []

    def items() -> Iterator[int]:
        for number in range(4):
            callers.append((current_context.get().identity, current_thread()))
            yield number

    with as_application(), closing(read_ahead(items(), lambda _: True)) as reading:
        own = current_context.get().identity
        assert list(reading) == [0, 1, 2, 3]
    assert [one for one, _ in callers] == [own] * 4
    # A new thread for each item would have memory grow for as many items as the allocator has arenas.
    (reader,) = {thread for _, thread in callers[1:]}
    assert reader.name == "isthmus-sync-reader"
    reader.join(PATIENCE)
    assert not reader.is_alive()


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


def test_something_is_read_while_the_block_begins() -> None:
    at_work = Event()

    def read() -> str:
        assert at_work.wait(PATIENCE)
        return current_thread().name

    with read_meanwhile(read, large=True) as found:
        at_work.set()
        assert [found(), found()] == ["isthmus-sync-reader"] * 2


def test_a_little_is_read_before_the_block() -> None:
    with read_meanwhile(current_thread, large=False) as found:
        assert found() is current_thread()


def test_an_error_of_reading_is_told_to_who_waits() -> None:
    def read() -> str:
        raise LookupError("gone")

    with read_meanwhile(read, large=True) as found, pytest.raises(LookupError, match="gone"):
        found()
    with read_meanwhile(read, large=True):
        pass  # nobody has waited


def test_when_the_block_fails_nothing_is_read_any_more() -> None:
    failed, ended = Event(), Event()

    def read() -> None:
        assert failed.wait(PATIENCE)
        ended.set()

    def fail() -> None:
        with read_meanwhile(read, large=True):
            failed.set()
            raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        fail()
    assert ended.is_set()
