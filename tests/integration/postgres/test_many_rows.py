"""Several rows in one call."""

from __future__ import annotations

import logging
from datetime import UTC
from datetime import datetime

import pytest

from database.core.errors import ConstraintViolated
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Upsert
from tests.contract.tables import thing
from tests.integration.postgres.conftest import Make
from tests.servers.postgres import PostgresDatabase

ROWS = [thing("c", code="A"), *(thing(f"d{number:03}") for number in range(500))]


@pytest.mark.parametrize(
    "operation",
    [Insert("things", ROWS[:10], returning=False), Upsert("things", ROWS, returning=False, verbatim=True)],
    ids=["insert", "upsert"],
)
def test_one_that_is_refused_is_an_error_and_nothing_in_the_log(
    make: Make, database: PostgresDatabase, caplog: pytest.LogCaptureFixture, operation: Operation
) -> None:
    adapter = make(database, max_connections=1)
    adapter.run(Insert("things", [thing("a", code="A")]))
    with caplog.at_level(logging.DEBUG, "psycopg"):
        for _ in range(2):
            with pytest.raises(ConstraintViolated):
                adapter.run(operation)
        with pytest.raises(ConstraintViolated), adapter.transaction():
            adapter.run(operation)
    assert caplog.records == []
    assert [row["id"] for row in adapter.table("things").select("id").execute()] == ["a"]


def test_every_text_and_time_is_stored_as_it_is(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database)
    odd = ["\\N", "a\tb\nc\rd", "\\", "\\.", "", "é\U0001f600\x01", None, '{"a": "\\n"}', "\\t"]
    at = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), None]
    rows = [
        thing(f"{place:03}", title=odd[place % len(odd)], seen=at[place % len(at)], done=place % 2 == 0)
        for place in range(50)
    ]
    adapter.run(Insert("things", rows, returning=False))
    found = adapter.table("things").select("id", "title", "seen", "done").execute().rows
    assert found == [{name: row[name] for name in ("id", "title", "seen", "done")} for row in rows]
