"""Integer keys that the database makes: for every record without one, on every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidRow
from database.core.errors import PermissionDenied
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from tests.contract.backends import Backend
from tests.contract.callers import ADA
from tests.contract.callers import BOB

LARGE = 2**40


def _made(adapter: DatabaseAdapter, name: str = "made") -> int:
    number: int = adapter.run(Insert("orders", [{"name": name}])).rows[0]["order_no"]
    return number


def test_every_record_without_a_key_gets_a_number(adapter: DatabaseAdapter) -> None:
    first = adapter.run(Insert("orders", [{"name": "a"}])).rows[0]
    made = adapter.run(Insert("orders", [{"name": "b"}, {"name": "c"}]))
    assert made.ids == [str(row["order_no"]) for row in made.rows]
    assert first["order_no"] < made.rows[0]["order_no"] < made.rows[1]["order_no"]
    adapter.run(Insert("orders", [{"name": "d"}, {"name": "e"}], returning=False))
    row = adapter.run(Upsert("orders", [{"name": "f", "data": [1]}])).rows[0]
    assert adapter.run(Get("orders", row["order_no"])).rows == [row]
    assert [row["name"] for row in adapter.run(Select("orders"))] == list("abcdef")
    adapter.run(Delete("orders", first["order_no"]))
    assert _made(adapter) > row["order_no"]


def test_a_transaction_knows_the_numbers_of_its_records(adapter: DatabaseAdapter) -> None:
    with adapter.transaction():
        row = adapter.run(Upsert("orders", [{"name": "f", "data": [1]}])).rows[0]
        assert adapter.run(Get("orders", row["order_no"])).rows == [row]
        adapter.run(Insert("invoices", [{"owner_id": "x", "order_no": row["order_no"]}]))
        adapter.run(Update("orders", {"name": "g"}, row["order_no"]))
    assert [row["name"] for row in adapter.run(Select("orders"))] == ["g"]
    assert [one["order_no"] for one in adapter.run(Select("invoices"))] == [row["order_no"]]


def test_a_transaction_that_is_rolled_back_leaves_no_record(adapter: DatabaseAdapter) -> None:
    before = _made(adapter)
    with suppress(ZeroDivisionError), adapter.transaction():
        _made(adapter)
        raise ZeroDivisionError
    with adapter.transaction():
        with suppress(ZeroDivisionError), adapter.transaction():
            _made(adapter)
            raise ZeroDivisionError
        inside = _made(adapter)
    assert [row["order_no"] for row in adapter.run(Select("orders"))] == [before, inside]
    assert _made(adapter) > inside > before


def test_a_key_may_be_given(adapter: DatabaseAdapter) -> None:
    given = adapter.run(Insert("orders", [{"order_no": LARGE, "name": "given"}])).rows
    assert adapter.run(Get("orders", LARGE)).rows == given
    assert adapter.run(Update("orders", {"name": "new"}, LARGE)).count == 1
    mixed = adapter.run(Insert("orders", [{"name": "a"}, {"order_no": -5, "name": "b"}, {"name": "c"}])).rows
    assert [row["name"] for row in mixed] == ["a", "b", "c"]
    assert mixed[1]["order_no"] == -5
    with pytest.raises(ConstraintViolated):
        adapter.run(Insert("orders", [{"order_no": -5, "name": "again"}]))
    upserted = adapter.run(Upsert("orders", [{"order_no": -5, "name": "up"}, {"name": "d"}])).rows
    assert {row["name"] for row in upserted} == {"up", "d"}
    assert adapter.run(Get("orders", -5)).rows[0]["name"] == "up"


@pytest.mark.parametrize("table", ["orders", "invoices"])
def test_numbers_go_on_behind_keys_that_were_copied(adapter: DatabaseAdapter, table: str) -> None:
    """What sync and a restore write keeps its keys, whatever the database makes them from."""
    key = "order_no" if table == "orders" else "id"
    more = {} if table == "orders" else {"owner_id": "x"}
    first = adapter.run(Insert(table, [more])).rows[0][key]
    for greatest in (first + 3, first + 300_001):
        copied = [{key: number, **more} for number in (first + 2, greatest, greatest - 1)]
        assert adapter.run(Upsert(table, copied, verbatim=True)).count == 3
        made = [row[key] for row in adapter.run(Insert(table, [more, more])).rows]
        assert greatest < made[0] < made[1]
    adapter.run(Upsert(table, [{key: -LARGE, **more}, {key: made[1], **more}], verbatim=True, returning=False))
    with adapter.transaction():
        assert adapter.run(Insert(table, [more])).rows[0][key] > made[1]


def test_a_key_that_the_database_always_makes_cannot_be_given(adapter: DatabaseAdapter) -> None:
    made = adapter.run(Insert("invoices", [{"owner_id": "x"}, {"owner_id": "y"}])).rows
    assert made[0]["id"] < made[1]["id"]
    given = {"id": made[0]["id"], "owner_id": "z"}
    for operation in (Insert("invoices", [{"owner_id": "x"}, given]), Upsert("invoices", [{"owner_id": "x"}, given])):
        with pytest.raises(InvalidRow, match=r"row 2: column 'id' .* always numbered .* leave it out") as caught:
            adapter.run(operation)
        assert (caught.value.row, caught.value.column) == (1, "id")
    with pytest.raises(InvalidRow), adapter.transaction():
        adapter.run(Insert("invoices", [given]))
    assert adapter.run(Select("invoices")).rows == made
    assert adapter.run(Update("invoices", {"owner_id": "z"}, made[0]["id"])).count == 1


def test_a_record_that_is_found_by_another_column_keeps_its_number(adapter: DatabaseAdapter) -> None:
    (kept,) = adapter.run(Insert("invoices", [{"owner_id": "x", "code": "a"}])).rows
    rows = [{"owner_id": "y", "code": "a"}, {"owner_id": "y", "code": "b"}]
    made = adapter.run(Upsert("invoices", rows, on_conflict=("code",))).rows
    assert made[0] == {**kept, "owner_id": "y"}
    assert made[1]["id"] > kept["id"]
    with adapter.transaction():
        again = adapter.run(Upsert("invoices", rows, on_conflict=("code",), ignore_duplicates=True))
        assert (again.count, again.rows) == (0, [])
        assert adapter.run(Upsert("invoices", rows[1:], on_conflict=("code",))).rows == made[1:]
    assert adapter.run(Select("invoices")).rows == made


def test_callers_insert_what_their_rules_permit(calm: DatabaseAdapter) -> None:
    with acting_as(ADA):
        alone = calm.run(Insert("invoices", [{}])).rows[0]
        with calm.transaction():
            together = calm.run(Insert("invoices", [{}, {}])).rows
        with pytest.raises(PermissionDenied):
            calm.run(Insert("invoices", [{"owner_id": BOB.subject}]))
        with pytest.raises(InvalidRow, match="leave it out"):
            calm.run(Insert("invoices", [{"id": 7}]))
        assert calm.run(Select("invoices")).rows == [alone, *together]
    with acting_as(BOB):
        assert calm.run(Select("invoices")).rows == []
    assert [row["owner_id"] for row in (alone, *together)] == [ADA.subject] * 3


def test_concurrent_records_get_different_numbers(backend: Backend) -> None:
    def insert(place: int) -> list[int]:
        names: list[dict[str, Any]] = [{"name": f"{place}-{n}"} for n in range(3)]
        return [row["order_no"] for row in backend.adapter.run(Insert("orders", names)).rows]

    with ThreadPoolExecutor(4) as pool:
        numbers = [number for made in pool.map(insert, range(8)) for number in made]
    assert len(set(numbers)) == 24
    assert [row["order_no"] for row in backend.adapter.run(Select("orders"))] == sorted(numbers)


def test_sql_text_may_leave_the_key_out(adapter: DatabaseAdapter) -> None:
    with as_application():
        for name in ("a", "b"):
            adapter.execute_query("insert into orders (name) values (?)", [name])
        rows = adapter.execute_query("select order_no, name from orders order by order_no")
    assert isinstance(rows, list)
    assert [row["name"] for row in rows] == ["a", "b"]
    assert all(one["order_no"] < other["order_no"] for one, other in pairwise(rows))
