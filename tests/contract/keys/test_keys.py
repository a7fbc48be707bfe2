"""Keys of any name, of text, UUIDs and integers, of one column and of several."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple
from uuid import UUID

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import as_application
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.filters import after
from database.core.result import Row
from tests.contract.tables import SCHEMA


class Keyed(NamedTuple):
    """A table with another key.

    :ivar keys: of records, in their order, with the address of each.
    """

    table: str
    keys: list[tuple[Row, str]]


_UUIDS = [f"0189{n:04}-0000-7000-8000-00000000000a" for n in range(4)]
CASES = [
    Keyed("elements", [({"symbol": name}, name) for name in ("H", "He,~/2", "a b", "é")]),
    Keyed("devices", [({"device_id": name}, name) for name in _UUIDS]),
    Keyed("lots", [({"number": n}, str(n)) for n in (-(2**63), -1, 9, 10, 2**63 - 1)]),
    Keyed(
        "grades",
        [
            ({"course": "", "attempt": -5}, ",-5"),
            ({"course": "a", "attempt": 9}, "a,9"),
            ({"course": "a", "attempt": 10}, "a,10"),
            ({"course": "a,9", "attempt": 1}, "a~29,1"),
            ({"course": "a~2/", "attempt": 1}, "a~02~1,1"),
        ],
    ),
]

keyed = pytest.mark.parametrize("case", CASES, ids=lambda case: case.table)


def _rows(case: Keyed) -> list[Row]:
    return [{**key, "name": f"n{place}", "data": {"at": place}} for place, (key, _) in enumerate(case.keys)]


def _filled(adapter: DatabaseAdapter, case: Keyed) -> list[Row]:
    return adapter.run(Insert(case.table, _rows(case)[::-1])).rows[::-1]


@keyed
def test_a_record_is_found_by_its_key(adapter: DatabaseAdapter, case: Keyed) -> None:
    rows = _filled(adapter, case)
    order = SCHEMA.table(case.table).key
    for row, (key, address) in zip(rows, case.keys, strict=True):
        for given in (address, key, tuple(key[name] for name in order)):
            result = adapter.run(Get(case.table, given))
            assert result.rows == [row]
            assert result.ids == [address]
        assert adapter.run(Get(case.table, address, ("name",))).rows == [{"name": row["name"]}]
    assert adapter.run(Select(case.table)).rows == rows


@keyed
def test_a_key_that_is_taken_is_refused(adapter: DatabaseAdapter, case: Keyed) -> None:
    row = _filled(adapter, case)[0]
    with pytest.raises(ConstraintViolated):
        adapter.run(Insert(case.table, [{**case.keys[0][0], "name": "other"}]))
    assert adapter.run(Get(case.table, case.keys[0][1])).rows == [row]


@keyed
def test_a_record_is_changed_and_deleted_by_its_key(adapter: DatabaseAdapter, case: Keyed) -> None:
    rows = _filled(adapter, case)
    address, other = case.keys[1][1], case.keys[2][1]
    changed = adapter.run(Update(case.table, {"name": "new"}, address))
    assert (changed.count, changed.rows[0]["name"]) == (1, "new")
    if "version" in rows[1]:
        assert changed.rows[0]["version"] == rows[1]["version"] + 1
    assert adapter.run(Update(case.table, {"name": "no"}, address, where=Where("name", "eq", "old"))).count == 0
    assert adapter.run(Delete(case.table, other, returning=True)).rows == [rows[2]]
    assert adapter.run(Delete(case.table, other)).count == 0
    assert adapter.run(Select(case.table)).rows == [rows[0], changed.rows[0], *rows[3:]]
    with pytest.raises(InvalidQuery, match="cannot be updated"):
        adapter.run(Update(case.table, case.keys[3][0], address))


@keyed
def test_rows_of_a_change_come_in_the_order_of_their_keys(adapter: DatabaseAdapter, case: Keyed) -> None:
    rows = _filled(adapter, case)
    every = Where("name", "like", "n%")
    named = adapter.run(Update(case.table, {"data": None}, where=every)).rows
    keys = [{name: row[name] for name in case.keys[0][0]} for row in rows]
    assert [{name: row[name] for name in case.keys[0][0]} for row in named] == keys
    assert adapter.run(Delete(case.table, where=every, returning=True)).ids == [address for _, address in case.keys]


@keyed
def test_an_upsert_goes_by_the_key(adapter: DatabaseAdapter, case: Keyed) -> None:
    adapter.run(Insert(case.table, _rows(case)[:2]))
    given = [{key: value for key, value in row.items() if key != "data"} | {"name": "up"} for row in _rows(case)]
    assert adapter.run(Upsert(case.table, given)).count == len(given)
    assert adapter.table(case.table).upsert(given).execute().count == len(given)
    rows = adapter.run(Select(case.table)).rows
    assert [row["name"] for row in rows] == ["up"] * len(given)
    assert [row["data"] for row in rows] == [{"at": 0}, {"at": 1}, *[None] * (len(given) - 2)]
    assert adapter.table(case.table).upsert(given[:1], ignore_duplicates=True).execute().count == 0


@keyed
def test_pages_go_on_behind_a_key(adapter: DatabaseAdapter, case: Keyed) -> None:
    rows = _filled(adapter, case)
    key = SCHEMA.table(case.table).key
    for order in ((), tuple(Order(name, descending=True) for name in key), (Order(key[-1], descending=True),)):
        whole = adapter.run(Select(case.table, order=order)).rows
        complete = list(dict.fromkeys([*[one.column for one in order], *key]))
        seen: list[Row] = []
        while len(seen) < len(rows):
            where = after(order, [seen[-1][name] for name in complete], key) if seen else None
            seen += adapter.run(Select(case.table, where=where, order=order, limit=2)).rows
        assert seen == whole


@keyed
def test_a_transaction_sees_its_own_changes(adapter: DatabaseAdapter, case: Keyed) -> None:
    rows = _filled(adapter, case)
    (first, at_first), (second, at_second), (third, at_third) = case.keys[:3]
    with adapter.transaction():
        adapter.run(Delete(case.table, at_first))
        adapter.run(Update(case.table, {"name": "in"}, at_second))
        assert adapter.run(Get(case.table, at_first)).rows == []
        adapter.run(Insert(case.table, [{**first, "name": "again"}]))
        adapter.run(Upsert(case.table, [{**third, "name": "up"}]))
        assert [row["name"] for row in adapter.run(Select(case.table, limit=3))] == ["again", "in", "up"]
    names = [row["name"] for row in adapter.run(Select(case.table))]
    assert names == ["again", "in", "up", *[row["name"] for row in rows[3:]]]
    assert second != first
    assert at_third != at_second


@keyed
def test_the_feed_names_the_address(adapter: DatabaseAdapter, case: Keyed) -> None:
    adapter.run(Insert("notes", [{"id": "before"}]))
    cursor = adapter.changes().cursor
    _filled(adapter, case)
    adapter.run(Update(case.table, {"name": "new"}, case.keys[1][1]))
    adapter.run(Delete(case.table, case.keys[2][1]))
    page = adapter.changes(cursor)
    inserted = [(case.table, address, "insert") for _, address in reversed(case.keys)]
    others = [(case.table, case.keys[1][1], "update"), (case.table, case.keys[2][1], "delete")]
    assert [(one.table, one.id, one.kind) for one in page.changes] == [*inserted, *others]


@keyed
def test_sql_text_goes_by_the_key(adapter: DatabaseAdapter, case: Keyed) -> None:
    rows = _filled(adapter, case)
    key = SCHEMA.table(case.table).key
    same = " and ".join(f"{name} = ?" for name in key)
    values = [case.keys[1][0][name] for name in key]
    found = adapter.execute_query(f"select name from {case.table} where {same}", values)  # the test's own
    assert found == [{"name": rows[1]["name"]}]
    if "version" in rows[1]:
        # A SQL database would have to be given it.
        return
    names = ", ".join(key)
    adapter.execute_query(
        f"insert into {case.table} ({names}, name) values ({', '.join('?' * len(key))}, ?)"
        f" on conflict ({names}) do update set name = excluded.name",
        [*values, "sql"],
    )
    assert adapter.run(Get(case.table, case.keys[1][1])).rows[0]["name"] == "sql"


@pytest.mark.parametrize(
    ("table", "key", "problem"),
    [
        ("lots", "01", "integer"),
        ("lots", "x", "integer"),
        ("lots", 2**63, "64 bits"),
        ("lots", True, "integer"),
        ("lots", (1, 2), "integer"),
        ("elements", 1, "text"),
        ("elements", {"name": "H"}, "symbol"),
        ("grades", "a", "2 parts"),
        ("grades", "a,1,2", "2 parts"),
        ("grades", ("a",), "2 parts"),
        ("grades", "a~3,1", "~"),
        ("grades", "a~,1", "~"),
        ("grades", {"course": "a"}, "course, attempt"),
    ],
)
def test_what_is_no_key_is_refused(adapter: DatabaseAdapter, table: str, key: Any, problem: str) -> None:
    for operation in (Get(table, key), Update(table, {"name": "x"}, key), Delete(table, key)):
        with pytest.raises(InvalidQuery, match=problem):
            adapter.run(operation)


@pytest.mark.parametrize(("table", "key"), [("devices", "no uuid"), ("grades", ("a", 2**40))])
def test_no_record_has_a_key_that_its_columns_cannot_hold(adapter: DatabaseAdapter, table: str, key: Any) -> None:
    assert adapter.run(Get(table, key)).rows == []
    assert adapter.run(Update(table, {"name": "x"}, key)).count == 0
    assert adapter.run(Delete(table, key)).count == 0


def test_a_uuid_is_one_record_in_every_spelling(adapter: DatabaseAdapter) -> None:
    row = adapter.run(Insert("devices", [{"name": "made"}])).rows[0]
    key = UUID(row["device_id"])
    for spelling in (key, str(key).upper(), (key,), {"device_id": str(key)}):
        assert adapter.run(Get("devices", spelling)).rows == [row]


@pytest.mark.parametrize(("table", "missing"), [("elements", "symbol"), ("lots", "number"), ("grades", "course")])
def test_a_key_that_nobody_makes_is_required(adapter: DatabaseAdapter, table: str, missing: str) -> None:
    with pytest.raises(InvalidQuery, match=f"{missing}.* is required"):
        adapter.run(Insert(table, [{"attempt": 1, "name": "x"} if table == "grades" else {"name": "x"}]))


def test_records_go_with_the_record_that_they_refer_to(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("lots", [{"number": 1}, {"number": 2, "inside": 1}, {"number": 3, "inside": 2}, {"number": 4}]))
    with pytest.raises(ConstraintViolated):
        adapter.run(Insert("lots", [{"number": 5, "inside": 6}]))
    adapter.run(Delete("lots", 1))
    assert adapter.run(Select("lots")).ids == ["4"]
    adapter.run(Insert("elements", [{"symbol": "Fe"}]))
    adapter.run(Insert("devices", [{"made_of": "Fe"}]))
    with pytest.raises(ConstraintViolated):
        adapter.run(Delete("elements", "Fe"))
    with as_application():
        found = adapter.table("elements").select("symbol,devices(made_of)").execute().rows
    assert found == [{"symbol": "Fe", "devices": [{"made_of": "Fe"}]}]
