"""At least a thousand random queries: the same rows in the same order from every backend, bare and with faults."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import note
from hypothesis import settings
from hypothesis import strategies as st

from database.adapter.base import DatabaseAdapter
from database.backends.faulty import Faults
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.result import Row
from tests.contract.backends import BACKENDS
from tests.contract.backends import Backend
from tests.contract.conftest import faulty
from tests.contract.queries import generated

TABLES = 15
QUERIES = 25
CHANGES = 4
WANTED = 200
RATES = {"refuse": 0.002, "error_before": 0.002}
"""Of the attempts that fail and are repeated, for every other query: so few that none fails too often in a row."""


@pytest.fixture(scope="module")
def backends(request: pytest.FixtureRequest) -> Iterator[list[Backend]]:
    """All backends; the first, memory, gives the expected results."""
    with ExitStack() as stack:
        backends = []
        for case in BACKENDS:
            backends.append(Backend.prepared(case, request))
            stack.callback(backends[-1].adapter.disconnect)
        yield backends


@pytest.fixture(scope="module")
def faulty_ones(backends: list[Backend]) -> list[DatabaseAdapter]:
    """Adapters of the same databases that fail now and then."""
    return [faulty(backend, Faults(**RATES)) for backend in backends]


@pytest.mark.parametrize("queried", [generated.selects, generated.groups], ids=["rows", "groups"])
def test_random_queries_have_one_answer(
    backends: list[Backend],
    faulty_ones: list[DatabaseAdapter],
    queried: Callable[[list[Row]], st.SearchStrategy[Select]],
) -> None:
    asked: set[str] = set()

    @settings(max_examples=TABLES)
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        table = data.draw(generated.tables())
        rows = data.draw(generated.rows(table))
        _fill(backends, table, rows)
        for _ in range(QUERIES):
            query = data.draw(queried(rows))
            # Half of what is drawn was drawn before. What fails is not remembered, so that it fails again.
            if (question := f"{rows} {query}") not in asked:
                _assert_same_answer(backends, query, faulty_ones if len(asked) % 2 else None)
                asked.add(question)

    ask()
    assert len(asked) >= WANTED


def test_random_changes_reach_the_same_rows(backends: list[Backend], faulty_ones: list[DatabaseAdapter]) -> None:
    @settings(max_examples=TABLES)
    @given(data=st.data())
    def change(data: st.DataObject) -> None:
        table = data.draw(generated.tables())
        rows = data.draw(generated.rows(table))
        _fill(backends, table, rows)
        for number in range(CHANGES):
            _assert_same_answer(backends, data.draw(generated.changes(rows)), faulty_ones if number % 2 else None)
            _assert_same_answer(backends, Select(table))

    change()


def _fill(backends: list[Backend], table: str, rows: list[Row]) -> None:
    for backend in backends:
        backend.clear()
        backend.adapter.run(Insert(table, rows))


def _assert_same_answer(
    backends: list[Backend], operation: Operation, adapters: list[DatabaseAdapter] | None = None
) -> None:
    """:param adapters: those of the backends to ask, if it is not their own."""
    asked = adapters or [backend.adapter for backend in backends]
    expected, *answers = [adapter.run(operation) for adapter in asked]
    for backend, answer in zip(backends[1:], answers, strict=True):
        note(backend.case.name)
        assert answer.rows == expected.rows
        for row, other in zip(answer.rows, expected.rows, strict=True):
            for name, value in row.items():
                exact = name != "data" or backend.case.capabilities.json_number_types
                assert generated.typed(value, exact=exact) == generated.typed(other[name], exact=exact)
        assert answer.count == expected.count
