"""A record with an invalid value, written by another program, is unreadable itself, but affects no other record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import nullcontext
from queue import SimpleQueue
from typing import Any

import pytest

from database.core.errors import UnreadableRecord
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Result
from tests.contract.backends import TIMEOUT
from tests.contract.backends import Backend
from tests.contract.foreign import ForeignProgram
from tests.contract.foreign import PostgresProgram
from tests.contract.foreign import SqliteProgram
from tests.contract.tables import thing

GOOD = ["a", "m", "z"]


@pytest.fixture
def program(backend: Backend) -> ForeignProgram:
    """Another program, on tables with three good rows and all kinds of bad ones between them."""
    assert backend.foreign is not None
    moments = ["2025-01-01T00:00:00Z", None, "2027-01-01T00:00:00Z"]
    values = zip(GOOD, moments, (1.5, None, -2.0), strict=True)
    rows = [thing(id_, seen=seen, ratio=ratio, data={"a": 1}) for id_, seen, ratio in values]
    backend.adapter.run(Insert("things", rows))
    for id_, (column, value) in bad_rows(backend.foreign):
        backend.foreign.write(id_, column, value)
    return backend.foreign


@pytest.fixture(params=["alone", "in a transaction"])
def around(request: pytest.FixtureRequest, backend: Backend) -> AbstractContextManager[object]:
    return nullcontext() if request.param == "alone" else backend.adapter.transaction()


def bad_rows(program: ForeignProgram) -> Iterator[tuple[str, tuple[str, Any]]]:
    for number, spoiled in enumerate(program.bad):
        yield f"n{number}", spoiled


def columns(program: ForeignProgram) -> dict[str, str]:
    return {id_: column for id_, (column, _) in bad_rows(program)}


def spoiled_version(backend: Backend) -> int:
    """Where a SQL database counts the versions of those who do not, the other program has made two of a row."""
    return 2 if isinstance(backend.foreign, PostgresProgram | SqliteProgram) else 1


def entries(result: Result) -> list[str | None]:
    """The ids of all rows, in order."""
    found: list[str | None] = [row["id"] for row in result.rows]
    for bad in result.unreadable:
        found.insert(bad.place, bad.id)
    return found


def test_it_is_named_and_the_others_are_listed(
    backend: Backend, program: ForeignProgram, around: AbstractContextManager[object]
) -> None:
    expected = columns(program)
    with around:
        result = backend.adapter.run(Select("things", count=True))
        assert [row["id"] for row in result] == GOOD
        assert {bad.id: bad.column for bad in result.unreadable} == expected
        assert {bad.table for bad in result.unreadable} == {"things"}
        assert entries(result) == sorted([*GOOD, *expected])
        assert result.count == len(GOOD) + len(expected)
        assert len(backend.adapter.run(Select("things", ("id", "label"))).rows) == result.count
        for id_, column in expected.items():
            with pytest.raises(UnreadableRecord) as error:
                backend.adapter.get("things", id_)
            assert (error.value.table, error.value.record_id, error.value.column) == ("things", id_, column)
            assert backend.adapter.get("things", id_, ("id", "label")) == thing(id_)


@pytest.mark.parametrize("column", ["id", "seen", "ratio"])
def test_a_transaction_sees_what_is_seen_without(backend: Backend, program: ForeignProgram, column: str) -> None:
    filters = [
        Where("seen", "gt", "2026-06-01T00:00:00Z"),
        Where("seen", "lte", "2026-06-01T00:00:00Z"),
        Where("seen", "in", ["2025-01-01T00:00:00Z"]),
        Where("ratio", "lt", 0.0) | Where("ratio", "neq", 1.5),
        ~Where("ratio", "eq", 1.5),
        Where("data", "contains", {"a": 1}),
    ]
    operations: list[Operation] = [Select("things", where=where, order=(Order(column),)) for where in filters]
    for descending in (False, True):
        order = (Order(column, descending),)
        operations += [Select("things", order=order, limit=4), Select("things", order=order, limit=3, offset=2)]
    alone = [backend.adapter.run(operation) for operation in operations]
    with backend.adapter.transaction():
        together = [backend.adapter.run(operation) for operation in operations]
    assert list(map(entries, together)) == list(map(entries, alone))
    assert [result.rows for result in together] == [result.rows for result in alone]


def test_groups_are_counted_and_what_cannot_be_read_is_named(
    backend: Backend, program: ForeignProgram, around: AbstractContextManager[object]
) -> None:
    with around:
        by_label = backend.adapter.run(Select("things", group=("rank",)))
        assert by_label.rows == [{"rank": 0, "count": len(GOOD) + len(columns(program))}]
        by_ratio = backend.adapter.run(Select("things", group=("ratio",)))
    bad = [column for column in columns(program).values() if column == "ratio"]
    assert [one.column for one in by_ratio.unreadable] == bad
    assert sum(row["count"] for row in by_ratio.rows) == len(GOOD) + len(columns(program)) - len(bad)


def test_writes_beside_it_go_on(backend: Backend, program: ForeignProgram) -> None:
    adapter = backend.adapter
    with adapter.transaction():
        for where in (None, Where("label", "neq", "nobody")):
            assert len(adapter.run(Select("things", where=where)).rows) == len(GOOD)
        adapter.run(Insert("things", [thing("new")]))
        adapter.run(Update("things", {"title": "changed"}, id="m"))
        adapter.run(Delete("things", id="z"))
    assert [row["id"] for row in adapter.run(Select("things"))] == ["a", "m", "new"]
    assert len(adapter.run(Select("things")).unreadable) == len(columns(program))


@pytest.mark.parametrize("verb", ["update", "upsert", "replace", "delete"])
def test_it_can_be_mended_and_deleted(
    backend: Backend, program: ForeignProgram, around: AbstractContextManager[object], verb: str
) -> None:
    adapter = backend.adapter
    with around:
        for id_, column in columns(program).items():
            if verb == "update":
                row = adapter.run(Update("things", {column: None}, id=id_)).first
                assert row is not None
                assert (row[column], row["label"]) == (None, id_)
                assert row["version"] == spoiled_version(backend) + 1
            elif verb == "delete":
                assert adapter.run(Delete("things", id=id_)).count == 1
            else:
                row = {**thing(id_), column: None, "version": 7}
                adapter.run(Upsert("things", [row], verbatim=verb == "replace"))
    result = adapter.run(Select("things"))
    assert not result.unreadable
    assert [row["id"] for row in result] == sorted([*GOOD, *(() if verb == "delete" else columns(program))])


def test_what_is_bad_stays_as_it_is_if_something_else_is_changed(backend: Backend, program: ForeignProgram) -> None:
    adapter = backend.adapter
    with adapter.transaction():
        changed = adapter.run(Update("things", {"label": "new"}, where=Where("rank", "eq", 0)))
        assert changed.count == len(GOOD) + len(columns(program))
        assert [row["id"] for row in changed.rows] == GOOD
        assert {bad.id: bad.column for bad in changed.unreadable} == columns(program)
    assert {bad.id: bad.column for bad in adapter.run(Select("things")).unreadable} == columns(program)
    found = adapter.run(Select("things", ("id", "label", "version")))
    rows = {row["id"]: (row["label"], row["version"]) for row in found}
    spoiled = dict.fromkeys(columns(program), ("new", spoiled_version(backend) + 1))
    assert rows == dict.fromkeys(GOOD, ("new", 2)) | spoiled
    for id_, column in columns(program).items():
        # As it was: it is found among the rows that have something there.
        assert adapter.run(Select("things", ("id",), Where("id", "eq", id_) & Where(column, "is_null", False))).rows


def test_what_is_spelled_otherwise_can_be_read_and_changed(backend: Backend) -> None:
    assert backend.foreign is not None
    adapter = backend.adapter
    for number, (column, value) in enumerate(backend.foreign.odd):
        backend.foreign.write(f"n{number}", column, value)
    with adapter.transaction():
        for where in (None, Where("label", "neq", "nobody")):
            assert len(adapter.run(Select("things", where=where)).rows) == len(backend.foreign.odd)
        adapter.run(Insert("things", [thing("new")]))
    assert adapter.run(Update("things", {"title": "changed"}, id="n0")).count == 1
    with adapter.transaction():
        assert adapter.run(Delete("things", where=Where("label", "neq", "new"))).count == len(backend.foreign.odd)
    assert [row["id"] for row in adapter.run(Select("things"))] == ["new"]


def test_a_filter_deletes_it_as_any_other(backend: Backend, program: ForeignProgram) -> None:
    adapter = backend.adapter
    with adapter.transaction():
        result = adapter.run(Delete("things", where=Where("label", "neq", "m"), returning=True))
    assert result.count == len(GOOD) - 1 + len(columns(program))
    assert sorted(result.ids) == sorted([*columns(program), "a", "z"])
    assert [row["id"] for row in adapter.run(Select("things", ("id",)))] == ["m"]


def test_a_batch_and_sql_text_say_it(backend: Backend, program: ForeignProgram) -> None:
    adapter = backend.adapter
    first, second = adapter.run(Batch((Select("things"), Select("things", ("id",))))).parts
    assert {bad.id: bad.column for bad in first.unreadable} == columns(program)
    assert len(second.rows) == len(GOOD) + len(columns(program))
    assert len(adapter.execute_query("select id, label from things")) == len(second.rows)


def test_it_is_no_outage(backend: Backend, program: ForeignProgram) -> None:
    adapter = backend.another(circuit_breaker_threshold=1, retry_count=0)
    for _ in range(3):
        assert len(adapter.run(Select("things")).rows) == len(GOOD)
        for id_ in columns(program):
            with pytest.raises(UnreadableRecord):
                adapter.get("things", id_)
    assert adapter.get("things", "a") is not None
    adapter.disconnect()


def test_a_subscription_goes_on(backend: Backend) -> None:
    assert backend.foreign is not None
    told: SimpleQueue[Exception] = SimpleQueue()
    results: SimpleQueue[list[Any]] = SimpleQueue()
    subscription = backend.adapter.table("things").subscribe(results.put, on_error=told.put)
    assert results.get(timeout=TIMEOUT) == []
    backend.foreign.write("bad", *backend.foreign.bad[0])
    error = told.get(timeout=TIMEOUT)
    assert isinstance(error, UnreadableRecord)
    assert error.record_id == "bad"
    backend.adapter.run(Insert("things", [thing("good")]))
    while [row["id"] for row in results.get(timeout=TIMEOUT)] != ["good"]:
        pass
    assert subscription.active
    subscription.unsubscribe()


def test_sql_text_says_which_column_cannot_be_read(backend: Backend, program: ForeignProgram) -> None:
    adapter = backend.adapter
    shown = [(id_, column) for id_, column in columns(program).items() if not is_plain_in_sql(backend, column)]
    assert shown
    for id_, column in shown:
        for text in (
            f"select id, {column} from things where id = %s",
            f"SELECT id, {column} FROM things WHERE id = ?;",
        ):
            with pytest.raises(UnreadableRecord, match=f"column '{column}'"):
                adapter.execute_query(text, [id_])
    assert adapter.execute_query("select id from things where id = %s", ["n0"]) == [{"id": "n0"}]


def is_plain_in_sql(backend: Backend, column: str) -> bool:
    """Whether SQL text returns the driver's value, regardless of the column's type."""
    if backend.adapter.capabilities.sql == "translated":
        return False
    return column != "title" if backend.case.name == "sqlite" else column in {"ratio", "tags"}
