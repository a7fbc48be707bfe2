"""What a connection to PostgreSQL keeps of the statements it has run."""

from __future__ import annotations

from itertools import chain
from itertools import combinations
from itertools import islice

import pytest

from database.backends.postgres.call import LONGEST_PREPARED
from database.core.errors import ConstraintViolated
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import Or
from database.core.query.filters import Where
from tests.contract.tables import thing
from tests.integration.postgres.conftest import Make
from tests.servers.postgres import PostgresDatabase

PREPARED = "select statement from pg_prepared_statements where statement like %s order by length(statement)"


def test_lists_of_all_lengths_are_one_statement_that_uses_the_index(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database, max_connections=1)
    adapter.run(Insert("things", [thing(f"{number:04}") for number in range(1000)]))
    ids = [f"{number:04}" for number in range(40)]
    for length in range(40):
        rows = adapter.run(Select("things", ("id",), Where("id", "in", ids[:length]))).rows
        assert [row["id"] for row in rows] == ids[:length]
    (statement,) = adapter.execute_query(PREPARED, ["%ANY%"])
    text = statement["statement"].replace("$1", "array['0001', '0002']")
    adapter.execute_query("analyze things")
    plan = adapter.execute_query(f"explain {text}")
    assert any("Index" in str(line) for line in plan)


def test_a_long_list_is_planned_each_time(make: Make, database: PostgresDatabase) -> None:
    """A plan that was kept from when the table was empty would compare every row with every value."""
    adapter = make(database, max_connections=1)
    for _ in range(10):
        assert adapter.run(Select("things", ("id",), Where("id", "in", [str(n) for n in range(100)]))).rows == []
    assert adapter.execute_query(PREPARED, ["%ANY%"]) == []


def test_a_long_statement_is_not_kept(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database, max_connections=1)
    conditions = (Where("title", "eq", "a"),)
    assert adapter.run(Select("things", where=Or(conditions * 3))).rows == []
    assert adapter.run(Select("things", where=Or(conditions * 200))).rows == []
    (kept,) = adapter.execute_query(PREPARED, ["% OR %"])
    assert len(kept["statement"]) <= LONGEST_PREPARED


def test_a_statement_in_use_stays_prepared_while_others_come_and_go(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database, max_connections=1)
    adapter.run(Insert("things", [thing("a", title="water")]))
    columns = ["id", "label", "rank", "code", "title", "amount", "ratio", "done", "seen"]
    for others in islice(chain.from_iterable(combinations(columns, length) for length in (2, 3, 4)), 230):
        assert adapter.run(Select("things", others, Where("id", "eq", "a"))).rows[0].keys() == {*others}
        assert adapter.run(Select("things", ("title",), Where("id", "eq", "a"))).rows == [{"title": "water"}]
    kept = adapter.execute_query("select statement, generic_plans + custom_plans as runs from pg_prepared_statements")
    assert len(kept) <= 202
    (runs,) = [one["runs"] for one in kept if one["statement"].startswith("SELECT things.title \n")]
    assert runs == 230


def test_values_of_other_types_have_a_statement_of_their_own(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database, max_connections=1)
    adapter.run(Insert("things", [thing("a", amount=2), thing("b", amount=2**40), thing("c", amount=None)]))
    for _ in range(2):
        for amount, id_ in ((2, "a"), (2**40, "b")):
            rows = adapter.run(Select("things", ("id",), Where("amount", "eq", amount))).rows
            assert [row["id"] for row in rows] == [id_]
    amounts: tuple[int | None, ...] = (None, 3, 2**50, None)
    for stored in amounts:
        adapter.run(Update("things", {"amount": stored}, id="c"))
        assert adapter.run(Get("things", "c")).rows[0]["amount"] == stored


def test_a_refused_statement_leaves_its_connection_as_it_was(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database, max_connections=1)
    for attempt in range(3):
        adapter.run(Insert("things", [thing(f"a{attempt}", code=f"c{attempt}")], returning=False))
        with pytest.raises(ConstraintViolated):
            adapter.run(Insert("things", [thing(f"b{attempt}", code=f"c{attempt}")], returning=False))
    assert adapter.run(Select("things", count=True)).count == 3
