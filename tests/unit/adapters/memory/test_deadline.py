"""Queries in memory end at their deadline, whatever they ask for."""

from __future__ import annotations

import pytest

from database.backends.buffered.replica import Loaded
from database.backends.buffered.replica import Replica
from database.backends.memory import MemoryAdapter
from database.core.clock import monotonic
from database.core.errors import Stopped
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import Update
from database.core.query.filters import Order
from database.core.query.filters import Where
from tests.contract.lateness import within
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing

MANY = 5000
ROWS = [thing(f"{number:05}", rank=number, title="a" * 200, data=[[[0]]] * 20) for number in range(MANY)]

SLOW: list[Operation] = [
    Select("things", where=Where("title", "like", "%" + "a_" * 50 + "b%")),
    Select("things", where=Where("title", "ilike", "%" + "a" * 90 + "b%")),
    Select("things", where=Where("title", "contains", "b")),
    Select("things", where=Where("data", "contains", [[[1]], [[2]]])),
    Select("things", where=Where("rank", "in", list(range(MANY, MANY + 1000)))),
    Select("things", order=(Order("title"), Order("rank"))),
    Select("things", group=("rank",)),
    Update("things", {"title": "b"}, where=Where("title", "eq", "b")),
    Sql("select id from things where title like %s", ["%b%"]),
]


@pytest.mark.parametrize("operation", SLOW, ids=str)
def test_a_query_is_stopped_at_its_deadline(operation: Operation) -> None:
    replica = Replica(SCHEMA, [], 0)
    rows = [dict.fromkeys(SCHEMA.table("things").columns) | row for row in ROWS]
    replica.load(SCHEMA.table("things"), [Loaded(row, row, spoiled=False) for row in rows])
    with pytest.raises(Stopped):
        replica.execute(operation, monotonic())
    assert replica.execute(Select("things", ("id",), limit=1), monotonic() + 60).rows == [{"id": "00000"}]


def test_the_deadline_of_a_call_is_that_of_its_query() -> None:
    adapter = MemoryAdapter({"timeout": 0, "circuit_breaker_threshold": 1, "retry_count": 0}, SCHEMA)
    adapter.run(Insert("things", [thing("a", data=[[[0]]] * 150_000)]))
    with within(0.2), pytest.raises(Stopped):
        adapter.table("things").contains("data", [[[number]] for number in range(1, 80)]).execute()
    with within(0.2), pytest.raises(Stopped), adapter.transaction():
        adapter.table("things").contains("data", [[[number]] for number in range(1, 80)]).execute()
    assert len(adapter.table("things").select("id").execute()) == 1
