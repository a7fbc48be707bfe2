"""A moment that another program writes in any of SQLite's spellings is that moment, whatever the machine's zone."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import Operator
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.schema.migrations.capture import install as capture
from database.schema.sqlalchemy_engine import connected
from tests.contract.tables import metadata
from tests.contract.tables import thing
from tests.integration.sqlite.conftest import Make

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
SPELLINGS = {
    "datetime('2024-02-29 12:00')": NOON,
    "strftime('%Y-%m-%dT%H:%M:%fZ', '2024-02-29 12:00')": NOON,
    "'2024-02-29 12:00'": NOON,
    "'2024-02-29T12:00:00'": NOON,
    "'2024-02-29T12:00:00.000'": NOON,
    "'2024-02-29T12:00:00.000000Z'": NOON,
    "'2024-02-29T14:00:00+02:00'": NOON,
    "'2024-02-29 02:30:00.000000 -09:30'": NOON,
    "'2024-02-29'": NOON - timedelta(hours=12),
    "'2024-02-29 12:00:00.000001'": NOON + timedelta(microseconds=1),
    "'2024-02-29T13:00:00.9999999+01:00'": NOON + timedelta(microseconds=999_999),
    "'2024-02-29 11:59:59.999999'": NOON - timedelta(microseconds=1),
    "'2024-02-29 12:00:00.'": NOON,
}


@pytest.fixture(params=["UTC", "Asia/Tokyo"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def program(path: Path) -> Iterator[apsw.Connection]:
    """Another program."""
    file = apsw.Connection(str(path))
    yield file
    file.close()


def _write(program: apsw.Connection, record: str, expression: str, now: str = "datetime('now')") -> None:
    program.execute(
        "insert into things (id, label, rank, version, created_at, updated_at, seen)"
        f" values ('{record}', '', 0, 1, {now}, {now}, {expression})"
    )


@pytest.mark.usefixtures("_zone")
def test_it_is_that_moment_in_answers_filters_and_order(make: Make, program: apsw.Connection) -> None:
    adapter = make()
    for number, expression in enumerate(SPELLINGS):
        _write(program, f"{number:02}", expression)
    expected = {f"{number:02}": moment for number, moment in enumerate(SPELLINGS.values())}
    assert {row["id"]: row["seen"] for row in adapter.run(Select("things"))} == expected
    by_time = sorted(expected, key=lambda record: (expected[record], record))
    assert [row["id"] for row in adapter.run(Select("things", order=(Order("seen"),)))] == by_time
    holding: dict[Operator, Callable[[datetime], bool]] = {"eq": NOON.__eq__, "gt": NOON.__lt__, "lte": NOON.__ge__}
    for operator, holds in holding.items():
        found = adapter.run(Select("things", where=Where("seen", operator, NOON))).ids
        assert found == [record for record in sorted(expected) if holds(expected[record])], operator
    (row,) = adapter.run(Select("things", where=Where("id", "eq", "00")))
    assert abs(row["created_at"] - datetime.now(UTC)) < timedelta(minutes=10)


def test_it_is_stored_in_our_form_also_if_the_others_are_already(make: Make, program: apsw.Connection) -> None:
    make()
    for number, expression in enumerate(SPELLINGS):
        _write(program, f"{number:02}", expression, now="'2024-02-29T12:00:00.000000Z'")
    stored = [seen for (seen,) in program.execute("select seen from things order by id")]
    assert stored == [f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z" for moment in SPELLINGS.values()]


def test_a_change_is_written_in_our_form_and_counted(make: Make, program: apsw.Connection) -> None:
    adapter = make()
    (before,) = adapter.run(Insert("things", [thing("a")]))
    program.execute("update things set seen = '2024-02-29 12:00'")
    (row,) = adapter.run(Select("things"))
    assert row["seen"] == NOON
    assert row["version"] > before["version"]
    assert adapter.run(Update("things", {"title": "x"}, id="a")).rows[0]["version"] == row["version"] + 1


def test_what_is_no_moment_stays_as_it_is(make: Make, program: apsw.Connection) -> None:
    adapter = make()
    for number, expression in enumerate(["'2024-02-30 99:00'", "'infinity'", "'now'", "2460370.0"]):
        _write(program, f"{number}", expression)
    assert len(adapter.run(Select("things")).unreadable) == 4
    assert [text for (text,) in program.execute("select seen from things order by id")][:3] == [
        "2024-02-30 99:00",
        "infinity",
        "now",
    ]


def test_rows_that_were_there_before_are_rewritten_by_the_upgrade(make: Make, program: apsw.Connection) -> None:
    program.execute("drop trigger isthmus_moment_insert_things")
    _write(program, "a", "'2024-02-29 12:00:00.5'")
    adapter = make()
    moment = Where("seen", "eq", NOON + timedelta(seconds=0.5))
    assert adapter.run(Select("things", where=moment)).ids == []
    with connected(adapter, writes=True) as connection:
        capture.apply(connection, metadata.sorted_tables)
    assert adapter.run(Select("things", where=moment)).ids == ["a"]
