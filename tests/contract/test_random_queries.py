"""At least a thousand random queries: the same rows in the same order from memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import note
from hypothesis import settings
from hypothesis import strategies as st

from database.adapters.base import DatabaseAdapter
from database.adapters.memory import MemoryAdapter
from database.adapters.postgres import PostgresAdapter
from database.adapters.sqlite import SQLiteAdapter
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.query import Where
from database.core.result import Row
from tests.contract import queries
from tests.contract.backends import sqlalchemy_url
from tests.contract.tables import SCHEMA
from tests.contract.tables import create_tables
from tests.servers.postgres import PostgresServer

TABLES = 150
QUERIES = 25
CHANGES = 4
WANTED = 1000


@pytest.fixture(scope="module")
def adapters(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[DatabaseAdapter]]:
    """Memory, which defines what is right, and the two that must answer alike."""
    path = tmp_path_factory.mktemp("random") / "random.db"
    with postgres_server.database() as database, ExitStack() as stack:
        create_tables(f"sqlite:///{path}")
        create_tables(sqlalchemy_url(database))
        adapters: list[DatabaseAdapter] = [
            MemoryAdapter(schema=SCHEMA),
            SQLiteAdapter({"path": str(path), "synchronous": "normal"}, SCHEMA),
            PostgresAdapter(asdict(database), SCHEMA),
        ]
        for adapter in adapters:
            stack.callback(adapter.disconnect)
        yield adapters


@pytest.mark.parametrize("queried", [queries.selects, queries.groups], ids=["rows", "groups"])
def test_random_queries_have_one_answer(
    adapters: list[DatabaseAdapter], queried: Callable[[list[Row]], st.SearchStrategy[Select]]
) -> None:
    asked: set[str] = set()

    @settings(max_examples=TABLES)
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        rows = data.draw(queries.rows())
        _fill(adapters, rows)
        for _ in range(QUERIES):
            query = data.draw(queried(rows))
            asked.add(f"{rows} {query}")
            _assert_same_answer(adapters, query)

    ask()
    assert len(asked) >= WANTED


def test_random_changes_reach_the_same_rows(adapters: list[DatabaseAdapter]) -> None:
    @settings(max_examples=TABLES)
    @given(data=st.data())
    def change(data: st.DataObject) -> None:
        rows = data.draw(queries.rows())
        _fill(adapters, rows)
        for _ in range(CHANGES):
            _assert_same_answer(adapters, data.draw(queries.changes(rows)))
            _assert_same_answer(adapters, Select("things"))

    change()


def _fill(adapters: list[DatabaseAdapter], rows: list[Row]) -> None:
    for adapter in adapters:
        adapter.run(Batch((Delete("things", where=Where("id", "is_null", False)), Insert("things", rows))))


def _assert_same_answer(adapters: list[DatabaseAdapter], operation: Operation) -> None:
    expected, *answers = [adapter.run(operation) for adapter in adapters]
    for adapter, answer in zip(adapters[1:], answers, strict=True):
        note(adapter.name)
        assert answer.rows == expected.rows
        assert queries.typed(answer.rows) == queries.typed(expected.rows)
        assert answer.count == expected.count
