"""What only PostgreSQL's SQL has stays as it is, whatever the placeholders."""

from __future__ import annotations

from typing import Any

import pytest

from database.backends.postgres import PostgresAdapter
from database.core.context import NO_CONTEXT
from database.core.errors import Conflict
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Update
from tests.contract.tables import thing
from tests.integration.postgres.conftest import Make
from tests.servers.postgres import PostgresDatabase


@pytest.fixture
def adapter(make: Make, database: PostgresDatabase) -> PostgresAdapter:
    return make(database)


@pytest.mark.parametrize(
    ("expression", "params", "value"),
    [
        ("%s::int + 1", [1], 2),
        ("?::int + 1", [1], 2),
        (":n::int + 1", {"n": 1}, 2),
        ("%(n)s::int + 1", {"n": 1}, 2),
        ("'1'::int", None, 1),
        ("'2024-01-01 12:30:00'::timestamp::text || ?", ["!"], "2024-01-01 12:30:00!"),
        ("$$it's ? :x %s$$ || ?", ["!"], "it's ? :x %s!"),
        ("$tag$ $$ ? $tag$ || :x", {"x": "!"}, " $$ ? !"),
        ("(select a$b$ from (values (1)) v(a$b$)) + ?::int", [1], 2),
        ("""'{"a": 1}'::jsonb ? %s""", ["a"], True),
        ("""'{"a": 1}'::jsonb ?| array[%s]""", ["a"], True),
        ("""'{"a": 1}'::jsonb ?| array[?]""", ["a"], True),
        ("""'{"a": 1}'::jsonb ?& array[?]""", ["b"], False),
        ("""'{"a": 1}'::jsonb @? '$.a' and ?""", [True], True),
        ("(array[1, 2, 3])[1:2] || ?::int", [9], [1, 2, 9]),
        ("'a_b' like '%\\_%' and ?", [True], True),
        ("10 % ?::int", [4], 2),
        ("?::jsonb -> 'a'", ['{"a": [1.0]}'], [1.0]),
        ("?::uuid", ["01890000-0000-7000-8000-000000000000"], "01890000-0000-7000-8000-000000000000"),
    ],
)
def test_expressions(adapter: PostgresAdapter, expression: str, params: Any, value: Any) -> None:
    assert adapter.execute_query(f"select {expression} as value", params) == [{"value": value}]


def test_of_two_that_read_and_change_a_row_the_later_meets_a_conflict(adapter: PostgresAdapter) -> None:
    adapter.run(Insert("things", [thing("a")]))
    transaction = adapter.begin_transaction()
    transaction.execute(Get("things", "a"), NO_CONTEXT)
    adapter.run(Update("things", {"rank": 1}, id="a"))
    with pytest.raises(Conflict):
        transaction.execute(Update("things", {"rank": 2}, id="a"), NO_CONTEXT)
    transaction.rollback()
    assert (adapter.get("things", "a") or {})["rank"] == 1


def test_the_isolation_can_be_chosen(make: Make, database: PostgresDatabase) -> None:
    for isolation in ("read committed", "repeatable read", "serializable"):
        adapter = make(database, isolation=isolation)
        with adapter.transaction():
            assert adapter.execute_query("show transaction_isolation") == [{"transaction_isolation": isolation}]
    with pytest.raises(ValueError, match="'isolation' must be one of"):
        make(database, isolation="chaos")
