"""The recorded primary, which all processes follow."""

from __future__ import annotations

import logging
from threading import Event
from threading import Thread

import pytest
import sqlalchemy as sa

from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.core.errors import InvalidRow
from database.core.errors import Unavailable
from database.core.operations import Insert
from database.core.operations import Upsert
from database.core.tables.schema import Schema
from database.declared import schema_of
from database.failover import leading
from database.failover.recorded import RECORDS_TABLE
from database.failover.recorded import RecordedPrimary
from database.failover.recorded import recorded

PATIENCE = 20.0


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Process:
    """A process of the application with two databases."""

    def __init__(self, adapters: dict[str, DatabaseAdapter], schema: Schema | None = None, **settings: object) -> None:
        self.clock = Clock()
        known = {"ENVIRONMENT": "testing", "DB_PRIMARY_CHECK": "2", **settings}
        self.manager = ConnectionManager(load_settings(None, **known), adapters, schema, clock=self.clock)

    def write(self, record: str) -> str:
        """Write a record. :returns: the name of the primary then."""
        with as_application():
            self.manager.run(Insert("molecules", [{"id": record, "name": record}]))
        return self.manager.primary_adapter


@pytest.fixture
def adapters() -> dict[str, DatabaseAdapter]:
    return {"one": MemoryAdapter(name="one"), "two": MemoryAdapter(name="two")}


def record(adapter: DatabaseAdapter, name: str, epoch: int, held: float = 0.0) -> None:
    with as_application():
        row = RecordedPrimary(name, epoch, held).as_row()
        adapter.run(Upsert(RECORDS_TABLE, [row], returning=False, verbatim=True))


def has(adapter: DatabaseAdapter, name: str) -> bool:
    with as_application():
        return adapter.get("molecules", name) is not None


def test_without_a_record_the_first_database_is_the_primary(adapters: dict[str, DatabaseAdapter]) -> None:
    process = Process(adapters)
    assert process.write("a") == "one"
    assert process.manager.get_connection_info()["recorded_primary"] is None


@pytest.mark.parametrize("place", ["one", "two"])
def test_a_process_finds_the_record_at_its_next_question(adapters: dict[str, DatabaseAdapter], place: str) -> None:
    process = Process(adapters)
    assert process.write("a") == "one"
    record(adapters[place], "two", 1)
    assert process.write("b") == "one"
    process.clock.now += 2.0
    assert process.write("c") == "two"
    assert [has(adapters["two"], name) for name in "abc"] == [False, False, True]
    shown = process.manager.get_connection_info()
    assert (shown["recorded_primary"], shown["primary_adapter"]) == (
        {"name": "two", "epoch": 1, "writes_held": False},
        "two",
    )
    assert Process(adapters).write("d") == "two"
    # The order of the databases stays that of the settings: sync has the same sides.
    assert list(process.manager.adapters) == ["one", "two"]


def test_the_highest_epoch_counts(adapters: dict[str, DatabaseAdapter]) -> None:
    record(adapters["one"], "one", 3)
    record(adapters["two"], "two", 2)
    assert Process(adapters).write("a") == "one"


def test_a_process_that_does_not_ask_stays(adapters: dict[str, DatabaseAdapter]) -> None:
    record(adapters["one"], "two", 1)
    assert Process(adapters, DB_PRIMARY_CHECK="0").write("a") == "one"


def test_an_outage_of_one_database_delays_one_call_only(
    adapters: dict[str, DatabaseAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    out = {"two"}

    def answer_of(adapter: DatabaseAdapter) -> RecordedPrimary | None:
        asked.append(adapter.name)
        if adapter.name in out:
            raise Unavailable("no answer", backend=adapter.name)
        return recorded([adapter])

    monkeypatch.setattr(leading, "answer_of", answer_of)
    process = Process(adapters)
    for number in range(3):
        assert process.write(f"{number}") == "one"
        process.clock.now += 2.0
    assert asked == ["one", "two", "one", "one"]
    # Who is asked no longer is asked all the same if nobody else answers.
    out |= {"one"}
    asked.clear()
    process.write("a")
    assert asked == ["one", "two"]
    out.clear()
    record(adapters["two"], "two", 1)
    process.clock.now += 2.0
    assert process.write("b") == "two"


def test_an_unknown_name_is_ignored(adapters: dict[str, DatabaseAdapter], caplog: pytest.LogCaptureFixture) -> None:
    record(adapters["one"], "elsewhere", 1)
    with caplog.at_level(logging.WARNING):
        assert Process(adapters).write("a") == "one"
    assert "elsewhere is not in DB_ADAPTER_ORDER" in caplog.text


def test_writes_wait_for_the_next_record(adapters: dict[str, DatabaseAdapter]) -> None:
    process = Process(adapters)
    record(adapters["one"], "one", 1, held=15.0)
    with as_application():
        # Reads do not wait.
        assert process.manager.get("molecules", "a") is None
    assert process.manager.get_connection_info()["recorded_primary"]["writes_held"]
    written = Event()

    def work() -> None:
        process.write("a")
        written.set()

    thread = Thread(target=work, daemon=True)
    thread.start()
    assert not written.wait(0.3)
    record(adapters["one"], "two", 2)
    assert written.wait(PATIENCE)
    assert has(adapters["two"], "a")
    assert not has(adapters["one"], "a")


def test_a_hold_ends_by_itself(adapters: dict[str, DatabaseAdapter]) -> None:
    process = Process(adapters)
    record(adapters["one"], "one", 1, held=15.0)
    with as_application():
        process.manager.get("molecules", "a")
    process.clock.now += 15.0
    assert process.write("a") == "one"


def test_the_primary_makes_the_numbers() -> None:
    metadata = sa.MetaData()
    sa.Table("made", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
    schema = schema_of(metadata)
    adapters: dict[str, DatabaseAdapter] = {name: MemoryAdapter(schema=schema, name=name) for name in ("one", "two")}
    process = Process(adapters, schema, CONVEX_SYNC_NUMBERS="first")

    def number(adapter: DatabaseAdapter) -> bool:
        with as_application():
            try:
                return adapter.run(Insert("made", [{"name": "x"}])).first is not None
            except InvalidRow:
                return False

    assert (number(adapters["one"]), number(adapters["two"])) == (True, False)
    for epoch, name in ((1, "two"), (2, "one"), (3, "two")):
        record(adapters["one"], name, epoch)
        process.clock.now += 2.0
        assert process.manager.adapter is adapters[name]
        assert (number(adapters["one"]), number(adapters["two"])) == (name == "one", name == "two")
