"""A buffered transaction gives the answers of an ordinary one, and leaves the same rows."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.core.context import NO_CONTEXT
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Order
from database.core.query.filters import Where
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing
from tests.unit.adapters.buffered.loopback import LoopbackAdapter

IDS = ("a", "b", "c", "d", "e", "f")
TIMES = ("created_at", "updated_at")

ids = st.sampled_from(IDS)
ranks = st.integers(0, 3)
codes = st.sampled_from([None, "x", "y"])
things = st.builds(lambda name, rank, code: thing(name, rank=rank, code=code, data={"n": [rank]}), ids, ranks, codes)
by_rank = ranks.map(lambda rank: Where("rank", "gte", rank))
orders = st.sampled_from([(), (Order("rank"),), (Order("code", descending=True), Order("rank"))])
limits = st.one_of(st.none(), st.integers(0, 3))

operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(lambda row: Insert("things", [row]), things),
    st.builds(lambda row: Upsert("things", [row]), things),
    st.builds(
        lambda rows, ignored: Upsert("things", rows, on_conflict=("code",), ignore_duplicates=ignored),
        st.lists(things, min_size=1, max_size=3),
        st.booleans(),
    ),
    st.builds(lambda name, rank: Update("things", {"rank": rank}, id=name), ids, ranks),
    st.builds(lambda where, rank: Update("things", {"rank": rank}, where=where), by_rank, ranks),
    st.builds(lambda name: Delete("things", id=name, returning=True), ids),
    st.builds(lambda where: Delete("things", where=where), by_rank),
    st.builds(lambda name: Get("things", name), ids),
    st.builds(
        lambda where, order, limit, offset, count: Select("things", None, where, order, limit, offset, count),
        by_rank,
        orders,
        limits,
        limits,
        st.booleans(),
    ),
    st.builds(lambda: Select("things", group=("rank",), order=(Order("rank"),))),
    st.builds(lambda name: Insert("parts", [{"id": f"p{name}", "thing_id": name}]), ids),
    st.builds(lambda name: Delete("parts", id=f"p{name}"), ids),
)
scripts = st.lists(st.one_of(operations, st.sampled_from(["savepoint", "release", "undo"])), max_size=14)


@settings(max_examples=100)
@given(before=st.lists(things, max_size=5, unique_by=lambda row: row["id"]), script=scripts)
def test_a_buffered_transaction_is_like_any_other(before: list[dict[str, Any]], script: list[Any]) -> None:
    ordinary, buffered = MemoryAdapter(schema=SCHEMA), LoopbackAdapter(schema=SCHEMA)
    for row in before:
        row["code"] = None
        for adapter in (ordinary, buffered):
            adapter.run(Insert("things", [row]))
    expected = _run(ordinary, script)
    found = _run(buffered, script)
    if expected[-1] is ConstraintViolated:
        # What an ordinary transaction is told at once, a buffered one is told at its end, unless it holds by then.
        assert found[: len(expected) - 1] == expected[:-1]
        assert found[-1] in {ConstraintViolated, None}
    else:
        assert found == expected
    if found[-1] is expected[-1]:
        assert _rows(buffered) == _rows(ordinary)


def _run(adapter: DatabaseAdapter, script: list[Any]) -> list[Any]:
    """What each operation answered, and at the end the kind of error that there was."""
    answers: list[Any] = []
    transaction = adapter.begin_transaction()
    points: list[Any] = []
    try:
        for step in script:
            if step == "savepoint":
                points.append(transaction.nested())
                points[-1].__enter__()
            elif isinstance(step, str):
                if points:
                    _leave(points.pop(), undo=step == "undo")
            else:
                answers.append(_answer(transaction.execute(step, NO_CONTEXT)))
        transaction.commit()
        answers.append(None)
    except DataError as error:
        transaction.rollback()
        answers.append(type(error))
    return answers


def _leave(point: Any, *, undo: bool) -> None:
    if undo:
        error = ZeroDivisionError()
        assert point.__exit__(type(error), error, None) is False
    else:
        point.__exit__(None, None, None)


def _answer(result: Any) -> Any:
    return [_untimed(row) for row in result.rows], result.count


def _rows(adapter: DatabaseAdapter) -> list[Any]:
    return [[_untimed(row) for row in adapter.table(table).execute()] for table in ("things", "parts")]


def _untimed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in TIMES}
