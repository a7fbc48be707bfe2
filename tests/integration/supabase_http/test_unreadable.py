"""Records that cannot be read, where an answer is cut off and where no URL can ask for them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from database.backends.supabase import SupabaseAdapter
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import Order
from database.core.query.filters import Where
from tests.contract.foreign import PostgresProgram
from tests.contract.tables import thing
from tests.integration.supabase_http.conftest import Make
from tests.servers.available import available
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import SupabaseApi

MAX_ROWS = 3
MOMENTS = ["-infinity"] * 4 + ["0044-03-15 00:00:00Z BC"] * 4 + ["infinity"] * 7 + ["12026-01-01 00:00:00Z"]


@pytest.fixture
def program(adapter: SupabaseAdapter, database: PostgresDatabase) -> Iterator[PostgresProgram]:
    """Another program, on the project's empty tables."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        yield PostgresProgram(connection)


@pytest.fixture(scope="module")
def cutting(database: PostgresDatabase) -> Iterator[SupabaseApi]:
    """The same project with another limit."""
    with available(SupabaseApi, database, max_rows=MAX_ROWS) as api:
        yield api


@pytest.mark.parametrize("limit", [None, 20])
@pytest.mark.parametrize("descending", [False, True])
def test_what_is_cut_off_behind_them_is_fetched(
    adapter: SupabaseAdapter,
    program: PostgresProgram,
    cutting: SupabaseApi,
    make: Make,
    descending: bool,
    limit: int | None,
) -> None:
    adapter.run(Insert("things", [thing(f"good-{day}", seen=f"2026-01-0{day}T00:00:00Z") for day in range(1, 5)]))
    for number, moment in enumerate(MOMENTS):
        program.write(f"bad-{number:02}", "seen", f"'{moment}'")
    cut = make(cutting.url, cutting.service_key)
    select = Select("things", order=(Order("seen", descending),), limit=limit)
    # What was once returned in one piece would not count as cut.
    found, expected = cut.run(select), adapter.run(select)
    assert found.rows == expected.rows
    assert found.unreadable == expected.unreadable
    assert len(found.unreadable) == len(MOMENTS)
    assert found.moments > 1


@pytest.mark.parametrize("document", ['{"a": 1e999}', '{"a": 1e6000}', "[1e400, 12345678901234567890123, 0.1]"])
def test_a_filter_that_no_url_can_say_finds_them(
    adapter: SupabaseAdapter, program: PostgresProgram, database: PostgresDatabase, document: str
) -> None:
    adapter.run(Insert("things", [thing("good", data={"a": 1}, ratio=0.5), thing("left")]))
    program.write("bad", "data", f"'{document}'")
    select = Select("things", where=Where("label", "in", ['"', "good", "bad"]))
    with adapter.transaction():
        for _ in range(2):
            found = adapter.run(select)
            assert [row["id"] for row in found] == ["good"]
            assert [(bad.id, bad.column) for bad in found.unreadable] == [("bad", "data")]
        assert adapter.run(Update("things", {"title": "new"}, where=select.where)).count == 2
    with psycopg.connect(database.dsn) as connection:
        query = "select title from things where id = 'bad' and data = %s::jsonb"
        assert connection.execute(query, [document]).fetchone() == ("new",)
    assert adapter.run(Delete("things", where=select.where)).count == 2
