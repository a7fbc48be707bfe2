"""Which queries a page of changes concerns."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set

import pytest
import sqlalchemy as sa

from database.changes.budget import MemoryBudget
from database.changes.budget import Share
from database.changes.feed import Change
from database.changes.feed import Changes
from database.changes.interest import ChangedRecords
from database.changes.interest import Interest
from database.columns import json
from database.columns import text
from database.core.errors import ConnectFailed
from database.core.errors import InvalidQuery
from database.core.operations import Select
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Row
from database.core.tables.schema import Schema

_METADATA = sa.MetaData()
sa.Table(
    "things",
    _METADATA,
    sa.Column("id", text(), primary_key=True),
    sa.Column("rank", sa.BigInteger),
    sa.Column("data", json()),
    info={"access": {"read": "public"}},
)
THINGS = Schema.of(_METADATA).table("things")
TABLES = frozenset({"things"})
HIGH = Where("rank", "gt", 10)


class Store:
    """The records of the table, which are read by their addresses.

    :ivar reads: counts.
    """

    def __init__(self, *rows: Row) -> None:
        self.rows = {row["id"]: row for row in rows}
        self.reads = 0
        self.fails = False

    def __call__(self, table: str, addresses: Set[str]) -> Sequence[Row] | None:
        assert table == "things"
        self.reads += 1
        if self.fails:
            raise ConnectFailed("down")
        return [self.rows[one] for one in addresses if one in self.rows]


def _row(key: str, rank: int | None = None, data: object = None) -> Row:
    return {"id": key, "rank": rank, "data": data}


def _page(*keys: str, table: str = "things") -> Changes:
    return Changes(tuple(Change(table, key, "update") for key in keys), "next")


def _interest(query: Select, *result: Row, budget: MemoryBudget | None = None) -> Interest:
    interest = Interest(THINGS, query)
    interest.note(result, Share(budget or MemoryBudget()))
    return interest


@pytest.mark.parametrize(
    ("stored", "concerned"),
    [
        ([_row("a", 11)], True),  # comes in
        ([_row("a", 9)], False),
        ([_row("a")], False),
        ([], False),  # deleted, and never in the result
    ],
)
def test_a_record_concerns_the_queries_that_it_matches(stored: list[Row], concerned: bool) -> None:
    interest = _interest(Select("things", where=HIGH), _row("b", 12))
    assert ChangedRecords(_page("a"), Store(*stored)).concern(TABLES, interest) is concerned


@pytest.mark.parametrize("stored", [[_row("a", 9)], []], ids=["leaves", "deleted"])
def test_a_record_of_the_last_result_concerns_its_query(stored: list[Row]) -> None:
    store = Store(*stored)
    assert ChangedRecords(_page("a"), store).concern(TABLES, _interest(Select("things", where=HIGH), _row("a", 11)))
    assert store.reads == 0


def test_the_records_of_a_page_are_read_once_for_all_queries() -> None:
    store = Store(*[_row(f"r{number}", number) for number in range(50)])
    changed = ChangedRecords(_page(*store.rows), store)
    interests = [_interest(Select("things", where=Where("rank", "eq", number))) for number in range(2_000)]
    assert sum(changed.concern(TABLES, interest) for interest in interests) == 50
    assert store.reads == 1


def test_documents_are_compared_as_documents() -> None:
    interest = _interest(Select("things", where=Where("data", "contains", {"on": True})))
    changed = ChangedRecords(_page("a"), Store(_row("a", data={"on": True, "at": 1})))
    assert changed.concern(TABLES, interest)
    assert not ChangedRecords(_page("a"), Store(_row("a", data={"on": 1}))).concern(TABLES, interest)


def test_what_cannot_be_told_is_run_again() -> None:
    store = Store()
    for query in (
        Select("things", ("rank",), HIGH),  # without the key
        Select("things", where=HIGH, order=(Order("rank"),), limit=2, offset=2),  # moved by records before it
    ):
        assert ChangedRecords(_page("a"), store).concern(TABLES, _interest(query))
    assert ChangedRecords(_page("a"), store).concern(TABLES, None)
    assert store.reads == 0


def test_without_memory_for_its_records_a_query_is_run_again() -> None:
    many, budget = [_row(str(number)) for number in range(1_000)], MemoryBudget(8_000)
    holding = _interest(Select("things", where=HIGH), *many, budget=budget)
    lacking = _interest(Select("things", where=HIGH), _row("b"), budget=budget)
    for interest, concerned in ((holding, False), (lacking, True)):
        assert ChangedRecords(_page("a"), Store()).concern(TABLES, interest) is concerned
    assert budget.used == 8_000


def test_a_result_that_outgrows_the_memory_gives_it_back() -> None:
    budget = MemoryBudget(800)
    interest, share = Interest(THINGS, Select("things", where=HIGH)), Share(budget)
    interest.note([_row("b")], share)
    assert budget.used == 8
    interest.forget()
    interest.note([_row(str(number)) for number in range(101)], share)
    assert (budget.used, share.refused) == (0, True)
    assert ChangedRecords(_page("a"), Store()).concern(TABLES, interest)


def test_while_a_query_runs_every_change_concerns_it() -> None:
    interest = _interest(Select("things", where=HIGH))
    interest.forget()
    assert ChangedRecords(_page("a"), Store()).concern(TABLES, interest)
    interest.note([], Share(MemoryBudget()))
    assert not ChangedRecords(_page("a"), Store()).concern(TABLES, interest)


def test_changes_of_other_tables_concern_nobody() -> None:
    changed = ChangedRecords(_page("a", table="notes"), Store())
    assert changed
    assert not changed.concern(TABLES, None)
    assert not ChangedRecords(_page(), Store())


def test_if_the_records_cannot_be_read_every_query_is_run_again() -> None:
    store = Store()
    store.fails = True
    changed = ChangedRecords(_page("a"), store)
    assert changed.concern(TABLES, _interest(Select("things", where=HIGH)))
    assert changed.concern(TABLES, _interest(Select("things", where=HIGH)))
    assert store.reads == 1


def test_after_very_many_changes_nothing_is_read() -> None:
    store = Store()
    changed = ChangedRecords(_page(*[str(number) for number in range(201)]), store)
    assert changed.concern(TABLES, _interest(Select("things", where=HIGH)))
    assert store.reads == 0


def test_if_anything_may_have_changed_every_query_is_concerned() -> None:
    assert ChangedRecords(None, Store()).concern(TABLES, _interest(Select("things", where=HIGH)))


def test_a_query_that_is_refused_has_no_interest() -> None:
    with pytest.raises(InvalidQuery, match="no column"):
        Interest(THINGS, Select("things", where=Where("nothing", "eq", 1)))
