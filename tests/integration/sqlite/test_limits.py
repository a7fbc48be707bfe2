"""Deadlines, and files that cannot be used."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from typing import cast

import apsw
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.backends.sqlite import SQLiteAdapter
from database.backends.sqlite.connection import PAGES_IN_MEMORY
from database.core.context import NO_CONTEXT
from database.core.errors import ConnectFailed
from database.core.errors import InvalidQuery
from database.core.errors import PoolExhausted
from database.core.errors import Stopped
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.evaluation import evaluator
from database.core.query.filters import Where
from database.core.query.steps import Steps
from tests.contract.lateness import within
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing
from tests.integration.sqlite.conftest import Make

PATIENCE = 20.0  # seconds; only a broken adapter needs them
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
ENDLESS_WRITE = f"insert into notes (id) {ENDLESS}"


def test_many_connections_together_keep_few_pages_in_memory(make: Make) -> None:
    adapter = make()
    adapter.run(Insert("notes", [{"id": f"{number:05}", "body": "x" * 3000} for number in range(7000)]))
    everything = "select sum(length(body)) from notes"
    transactions = [adapter.begin_transaction(reads=True) for _ in range(6)]
    for transaction in transactions:
        assert adapter._execute_query_in_transaction(transaction, everything) == [{"sum(length(body))": 21_000_000}]
    # Statements and the like are beside the pages; without the limit it would be 96 MiB.
    assert apsw.memory_used() < PAGES_IN_MEMORY + (8 << 20)
    for transaction in transactions:
        transaction.rollback()


@pytest.mark.parametrize("text", [ENDLESS, ENDLESS_WRITE])
def test_a_statement_is_stopped_at_the_deadline(make: Make, text: str) -> None:
    adapter = make(timeout=1.0)
    with ThreadPoolExecutor(1) as thread, pytest.raises(TimedOut, match="stopped"):
        thread.submit(adapter.execute_query, text).result(timeout=PATIENCE)
    adapter.run(Insert("notes", [{"id": "a"}]))
    assert len(adapter.table("notes").execute()) == 1


def test_a_statement_in_a_transaction_is_stopped_at_its_deadline(make: Make) -> None:
    # The insert must be done by then, on a busy machine, too.
    adapter = make(timeout=2.0)
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("notes", [{"id": "a"}]), NO_CONTEXT)
    with pytest.raises(TimedOut):
        adapter._execute_query_in_transaction(transaction, ENDLESS)
    with pytest.raises((TransactionError, TimedOut)):
        transaction.commit()
    assert adapter.table("notes").execute().rows == []


def test_a_write_that_was_stopped_in_a_nested_block_is_told_as_late(make: Make) -> None:
    """SQLite rolls back the whole transaction then, and the block's beginning is gone with it."""
    adapter = make(timeout=PATIENCE)
    with pytest.raises(TimedOut, match="rolled back"), adapter.transaction():
        adapter.run(Insert("notes", [{"id": "a"}]))
        with pytest.raises(TimedOut, match="stopped"), within(0.2), adapter.transaction():
            adapter.execute_query(ENDLESS_WRITE)
    assert adapter.table("notes").execute().rows == []


def test_a_connection_that_cannot_roll_back_is_given_up(make: Make) -> None:
    def deny(action: int, *_: object) -> int:
        return apsw.SQLITE_DENY if action == apsw.SQLITE_TRANSACTION else apsw.SQLITE_OK

    adapter = make()
    with pytest.raises(ZeroDivisionError), adapter.transaction() as transaction:
        adapter.run(Insert("notes", [{"id": "a"}]))
        cast(Any, transaction)._session._connection._db.authorizer = deny
        raise ZeroDivisionError
    adapter.run(Insert("notes", [{"id": "b"}]))
    assert adapter.table("notes").execute().rows == [{"id": "b", "body": None}]


def test_a_function_of_ours_is_stopped_at_the_deadline(make: Make) -> None:
    make().run(Insert("things", [thing("a", data=[[[0]]] * 300_000)]))
    adapter = make(timeout=1.0, circuit_breaker_threshold=1)
    with pytest.raises(Stopped):
        adapter.table("things").contains("data", [[[n]] for n in range(1, 80)]).execute()
    # The database did as it was told.
    assert adapter.pipeline.circuit_breaker.state == "closed"
    assert len(adapter.table("things").select("id").execute()) == 1


def test_many_costly_rows_are_stopped_at_the_deadline(make: Make) -> None:
    make().run(Insert("things", [thing(str(n), title="a" * 60_000) for n in range(200)]))
    adapter = make(timeout=1.0)
    query = adapter.table("things").select("id").like("title", "%" + "a" * 800 + "b%")
    with ThreadPoolExecutor(1) as thread, pytest.raises(Stopped):
        thread.submit(query.execute).result(timeout=PATIENCE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pattern=st.text("ab%_*?[]é", max_size=8),
    text=st.text("abAB*?[]éÉ", max_size=8),
)
def test_long_texts_match_as_short_ones_do(long_texts: SQLiteAdapter, pattern: str, text: str) -> None:
    titles = {"short": text, "long": "x" * 70_000 + text}
    for name, title in titles.items():
        long_texts.run(Update("things", {"title": title}, id=name))
    for operator in ("like", "ilike"):
        where = Where("title", operator, f"%{pattern}")
        expected = {name for name, title in titles.items() if evaluator(where, Steps())({"title": title})}
        assert {row["id"] for row in long_texts.run(Select("things", ("id",), where)).rows} == expected


@pytest.fixture
def long_texts(make: Make) -> SQLiteAdapter:
    adapter = make(synchronous="normal")
    adapter.run(Insert("things", [thing("short"), thing("long")]))
    return adapter


def test_lists_of_all_lengths_are_one_statement(make: Make) -> None:
    adapter = make()
    statements = adapter.backend._operations._table("things").statements
    shapes = {statements.shape(Where("rank", "in", tuple(range(length))), []) for length in range(20)}
    assert len(shapes) == 1
    (plan,) = adapter.execute_query(
        "explain query plan select * from things where id in (select value from json_each(?))", ['["a"]']
    )[:1]
    assert "USING INDEX" in plan["detail"]


def test_writers_of_one_process_queue_until_the_deadline(make: Make) -> None:
    adapter = make(timeout=1.0)
    patient = make()
    with patient.transaction():
        patient.run(Insert("things", [thing("a")]))
        for refused in (lambda: adapter.run_alone(Insert("things", [thing("b")])), adapter.begin_transaction):
            with pytest.raises(TimedOut):
                refused()
        assert adapter.run_alone(Get("things", "a")).rows == []
    assert [row["id"] for row in adapter.table("things").execute()] == ["a"]


def test_a_busy_writer_is_no_sign_of_an_ill_database(make: Make) -> None:
    adapter = make(timeout=1.0, circuit_breaker_threshold=1)
    # A transaction of its own would be rolled back at the very deadline that the others wait for.
    with adapter.backend._writing:
        for refused in (lambda: adapter.run_alone(Insert("things", [thing("b")])), adapter.begin_transaction):
            with pytest.raises(PoolExhausted):
                refused()
        assert adapter.pipeline.circuit_breaker.state == "closed"
        assert adapter.run_alone(Get("things", "b")).rows == []


def test_a_folder_is_made_where_it_is_missing(tmp_path: Path) -> None:
    adapter = SQLiteAdapter({"path": str(tmp_path / "new" / "folder" / "data.db")}, SCHEMA)
    assert adapter.connect() is True
    adapter.disconnect()


@pytest.mark.parametrize("place", ["file/data.db", "folder", "/proc/nobody/data.db"])
def test_a_place_that_cannot_be_written_is_a_failed_connection(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    adapter = SQLiteAdapter({"path": str(tmp_path / place), "retry_count": 0}, SCHEMA)
    for attempt in (lambda: adapter.get("things", "a"), adapter.begin_transaction):
        with pytest.raises(ConnectFailed):
            attempt()
    assert adapter.connect() is False
    adapter.disconnect()


def test_a_file_that_is_no_database_is_a_failed_connection(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    path.write_text("this is a letter, not a database " * 100)
    adapter = SQLiteAdapter({"path": str(path), "retry_count": 0}, SCHEMA)
    with pytest.raises(ConnectFailed):
        adapter.get("things", "a")
    adapter.disconnect()


def test_numbers_that_sqlite_cannot_hold_are_refused(make: Make) -> None:
    with pytest.raises(InvalidQuery):
        make().execute_query("select ?", [2**63])


@pytest.mark.parametrize("synchronous", ["full", "normal"])
def test_the_chosen_durability_is_used(make: Make, synchronous: str) -> None:
    level = {"full": 2, "normal": 1}[synchronous]
    assert make(synchronous=synchronous).execute_query("pragma synchronous") == [{"synchronous": level}]
    with pytest.raises(ValueError, match="'full' or 'normal'"):
        make(synchronous="off")
