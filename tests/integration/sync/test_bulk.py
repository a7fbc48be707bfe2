"""Many records at once: in bulk, and one by one only what the bulk refused."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack
from contextlib import closing
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.core.tables.schema import Schema
from database.schema.adoption import installing
from database.schema.migrations import runner
from database.sync import SyncManager
from tests.integration.sync.conftest import _sqlite
from tests.integration.sync.conftest import _supabase
from tests.integration.sync.keys import databases
from tests.integration.sync.support import Killed
from tests.integration.sync.support import MortalMemory
from tests.integration.sync.support import assert_in_sync
from tests.integration.sync.support import contents
from tests.integration.sync.support import journal
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

ROWS = int(os.environ.get("SYNC_LOAD_ROWS", "3000"))
"""Of the load between real databases."""

BOOKKEEPING = 3
"""Transactions that move a checkpoint, on the side that has more of them two."""


def load(adapter: DatabaseAdapter, number: int, table: str = "molecules", **values: Any) -> None:
    with as_application():
        for start in range(0, number, 1000):
            ids = range(start, min(number, start + 1000))
            rows = [{"id": f"{n:07}", "name": f"name {n}", **values} for n in ids]
            adapter.run(Insert(table, rows, returning=False))


@pytest.fixture
def sides() -> tuple[MortalMemory, MortalMemory]:
    return MortalMemory(name="here"), MortalMemory(name="there")


def test_a_first_load_takes_few_transactions(sides: tuple[MortalMemory, MortalMemory]) -> None:
    first, second = sides
    load(first, 5_000)
    assert_in_sync(SyncManager(*sides), *sides)
    # Chunks of 100, 200, 400 and 800 records, then of 1,000; pages of ids end some of them.
    assert second.backend.writes <= 12 + BOOKKEEPING


def test_of_many_one_that_is_refused_costs_itself(sides: tuple[MortalMemory, MortalMemory]) -> None:
    first, second = sides
    load(first, 1, "protocols")
    load(first, 1_000, "experiments")
    with as_application():
        first.run(Update("experiments", {"protocol_id": "0000000"}, id="0000777"))
    manager = SyncManager(*sides, sync_tables=["experiments"])
    assert not manager.sync_all()
    assert len(contents(second)["experiments"]) == 999
    assert [failure["id"] for failure in manager.get_sync_status()["failures"]] == ["0000777"]
    assert second.backend.writes <= 30


@pytest.mark.parametrize("life", [*range(8)])
@pytest.mark.parametrize("mortal", [0, 1])
def test_a_load_that_is_killed_between_two_chunks_goes_on(
    sides: tuple[MortalMemory, MortalMemory], mortal: int, life: int
) -> None:
    first, second = sides
    load(first, 1_200)
    sides[mortal].backend.life = life
    with suppress(Killed):
        SyncManager(*sides, sync_tables=["molecules"]).sync_all()
    sides[mortal].backend.life = None
    with as_application():
        second.run(Update("molecules", {"name": "edited"}, where=Where("id", "eq", "0000001")))
        deleted = second.run(Delete("molecules", where=Where("id", "eq", "0000002"))).count
        edited = second.get("molecules", "0000001") is not None
    assert_in_sync(SyncManager(*sides), *sides)
    names = {row["id"]: row["name"] for row in contents(first)["molecules"]}
    assert len(names) == 1_200 - (deleted or 0)
    assert names["0000001"] == ("edited" if edited else "name 1")
    assert journal(*sides) == []


@pytest.mark.parametrize("mortal", [0, 1])
def test_a_load_that_is_killed_does_not_start_over(
    sides: tuple[MortalMemory, MortalMemory], mortal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.sync.cycle.WINDOW", 100)
    monkeypatch.setattr("database.sync.cycle.SAVED_AFTER", 0)
    first, second = sides
    load(first, 1_000)
    load(first, 250, "protocols")
    sides[mortal].backend.life = 30
    compared = 0
    for life in (15, 15, None):
        sides[mortal].backend.life = life
        manager = SyncManager(*sides, sync_tables=["molecules", "protocols"])
        with suppress(Killed):
            manager.sync_all()
        compared += sum(counts["compared"] for counts in manager.get_sync_status()["tables"].values())
    assert contents(first) == contents(second)
    # What was compared since the position was stored is compared once more, and nothing else.
    assert 1_250 <= compared <= 1_250 + 2 * 300
    assert manager.sync_all()
    assert manager.get_sync_status()["tables"]["molecules"]["compared"] <= compared


def test_a_record_that_appears_between_the_look_and_the_write_is_a_conflict(
    sides: tuple[MortalMemory, MortalMemory],
) -> None:
    first, second = sides
    load(first, 500)
    manager = SyncManager(*sides, sync_tables=["molecules"], conflict_resolution="second_wins")
    # The first transaction on that side stores the checkpoint, the second one writes the first records.
    begun = second.backend.open_session

    def interrupted(context: Any) -> Any:
        if second.backend.writes == 1:
            second.backend.open_session = begun  # type: ignore[method-assign]
            with as_application():
                second.run(Insert("molecules", [{"id": "0000003", "name": "theirs"}]))
        return begun(context)

    second.backend.open_session = interrupted  # type: ignore[method-assign]
    assert_in_sync(manager, *sides)
    assert len(contents(first)["molecules"]) == 500
    assert first.get("molecules", "0000003")["name"] == "theirs"  # type: ignore[index]
    assert [entry["record_id"] for entry in journal(*sides)] == ["0000003"]


@pytest.mark.parametrize("deleted_on", [0, 1])
def test_a_record_that_is_deleted_while_its_row_waits_to_be_compared_stays_deleted(
    sides: tuple[MortalMemory, MortalMemory], deleted_on: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.sync.cycle.WINDOW", 2)
    monkeypatch.setattr("database.sync.chunks.FIRST", 2)
    here = sides[deleted_on]
    with as_application():
        here.run(Insert("molecules", [{"id": "z", "name": "z"}]))
        SyncManager(*sides, sync_tables=["molecules"]).sync_all()
        # The other side has read its only row, z, before those of this side are compared.
        here.run(Insert("molecules", [{"id": one, "name": one} for one in "abcd"]))

    def interrupt(*given: Any) -> Any:
        with as_application():
            here.run(Delete("molecules", where=Where("id", "eq", "z")))
        return carry_out(*given)

    manager = SyncManager(*sides)  # with more tables, so that all records are compared
    comparison = manager._cycle._comparison
    carry_out = comparison.carry_out
    monkeypatch.setattr(comparison, "carry_out", interrupt)
    assert_in_sync(manager, *sides)
    assert [row["id"] for row in contents(here)["molecules"]] == [*"abcd"]


def test_what_sync_has_written_is_not_compared_again(sides: tuple[MortalMemory, MortalMemory]) -> None:
    first = sides[0]
    # More than the feed of the other side keeps, together with their bases.
    load(first, 6_000)
    manager = SyncManager(*sides, sync_tables=["molecules"])
    assert_in_sync(manager, *sides)
    assert manager.get_sync_status()["tables"]["molecules"]["compared"] == 6_000
    with as_application():
        first.run(Update("molecules", {"name": "changed"}, where=Where("id", "lt", "0000100")))
    assert_in_sync(manager, *sides)
    assert manager.get_sync_status()["tables"]["molecules"]["compared"] == 6_100


SHOUTING = """
create function shout() returns trigger language plpgsql as
$$ begin new.name := upper(new.name); return new; end $$;
create trigger shout before insert on molecules for each row execute function shout()"""


def test_what_triggers_make_of_many_rows_is_a_change(request: pytest.FixtureRequest) -> None:
    first, second = _sqlite(request), _supabase(request)
    request.addfinalizer(first.disconnect)
    request.addfinalizer(second.disconnect)
    PostgresDatabase(**second.config).execute(SHOUTING)
    load(first, 150)
    manager = SyncManager(first, second)
    assert manager.sync_all(), manager.get_sync_status()
    assert_in_sync(manager, first, second)
    names = [row["name"] for row in contents(first)["molecules"]]
    assert names == [f"NAME {number}" for number in range(150)]


def test_of_many_one_that_only_its_own_side_takes_costs_itself(request: pytest.FixtureRequest) -> None:
    first, second = _sqlite(request), _supabase(request)
    request.addfinalizer(first.disconnect)
    request.addfinalizer(second.disconnect)
    load(first, 150)
    with closing(sqlite3.connect(first.config["path"])) as file, file:
        file.execute("update molecules set properties = ? where id = '0000077'", [r'{"name": "a\u0000b"}'])
    manager = SyncManager(first, second)
    assert not manager.sync_all()
    (failure,) = manager.get_sync_status()["failures"]
    assert failure["id"] == "0000077"
    assert "'properties'" in failure["reason"]
    assert len(contents(second)["molecules"]) == 149


COMPUTED = """
create table counts (id text primary key, number bigint, twice bigint generated always as (number * 2) stored)"""


def test_computed_columns_of_many_rows_are_computed_anew(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    declared = sa.MetaData()
    columns = sa.Column("number", sa.BigInteger), sa.Column("twice", sa.BigInteger, sa.FetchedValue())
    sa.Table("counts", declared, sa.Column("id", sa.Text, primary_key=True), *columns)
    schema = Schema.of(declared, internal_tables.metadata)
    there = postgres_server.create_database()
    there.execute(COMPUTED)
    with closing(sqlite3.connect(tmp_path / "computed.db")) as file:
        file.execute(COMPUTED)
    first = SQLiteAdapter({"path": tmp_path / "computed.db", "synchronous": "normal"}, schema, "first")
    second = PostgresAdapter(asdict(there), schema, "second")
    for adapter in (first, second):
        request.addfinalizer(adapter.disconnect)
        runner.upgrade(adapter)
        installing.install_changes(adapter)
    with as_application():
        first.run(Insert("counts", [{"id": f"{n:03}", "number": n} for n in range(150)], returning=False))
        manager = SyncManager(first, second, sync_tables=["counts"])
        assert manager.sync_all(), manager.get_sync_status()
        rows = second.run(Select("counts")).rows
    assert rows == [{"id": f"{n:03}", "number": n, "twice": 2 * n} for n in range(150)]


def test_numbers_go_on_behind_many_copied_records(request: pytest.FixtureRequest, postgres_server: object) -> None:
    with ExitStack() as closing:
        first, second = databases.sqlite(request, closing), databases.postgres(request, closing)
        for adapter in (first, second):
            closing.callback(adapter.disconnect)
        first.run(Insert("orders", [{"name": f"order {n}"} for n in range(150)], returning=False))
        first.run(Insert("invoices", [{"owner_id": "x"} for _ in range(150)], returning=False))
        options: dict[str, Any] = {"sync_tables": ["orders", "invoices"], "sync_numbers": "first"}
        manager = SyncManager(first, second, **options)
        assert manager.sync_all(), manager.get_sync_status()
        moved = second.__class__(second.config, databases.SCHEMA, second.name)
        closing.callback(moved.disconnect)
        for table in ("orders", "invoices"):
            assert moved.run(Select(table)).rows == first.run(Select(table)).rows
        assert moved.run(Insert("orders", [{"name": "next"}])).rows[0]["order_no"] > 150
        assert moved.run(Insert("invoices", [{"owner_id": "y"}])).rows[0]["id"] > 150


def test_real_databases_become_equal_with_many_rows(request: pytest.FixtureRequest) -> None:
    """At full size with SYNC_LOAD_ROWS, for instance 50000."""
    first, second = _sqlite(request), _supabase(request)
    request.addfinalizer(first.disconnect)
    request.addfinalizer(second.disconnect)
    load(first, ROWS, properties={"mass": 18.0})
    with as_application():
        before = second.run(Upsert("protocols", [{"id": "p", "name": "there"}])).rows
    manager = SyncManager(first, second)
    assert_in_sync(manager, first, second)
    counts = manager.get_sync_status()["tables"]
    assert counts["molecules"]["copied_to_second"] == ROWS
    assert contents(first)["protocols"] == before
