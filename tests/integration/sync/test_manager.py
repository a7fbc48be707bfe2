"""The public interface of sync: starting, stopping, forcing, callbacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from threading import current_thread
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import ConfigurationError
from database.adapter.backend import Setup
from database.adapter.transactions import Session
from database.backends.memory import MemoryAdapter
from database.backends.memory.adapter import MemoryBackend
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.capabilities import Capabilities
from database.core.context import SERVICE
from database.core.context import Context
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import ConstraintViolated
from database.core.errors import Unsupported
from database.core.operations import Delete
from database.core.operations import Operation
from database.core.operations import Update
from database.core.result import Result
from database.core.tables.schema import Schema
from database.schema.migrations import runner
from database.schema.sqlalchemy_engine import connected
from database.sync import ConvexSyncManager
from database.sync import SyncManager
from database.sync import create_sync_manager
from database.sync import cycle
from database.sync.checkpoint import followers
from tests.integration.sync.support import TABLES
from tests.integration.sync.support import assert_in_sync
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert
from tests.integration.sync.support import journal

PATIENCE = 20.0  # seconds after which a test that hangs fails


@pytest.fixture
def supabase() -> MemoryAdapter:
    return MemoryAdapter(name="supabase")


@pytest.fixture
def convex() -> MemoryAdapter:
    return MemoryAdapter(name="convex")


@pytest.fixture
def manager(supabase: MemoryAdapter, convex: MemoryAdapter) -> Iterator[SyncManager]:
    manager = SyncManager(supabase, convex, sync_interval=3600)
    yield manager
    manager.stop_sync_thread()


def wait_for_a_cycle(manager: SyncManager) -> Event:
    """An event that is set when a cycle has ended."""
    ended = Event()
    manager.set_callbacks(on_sync_complete=lambda _: ended.set())
    return ended


# Starting and stopping


def test_a_thread_syncs_until_it_is_stopped(
    manager: SyncManager, supabase: MemoryAdapter, convex: MemoryAdapter
) -> None:
    insert(supabase, "a")
    ended = wait_for_a_cycle(manager)
    assert manager.start_sync(background=True) is True
    assert manager.start_sync(background=True) is False
    assert manager.start_sync(background=False) is False
    assert ended.wait(PATIENCE)
    assert manager.get_sync_status()["running"]
    manager.stop_sync_thread()
    assert not manager.get_sync_status()["running"]
    assert contents(supabase) == contents(convex)
    assert manager.start_sync() is True


def test_in_the_foreground_one_cycle_runs(manager: SyncManager, supabase: MemoryAdapter, convex: MemoryAdapter) -> None:
    insert(supabase, "a")
    assert manager.start_sync(background=False) is True
    assert contents(supabase) == contents(convex)
    assert not manager.running


def test_a_stop_ends_a_long_cycle_between_two_records(supabase: MemoryAdapter, convex: MemoryAdapter) -> None:
    for number in range(150):
        insert(supabase, f"{number:03}")
        insert(convex, f"{number:03}")
    manager = SyncManager(supabase, convex)
    stopped = Event()

    def stop(*_: object) -> None:
        manager.stop_sync_thread()
        stopped.set()

    manager.set_callbacks(on_conflict=stop)
    manager.start_sync()
    assert stopped.wait(PATIENCE)
    # From another thread, which waits for the end.
    manager.stop_sync_thread()
    assert not manager.running
    assert len(journal(supabase, convex)) == 100
    manager.set_callbacks()
    assert_in_sync(manager, supabase, convex)
    assert len(journal(supabase, convex)) == 150


class DefectiveBackend(MemoryBackend):
    """Has a defect that shows once."""

    defects = 1

    def execute(self, operation: Operation, context: Context) -> Result:
        if self.defects:
            self.defects -= 1
            raise ZeroDivisionError
        return super().execute(operation, context)


class Defective(MemoryAdapter):
    backend_class = DefectiveBackend


def test_a_defect_ends_a_cycle_and_not_the_thread(supabase: MemoryAdapter, caplog: pytest.LogCaptureFixture) -> None:
    manager = SyncManager(supabase, Defective(schema=supabase.schema, name="convex"), sync_interval=0.05)
    ended = wait_for_a_cycle(manager)
    with manager:
        assert ended.wait(PATIENCE)
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["a step of the worker isthmus-sync-supabase:convex failed; the worker continues"]


def test_as_a_context_manager_it_runs_in_the_block(manager: SyncManager) -> None:
    ended = wait_for_a_cycle(manager)
    with manager as entered:
        assert entered.running
        assert ended.wait(PATIENCE)
    assert not manager.running


def test_two_managers_and_users_at_once_lose_nothing(supabase: MemoryAdapter, convex: MemoryAdapter) -> None:
    managers = [SyncManager(supabase, convex) for _ in range(2)]

    def sync(number: int) -> None:
        for _ in range(15):
            managers[number].sync_all()

    def work(number: int) -> None:
        adapter = (supabase, convex)[number % 2]
        for turn in range(25):
            insert(adapter, f"{number}-{turn}")
            adapter.run(Update("molecules", {"formula": str(turn)}, id=f"{number}-{turn}"))

    with ThreadPoolExecutor(4) as threads:
        for done in [*(threads.submit(sync, n) for n in range(2)), *(threads.submit(work, n) for n in range(2))]:
            done.result(PATIENCE)
    assert_in_sync(managers[0], supabase, convex)
    assert {row["id"]: row["formula"] for row in contents(convex)["molecules"]} == {
        f"{number}-{turn}": str(turn) for number in range(2) for turn in range(25)
    }


# One record


@pytest.mark.parametrize(("target", "expected"), [("both", "later"), ("first", "earlier"), ("second", "later")])
def test_a_record_is_reconciled_at_once(
    manager: SyncManager, supabase: MemoryAdapter, convex: MemoryAdapter, target: Any, expected: str
) -> None:
    insert(supabase, "a")
    insert(supabase, "b")
    assert manager.sync_all()
    convex.run(Update("molecules", {"name": "earlier"}, id="a"))
    supabase.run(Update("molecules", {"name": "later"}, id="a"))
    supabase.run(Update("molecules", {"name": "waits"}, id="b"))
    assert manager.force_sync_record("molecules", "a", target) is True
    assert supabase.get("molecules", "a") == convex.get("molecules", "a")
    assert supabase.get("molecules", "a", ("name",)) == {"name": expected}
    assert convex.get("molecules", "b", ("name",)) == {"name": "b"}
    (entry,) = journal(supabase, convex)
    assert entry["rule"] == ("last_modified" if target == "both" else "forced")
    assert {entry["first_row"]["name"], entry["second_row"]["name"]} == {"earlier", "later"}


def test_with_a_target_only_that_side_is_written(
    manager: SyncManager, supabase: MemoryAdapter, convex: MemoryAdapter
) -> None:
    row = insert(supabase, "a")
    assert manager.force_sync_record("molecules", "a", "first") is False
    assert (supabase.get("molecules", "a"), convex.get("molecules", "a")) == (row, None)
    assert manager.force_sync_record("molecules", "a", "second") is True
    assert convex.get("molecules", "a") == row
    convex.run(Delete("molecules", id="a"))
    assert manager.force_sync_record("molecules", "a", "first") is True
    assert supabase.get("molecules", "a") is None
    assert journal(supabase, convex) == []


def test_a_record_that_nobody_has_is_not_reconciled(manager: SyncManager) -> None:
    assert manager.force_sync_record("molecules", "molecule-id-123") is False


def test_a_record_that_cannot_be_written_is_not_reconciled(
    manager: SyncManager, supabase: MemoryAdapter, convex: MemoryAdapter
) -> None:
    insert(supabase, "m")
    insert(supabase, "e", "experiments", molecule_id="m")
    errors: list[Exception] = []
    manager.set_callbacks(on_sync_error=errors.append)
    assert manager.force_sync_record("experiments", "e") is False
    assert [type(error) for error in errors] == [ConstraintViolated]
    assert manager.get_sync_status()["tables"]["experiments"]["failures"] == 1
    assert manager.sync_all()
    assert manager.get_sync_status()["failures"] == []
    assert contents(supabase) == contents(convex)


@pytest.mark.parametrize(("table", "target"), [("isthmus_users", "both"), ("nothing", "both"), ("molecules", "local")])
def test_what_cannot_be_forced_is_refused(manager: SyncManager, table: str, target: Any) -> None:
    with pytest.raises(ValueError, match=r"is not synced|target must be"):
        manager.force_sync_record(table, "a", target)


# Who asks


class WatchedBackend(MemoryBackend):
    """Keeps who asked."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.seen: set[Identity | None] = set()

    def execute(self, operation: Operation, context: Context) -> Result:
        self.seen.add(context.identity)
        return super().execute(operation, context)

    def open_session(self, context: Context) -> Session:
        self.seen.add(context.identity)
        return super().open_session(context)


class Watched(MemoryAdapter):
    """An adapter on that backend."""

    backend_class = WatchedBackend
    backend: WatchedBackend


def test_sync_acts_as_the_application_and_outside_of_the_callers_transaction(convex: MemoryAdapter) -> None:
    supabase = Watched()
    insert(convex, "a")
    manager = SyncManager(supabase, convex)
    with acting_as(Identity("ada", "authenticated")), MemoryAdapter().transaction():
        assert manager.force_sync_record("molecules", "a")
        assert supabase.backend.seen == {SERVICE}
    assert supabase.get("molecules", "a") is not None


# Telling


def test_callbacks_are_told_what_happens(manager: SyncManager, supabase: MemoryAdapter, convex: MemoryAdapter) -> None:
    told: list[Any] = []
    manager.set_callbacks(
        on_sync_start=lambda: told.append("start"),
        on_sync_complete=lambda status: told.append(status["tables"]["molecules"]["conflicts"]),
        on_conflict=lambda table, record_id, ours, theirs: told.append(
            (table, record_id, ours["name"], theirs["name"])
        ),
    )
    insert(supabase, "a", name="ours")
    insert(convex, "a", name="theirs")
    assert manager.sync_all()
    assert told == ["start", ("molecules", "a", "ours", "theirs"), 1]


def test_a_callback_that_fails_is_logged_and_stops_nothing(
    manager: SyncManager, supabase: MemoryAdapter, convex: MemoryAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    manager.set_callbacks(fail, fail, fail, fail)
    insert(supabase, "a", name="ours")
    insert(convex, "a", name="theirs")
    with caplog.at_level(logging.ERROR, "database.sync"):
        assert_in_sync(manager, supabase, convex)
    assert [record.message.split(" ")[2] for record in caplog.records] == [
        "on_sync_start",
        "on_conflict",
        "on_sync_complete",
    ]


def test_the_status_counts_what_was_done(manager: SyncManager, supabase: MemoryAdapter, convex: MemoryAdapter) -> None:
    empty = manager.get_sync_status()
    assert (empty["running"], empty["last_sync_started"], empty["cursors_age"]) == (False, None, None)
    insert(supabase, "a")
    insert(convex, "b")
    insert(convex, "c")
    assert manager.sync_all()
    supabase.run(Delete("molecules", id="c"))
    assert manager.sync_all()
    status = manager.get_sync_status()
    counts = status["tables"]["molecules"]
    assert counts.pop("compared") >= 4
    expected = {"copied_to_first": 2, "copied_to_second": 1, "deleted": 1, "conflicts": 0, "failures": 0}
    assert counts == expected
    assert status["last_sync_started"] <= status["last_sync_ended"]
    assert status["cursors_age"] >= 0
    assert status["sides"] == {"first": "supabase", "second": "convex"}
    assert (status["last_error"], status["sync_in_progress"], status["failures"]) == (None, False, [])


# The documented names


@pytest.mark.parametrize(("target", "expected"), [("supabase", "theirs"), ("convex", "ours"), ("second", "ours")])
def test_the_documented_manager_knows_the_sides_by_their_documented_names(
    supabase: MemoryAdapter, convex: MemoryAdapter, target: Any, expected: str
) -> None:
    insert(supabase, "a", name="ours")
    insert(convex, "a", name="theirs")
    manager = ConvexSyncManager(supabase_adapter=supabase, convex_adapter=convex)
    assert manager.force_sync_record("molecules", "a", target)
    assert contents(supabase) == contents(convex)
    assert supabase.get("molecules", "a", ("name",)) == {"name": expected}


@pytest.mark.parametrize(("strategy", "expected"), [("supabase_wins", "ours"), ("second_wins", "theirs")])
def test_the_documented_manager_knows_strategies_by_either_name(
    supabase: MemoryAdapter, convex: MemoryAdapter, strategy: str, expected: str
) -> None:
    insert(supabase, "a", name="ours")
    insert(convex, "a", name="theirs")
    manager = ConvexSyncManager(supabase, convex, conflict_resolution=strategy)
    assert manager.sync_all()
    assert convex.get("molecules", "a", ("name",)) == {"name": expected}
    assert [entry["rule"] for entry in journal(supabase, convex)] == [
        {"supabase_wins": "first_wins"}.get(strategy, strategy)
    ]


# Options


def test_options_come_from_the_configuration(supabase: MemoryAdapter, convex: MemoryAdapter) -> None:
    config = {"sync_interval": 0.5, "sync_tables": ["experiments", "molecules"], "conflict_resolution": "convex_wins"}
    manager = create_sync_manager(supabase, convex, config)
    assert isinstance(manager, ConvexSyncManager)
    assert (manager.interval, manager.tables) == (0.5, ("molecules", "experiments"))
    insert(supabase, "a", name="ours")
    insert(convex, "a", name="theirs")
    assert manager.sync_all()
    assert supabase.get("molecules", "a", ("name",)) == {"name": "theirs"}


def test_options_that_are_left_out_come_from_the_settings(
    supabase: MemoryAdapter, convex: MemoryAdapter, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVEX_SYNC_INTERVAL", "7.5")
    monkeypatch.setenv("CONVEX_SYNC_TABLES", "molecules, protocols")
    monkeypatch.setenv("CONVEX_CONFLICT_RESOLUTION", "supabase_wins")
    manager = create_sync_manager(supabase, convex)
    assert (manager.interval, manager.tables) == (7.5, ("molecules", "protocols"))
    insert(supabase, "a", name="ours")
    insert(convex, "a", name="theirs")
    assert manager.sync_all()
    assert convex.get("molecules", "a", ("name",)) == {"name": "ours"}


def test_all_tables_that_are_not_internal_are_kept_equal_by_default(manager: SyncManager) -> None:
    assert set(TABLES) <= set(manager.tables)
    assert not any(table.startswith("isthmus_") for table in manager.tables)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("sync_interval", value) for value in (0, -1, "60", None, True, float("nan"), float("inf"))),
        *(("sync_tables", value) for value in ([], ["nothing"], ["isthmus_users"], 5, [5])),
        *(("conflict_resolution", value) for value in ("newest", "", None, 5)),
        ("interval", 5),
    ],
)
def test_a_wrong_option_is_named_when_the_manager_is_made(
    supabase: MemoryAdapter, convex: MemoryAdapter, option: str, value: object
) -> None:
    complete = {"sync_interval": 60, "sync_tables": ["molecules"], "conflict_resolution": "last_modified"}
    with pytest.raises(ConfigurationError) as refused:
        create_sync_manager(supabase, convex, complete | {option: value})
    assert refused.value.problems.keys() == {option}


def _declaring(**columns: sa.types.TypeEngine[Any]) -> Schema:
    metadata = sa.MetaData()
    clinics = [sa.Column("id", sa.String(255), primary_key=True)]
    sa.Table("clinics", metadata, *clinics, *(sa.Column(name, type_) for name, type_ in columns.items()))
    return Schema.of(metadata)


@pytest.mark.parametrize(
    ("here", "there", "problem"),
    [
        (
            {"name": sa.String(), "phone": sa.String()},
            {"name": sa.String(), "fax": sa.String()},
            "column 'phone' is declared on hq2 only; column 'fax' is declared on branch only",
        ),
        ({"beds": sa.BigInteger()}, {"beds": sa.String()}, "column 'beds' is integer on hq2 and text on branch"),
    ],
)
def test_a_table_that_differs_is_refused_by_naming_the_columns(here: Any, there: Any, problem: str) -> None:
    first, second = MemoryAdapter({}, _declaring(**here), "hq2"), MemoryAdapter({}, _declaring(**there), "branch")
    with pytest.raises(ConfigurationError) as refused:
        SyncManager(first, second)
    assert refused.value.problems == {"sync_tables": f"table clinics differs between hq2 and branch: {problem}"}


def test_a_table_that_one_side_lacks_is_refused_by_naming_the_side() -> None:
    first, second = MemoryAdapter({}, _declaring(), "hq2"), MemoryAdapter({}, Schema(()), "branch")
    with pytest.raises(ConfigurationError, match="clinics is not declared on branch"):
        SyncManager(first, second)


def test_a_database_without_a_feed_is_refused(supabase: MemoryAdapter) -> None:
    class SilentBackend(MemoryBackend):
        capabilities = Capabilities(changes=False)

    class Silent(MemoryAdapter):
        backend_class = SilentBackend

    with pytest.raises(Unsupported, match="changes"):
        create_sync_manager(supabase, Silent())


def test_a_database_that_is_read_committed_is_refused(convex: MemoryAdapter) -> None:
    with pytest.raises(Unsupported, match="repeatable read") as refused:
        create_sync_manager(PostgresAdapter({"isolation": "read committed"}, convex.schema), convex)
    assert refused.value.capability == "isolation"


def test_the_thread_is_named_after_the_pair(manager: SyncManager) -> None:
    names: list[str] = []
    told = Event()

    def note() -> None:
        names.append(current_thread().name)
        told.set()

    manager.set_callbacks(on_sync_start=note)
    manager.start_sync()
    assert told.wait(PATIENCE)
    assert names[0] == "isthmus-sync-supabase:convex"


def test_an_idle_sync_shows_now_and_then_that_it_still_runs(
    manager: SyncManager, supabase: MemoryAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert manager.sync_all()
    (before,) = followers(supabase)
    assert manager.sync_all()
    assert followers(supabase) == [before]
    for name in ("_ALIVE", "_KEEP"):  # in memory the feed has the checkpoint, too
        monkeypatch.setattr(cycle, name, 0.0)
    assert manager.sync_all()
    (after,) = followers(supabase)
    assert after.seen > before.seen


def test_a_column_that_a_database_lacks_is_named_with_its_side(tmp_path: Path) -> None:
    first, second = MemoryAdapter(name="first"), SQLiteAdapter({"path": tmp_path / "x.db"}, name="second")
    runner.upgrade(second)
    with connected(second, writes=True) as connection:
        connection.exec_driver_sql("alter table molecules drop column properties")
    manager = SyncManager(first, second, sync_tables=["molecules"])
    insert(first, "a")
    assert not manager.sync_all()
    error = manager.get_sync_status()["last_error"]
    assert error.startswith("SchemaMismatch: the database lacks the column molecules.properties")
    assert error.endswith("(on second)")
    second.disconnect()
