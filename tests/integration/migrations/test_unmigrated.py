"""A database that was never migrated: the fault is its own, unless the caller wrote the SQL."""

from __future__ import annotations

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.errors import SchemaMismatch
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select


@pytest.mark.parametrize(
    "operation",
    [Get("molecules", "x"), Select("molecules"), Insert("molecules", [{"name": "x"}])],
    ids=lambda o: o.kind,
)
def test_a_declared_table_that_is_missing_is_no_fault_of_the_caller(
    adapter: DatabaseAdapter, operation: Operation
) -> None:
    with pytest.raises(SchemaMismatch, match="migrations"):
        adapter.run(operation)
    assert adapter.pipeline.circuit_breaker.state == "closed"


def test_without_a_log_the_feed_says_what_to_do(adapter: DatabaseAdapter) -> None:
    for cursor in (None, "1:0123456789abcdef"):
        with pytest.raises(SchemaMismatch, match="flask db upgrade"):
            adapter.changes(cursor)
    assert adapter.pipeline.circuit_breaker.state == "closed"


def test_sql_text_that_names_a_missing_table_is_one(adapter: DatabaseAdapter) -> None:
    with pytest.raises(InvalidQuery, match="molekules"):
        adapter.execute_query("select * from molekules")
