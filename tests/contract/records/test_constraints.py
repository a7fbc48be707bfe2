"""Constraints of the schema: enforced alike on every backend, and atomically."""

from __future__ import annotations

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import NO_CONTEXT
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.contract.backends import Backend
from tests.contract.tables import thing

BULK = 40


@pytest.fixture(autouse=True)
def _two_things_with_a_part(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("a", code="A"), thing("b", code="B")]))
    calm.run(Insert("parts", [{"id": "p", "thing_id": "a"}]))


@pytest.mark.parametrize(
    ("operation", "named"),
    [
        (Insert("things", [thing("a")]), "things"),
        (Insert("things", [thing("c"), thing("a")]), "things"),
        (Insert("things", [thing("c"), thing("c")]), "things"),
        (Insert("things", [thing("c", code="A")]), "code"),
        (Insert("things", [*(thing(f"c{n}") for n in range(BULK)), thing("d", code="A")]), "code"),
        (Upsert("things", [thing("c"), thing("d", code="A")]), "code"),
        (Upsert("things", [thing("b", code="A")]), "code"),
        (Upsert("things", [thing("c"), thing("d", code="A")], returning=False, verbatim=True), "code"),
        (Update("things", {"code": "A"}, id="b"), "code"),
        (Update("things", {"code": "C"}, where=Where("id", "in", ["a", "b"])), "code"),
        (Insert("parts", [{"thing_id": "nobody"}]), "parts"),
        (Insert("parts", [*({"thing_id": "a"} for _ in range(BULK)), {"thing_id": "nobody"}]), "parts"),
        (Update("parts", {"thing_id": "nobody"}, id="p"), "parts"),
        (Delete("things", id="a"), "parts"),
        (Delete("things", where=Where("id", "in", ["a", "b"])), "parts"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_violation_changes_nothing(calm: DatabaseAdapter, backend: Backend, operation: Operation, named: str) -> None:
    before = calm.table("things").execute().rows, calm.table("parts").execute().rows
    with pytest.raises(ConstraintViolated) as refused:
        calm.run(operation)
    assert refused.value.kind is (ConstraintKind.FOREIGN_KEY if named == "parts" else ConstraintKind.UNIQUE)
    # SQLite does not tell which foreign key does not hold.
    if (backend.case.name, named) != ("sqlite", "parts"):
        assert named in (refused.value.constraint or "")
    assert (calm.table("things").execute().rows, calm.table("parts").execute().rows) == before


@pytest.mark.parametrize(
    "operation",
    [Insert("things", [thing("a")]), Insert("things", [thing("c", code="A")]), Insert("parts", [{"thing_id": "no"}])],
    ids=["id", "unique", "reference"],
)
def test_a_transaction_is_told_at_its_end_at_the_latest(
    calm: DatabaseAdapter, backend: Backend, operation: Operation
) -> None:
    transaction = calm.begin_transaction()
    transaction.execute(Insert("things", [thing("mine")]), NO_CONTEXT)
    with pytest.raises(ConstraintViolated) as refused:  # noqa: PT012  # one of two calls
        transaction.execute(operation, NO_CONTEXT)
        assert not backend.case.capabilities.immediate_constraints
        transaction.commit()
    assert refused.value.row is None or backend.case.capabilities.immediate_constraints
    transaction.rollback()
    assert calm.get("things", "mine") is None


@pytest.mark.parametrize("place", [0, 7, BULK - 1])
def test_the_row_of_a_bulk_insert_is_told(calm: DatabaseAdapter, backend: Backend, place: int) -> None:
    rows = [thing(f"c{n:02}") for n in range(BULK)]
    rows[place]["code"] = "A"
    with pytest.raises(ConstraintViolated) as refused:
        calm.run(Insert("things", rows))
    # Row level security rules out COPY, and without it PostgreSQL does not tell the row.
    assert refused.value.row == (None if backend.case.name == "supabase_direct" else place)


def test_nulls_are_not_equal_to_each_other(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("c", code=None), thing("d", code=None)]))
    assert len(calm.table("things").is_null("code").execute()) == 2


def test_a_value_may_be_used_again_once_it_is_free(calm: DatabaseAdapter) -> None:
    calm.run(Update("things", {"code": None}, id="b"))
    calm.run(Insert("things", [thing("c", code="B")]))
    calm.run(Update("things", {"code": "A"}, id="a"))
    calm.run(Delete("parts", id="p"))
    calm.run(Delete("things", id="a"))
    calm.run(Insert("things", [thing("d", code="A")]))
    codes = {row["id"]: row["code"] for row in calm.table("things").execute()}
    assert codes == {"b": None, "c": "B", "d": "A"}


def test_unique_text_is_told_apart_by_code_points(calm: DatabaseAdapter) -> None:
    codes = ["a", "A ", "é", "e\u0301", "\uff41"]
    calm.run(Insert("things", [thing(f"x{n}", code=code) for n, code in enumerate(codes)]))
    for code in codes:
        assert [row["code"] for row in calm.table("things").eq("code", code).execute()] == [code]


def test_messages_do_not_repeat_values(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("c", code="secret")]))
    with pytest.raises(ConstraintViolated) as refused:
        calm.run(Insert("things", [thing("d", code="secret")]))
    assert "secret" not in str(refused.value)
