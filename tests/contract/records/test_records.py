"""Writing and reading single records, and the columns that are filled in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from uuid import UUID

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidRow
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.contract.tables import thing


def test_what_was_inserted_is_returned_and_can_be_read(adapter: DatabaseAdapter) -> None:
    (inserted,) = adapter.table("things").insert({"label": "water", "amount": 3}).execute()
    assert adapter.get("things", inserted["id"]) == inserted
    assert inserted["label"] == "water"
    assert inserted["amount"] == 3


def test_what_a_row_lacks_is_filled_in(adapter: DatabaseAdapter) -> None:
    before = datetime.now(UTC)
    (row,) = adapter.table("things").insert({"label": "a"}).execute()
    after = datetime.now(UTC)
    assert UUID(row["id"]).version == 7
    assert row["version"] == 1
    assert before <= row["created_at"] == row["updated_at"] <= after
    assert row["created_at"].tzinfo is UTC
    assert row["rank"] == 0
    assert row["title"] is None


def test_ids_that_are_made_sort_by_time(adapter: DatabaseAdapter) -> None:
    for label in "abc":
        adapter.run(Insert("things", [{"label": label}] * 2))
    rows = adapter.table("things").select("label").execute()
    assert [row["label"] for row in rows] == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 300])
def test_many_rows_are_inserted_in_the_order_given(adapter: DatabaseAdapter, count: int) -> None:
    rows = [thing(f"id-{number:03}", amount=number if number % 2 else None) for number in range(count)]
    result = adapter.run(Insert("things", rows))
    assert result.count == count
    assert [row["id"] for row in result] == [row["id"] for row in rows]
    assert adapter.table("things").select().execute().rows == result.rows


@pytest.mark.parametrize(("count", "verbatim"), [(1, False), (30, False), (30, True)])
def test_a_prepared_insert_stores_what_it_would_store_otherwise(
    adapter: DatabaseAdapter, count: int, *, verbatim: bool
) -> None:
    rows = [thing(f"id-{number:03}", title="a\tb\\\n" if number % 2 else None) for number in range(count)]
    prepared = adapter.prepared(Insert("things", rows, returning=False, verbatim=verbatim))
    with adapter.transaction():
        assert adapter.run(prepared).count == count
    stored = adapter.table("things").select().execute().rows
    assert [(row["id"], row["title"]) for row in stored] == [(row["id"], row["title"]) for row in rows]
    with pytest.raises(ConstraintViolated):
        adapter.run(prepared)


def test_a_prepared_insert_of_other_rows_stores_those(adapter: DatabaseAdapter) -> None:
    prepared = adapter.prepared(Insert("things", [thing("a"), thing("b")], returning=False))
    adapter.run(replace(prepared, rows=[thing("c"), thing("d")]))
    assert [row["id"] for row in adapter.table("things").select("id").execute()] == ["c", "d"]


def test_an_invalid_row_is_refused_before_it_is_stored(adapter: DatabaseAdapter) -> None:
    with pytest.raises(InvalidRow) as refused:
        adapter.run(adapter.prepared(Insert("things", [thing("a"), thing("b", rank="first")], returning=False)))
    assert (refused.value.row, refused.value.column) == (1, "rank")
    assert not adapter.table("things").select().execute().rows


def test_rows_of_one_insert_may_give_different_columns(adapter: DatabaseAdapter) -> None:
    result = adapter.run(Insert("things", [thing("a", rank=5), thing("b", title="two")]))
    assert [(row["rank"], row["title"]) for row in result] == [(5, None), (0, "two")]
    assert adapter.table("things").select().execute().rows == result.rows


def test_rows_are_returned_only_on_demand(adapter: DatabaseAdapter) -> None:
    operations: tuple[tuple[Operation, int], ...] = (
        (Insert("things", [thing("a"), thing("b")], returning=False), 2),
        (Upsert("things", [thing("a"), thing("c")], returning=False), 2),
        (Update("things", {"rank": 1}, id="a", returning=False), 1),
        (Delete("things", id="a"), 1),
    )
    for operation, count in operations:
        result = adapter.run(operation)
        assert (result.rows, result.count) == ([], count)


def test_a_record_that_is_not_there_is_none(adapter: DatabaseAdapter) -> None:
    assert adapter.get("things", "nobody") is None
    assert adapter.run(Get("things", "nobody")).first is None


def test_chosen_columns_come_in_the_order_chosen(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", rank=2)]))
    chosen = adapter.get("things", "a", ("rank", "id"))
    assert chosen is not None
    assert list(chosen.items()) == [("rank", 2), ("id", "a")]
    (selected,) = adapter.table("things").select("rank, id").execute()
    assert selected == chosen


def test_an_update_changes_the_given_columns_and_counts_the_version(adapter: DatabaseAdapter) -> None:
    (old,) = adapter.run(Insert("things", [thing("a", rank=1, title="old")]))
    (new,) = adapter.run(Update("things", {"title": None}, id="a"))
    assert new == old | {"title": None, "version": 2, "updated_at": new["updated_at"]}
    assert new["updated_at"] > old["updated_at"]
    assert adapter.get("things", "a") == new


def test_an_update_by_filter_returns_its_rows_by_id(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("c", rank=1), thing("a", rank=1), thing("b", rank=2)]))
    result = adapter.table("things").update({"title": "x"}).eq("rank", 1).execute()
    assert [(row["id"], row["title"], row["version"]) for row in result] == [("a", "x", 2), ("c", "x", 2)]
    assert result.count == 2


def test_an_update_that_finds_nothing_changes_nothing(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a")]))
    result = adapter.run(Update("things", {"rank": 1}, id="b"))
    assert (result.rows, result.count) == ([], 0)


@pytest.mark.parametrize("how", [Update, Upsert])
def test_a_clock_that_is_set_back_does_not_make_a_change_an_earlier_one(
    adapter: DatabaseAdapter, how: type[Operation]
) -> None:
    """A time ahead of the clock stays; one more than a day ahead is not believed, or it would stay for ever."""
    now = datetime.now(UTC)
    ahead, absurd = now + timedelta(hours=1), now + timedelta(days=2)
    for moment in (ahead, absurd):
        adapter.run(Upsert("things", [{"id": "a", "label": "old", "updated_at": moment}]))
        if how is Update:
            adapter.run(Update("things", {"label": "new"}, id="a"))
        else:
            adapter.run(Upsert("things", [{"id": "a", "label": "new"}]))
        found = adapter.get("things", "a", ("updated_at", "label"))
        assert found is not None
        assert found["label"] == "new"
        assert found["updated_at"] == ahead if moment == ahead else now <= found["updated_at"] < ahead


def test_updated_at_may_be_given(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a")]))
    moment = datetime(2001, 2, 3, tzinfo=UTC)
    (row,) = adapter.run(Update("things", {"updated_at": moment}, id="a"))
    assert row["updated_at"] == moment


def test_a_delete_returns_what_it_took_away(adapter: DatabaseAdapter) -> None:
    inserted = adapter.run(Insert("things", [thing("b"), thing("a"), thing("c")]))
    result = adapter.table("things").delete().in_("id", ["b", "a", "x"]).execute()
    assert result.rows == [inserted.rows[1], inserted.rows[0]]
    assert [row["id"] for row in adapter.table("things").select().execute()] == ["c"]
    assert adapter.run(Delete("things", id="a", returning=True)).rows == []


def test_the_expected_version_is_let_through(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a")]))
    assert adapter.run(Update("things", {"rank": 1}, id="a", expected_version=1)).count == 1
    assert adapter.run(Delete("things", id="a", expected_version=2)).count == 1


def test_another_version_is_a_conflict_and_changes_nothing(adapter: DatabaseAdapter) -> None:
    (row,) = adapter.run(Insert("things", [thing("a")]))
    with pytest.raises(Conflict, match="version 1, not 2"):
        adapter.run(Update("things", {"rank": 1}, id="a", expected_version=2))
    with pytest.raises(Conflict, match="version 1, not 7"):
        adapter.run(Delete("things", id="a", expected_version=7))
    assert adapter.get("things", "a") == row


def test_an_expected_version_of_nothing_is_no_conflict(adapter: DatabaseAdapter) -> None:
    assert adapter.run(Update("things", {"rank": 1}, id="a", expected_version=1)).count == 0
    assert adapter.run(Delete("things", id="a", expected_version=1)).count == 0


def test_an_upsert_inserts_or_updates_the_given_columns(adapter: DatabaseAdapter) -> None:
    (old,) = adapter.run(Insert("things", [thing("a", rank=1, title="kept")]))
    new, other = adapter.run(Upsert("things", [thing("a", rank=2), thing("b", rank=3)]))
    assert new == old | {"rank": 2, "version": 2, "updated_at": new["updated_at"]}
    assert new["updated_at"] > old["updated_at"]
    assert (other["id"], other["rank"], other["version"]) == ("b", 3, 1)
    assert adapter.table("things").select().execute().rows == [new, other]


def test_an_upsert_can_meet_its_own_rows(adapter: DatabaseAdapter) -> None:
    first, second = adapter.run(Upsert("things", [thing("a", title="x"), thing("a", rank=9)]))
    assert (first["version"], second["version"]) == (1, 2)
    assert (second["title"], second["rank"]) == ("x", 9)


def test_an_upsert_leaves_managed_columns_alone(adapter: DatabaseAdapter) -> None:
    (old,) = adapter.run(Insert("things", [thing("a")]))
    given = {"version": 40, "created_at": old["created_at"] - timedelta(days=1)}
    (new,) = adapter.run(Upsert("things", [thing("a", **given)]))
    assert (new["version"], new["created_at"]) == (2, old["created_at"])


def test_rows_are_stored_verbatim_whatever_was_there(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", rank=1, code="x", title="gone", data={"a": 1})]))
    moment = datetime(2001, 2, 3, 4, 5, 6, 7, UTC)
    own = {"version": 40, "created_at": moment, "updated_at": moment + timedelta(microseconds=1)}
    given = [thing("a", rank=2, code="x", **own), thing("b", **own)]
    for operation in (Upsert("things", given, verbatim=True), Upsert("things", given[:1], verbatim=True)):
        stored = adapter.run(operation)
        rows = adapter.table("things").select().execute().rows
        assert rows[: len(stored)] == stored.rows
        assert [row | given for row, given in zip(rows, given, strict=True)] == rows
    assert [(row["title"], row["data"], row["rank"]) for row in rows] == [(None, None, 2), (None, None, 0)]


def test_a_verbatim_row_in_a_transaction_is_as_verbatim(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a")]))
    with adapter.transaction():
        adapter.run(Update("things", {"rank": 1}, id="a"))
        adapter.run(Upsert("things", [thing("a", rank=2, version=1)], returning=False, verbatim=True))
        adapter.run(Upsert("notes", [{"id": "n"}], verbatim=True))
    assert adapter.get("things", "a", ("rank", "version")) == {"rank": 2, "version": 1}
    adapter.run(Upsert("notes", [{"id": "n", "body": "x"}], verbatim=True))
    assert adapter.get("notes", "n") == {"id": "n", "body": "x"}


def test_many_verbatim_rows_are_stored_without_being_returned(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", rank=1, title="gone")]))
    given = [thing("a", version=7), *(thing(f"b{n:02}", version=n) for n in range(30)), thing("a", rank=5, version=9)]
    stored = adapter.run(Upsert("things", given, returning=False, verbatim=True))
    assert (stored.rows, stored.count) == ([], 32)
    rows = adapter.table("things").select("id", "title", "rank", "version").execute().rows
    assert [(row["id"], row["version"]) for row in rows] == [("a", 9), *((f"b{n:02}", n) for n in range(30))]
    assert (rows[0]["title"], rows[0]["rank"]) == (None, 5)


def test_an_upsert_on_a_plain_table(adapter: DatabaseAdapter) -> None:
    adapter.run(Upsert("notes", [{"id": "a"}, {"id": "b", "body": "x"}]))
    adapter.run(Upsert("notes", [{"id": "a", "body": "y"}, {"id": "b"}]))
    rows = adapter.table("notes").select().execute().rows
    assert rows == [{"id": "a", "body": "y"}, {"id": "b", "body": "x"}]


def test_results_are_the_callers_own(adapter: DatabaseAdapter) -> None:
    given = {"list": [1], "object": {"a": 1}}
    (inserted,) = adapter.run(Insert("things", [thing("a", data=given)]))
    given["list"] = []
    (selected,) = adapter.table("things").select().execute()
    selected["data"]["list"].append(2)
    selected["label"] = "changed"
    inserted["data"]["object"].clear()
    with adapter.transaction():
        (inside,) = adapter.table("things").select().execute()
        inside["data"].clear()
    row = adapter.get("things", "a")
    assert row is not None
    assert (row["label"], row["data"]) == ("a", {"list": [1], "object": {"a": 1}})


def test_a_filter_is_no_part_of_the_callers_list(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a"), thing("b")]))
    wanted = ["a"]
    condition = Where("id", "in", wanted)
    assert len(adapter.table("things").where(condition).execute()) == 1
    wanted.append("b")
    assert len(adapter.table("things").where(condition).execute()) == 2
