"""What a connection to PostgreSQL keeps of the statements it has run."""

from __future__ import annotations

from database.backends.postgres.call import LONGEST_PREPARED
from database.core.operations import Insert
from database.core.operations import Select
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
