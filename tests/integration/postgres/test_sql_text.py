"""What only PostgreSQL's SQL has stays as it is, whatever the placeholders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from database.backends.postgres import PostgresAdapter
from database.core.context import NO_CONTEXT
from database.core.errors import Conflict
from database.core.errors import InvalidQuery
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
        (r"E'it\'s :x' || :x", {"x": "!"}, "it's :x!"),
        (r"e'\\' || ?", ["!"], "\\!"),
        ("1 = any(?)", [[1, 2]], True),
        ("'b' = any(?)", [["a", "b"]], True),
        ("array_length(?, 1)", [[1, 2]], 2),
        ("?::int[]", [[]], []),
        ("array(select unnest(?) + 1)", [[1, 2]], [2, 3]),
        ("?::jsonb", [[]], []),
        ("array[1] || ?", [[2]], [1, 2]),
        ("""'[1, 2]'::jsonb @> ?""", [[2]], True),
        ("(select sum(n) from (values (9223372036854775807), (1)) v(n))", None, Decimal(2**63)),
        ("(select sum(n) from (values (1.50), (1.50)) v(n))", None, Decimal("3.00")),
        ("coalesce(?, 'x')", [None], "x"),
        ("?::uuid", ["01890000-0000-7000-8000-000000000000"], "01890000-0000-7000-8000-000000000000"),
    ],
)
def test_expressions(adapter: PostgresAdapter, expression: str, params: Any, value: Any) -> None:
    assert adapter.execute_query(f"select {expression} as value", params) == [{"value": value}]


def test_a_parameter_of_no_type_asks_for_one(adapter: PostgresAdapter) -> None:
    with pytest.raises(
        InvalidQuery, match=r"parameter \$1; name its type in the statement, as in cast\(:name as text\)"
    ):
        adapter.execute_query("select jsonb_build_object('a', :a) as value", {"a": "x"})
    text = "select jsonb_build_object('a', cast(:a as text)) as value"
    assert adapter.execute_query(text, {"a": "x"}) == [{"value": {"a": "x"}}]


def test_arrays_and_json_in_one_statement(adapter: PostgresAdapter) -> None:
    adapter.execute_query("create table labelled (tags text[], data jsonb, old json, price numeric(10, 0))")
    with adapter.transaction():
        assert adapter.execute_query("insert into labelled values (?, ?, ?, 5)", [["a"], ["b"], []]) == 1
        assert adapter.execute_query("select * from labelled where tags && ?", [["a", "z"]]) == [
            {"tags": ["a"], "data": ["b"], "old": [], "price": Decimal(5)}
        ]
    with pytest.raises(InvalidQuery, match="a parameter for JSON must be JSON"):
        adapter.execute_query("update labelled set data = ?", [[Decimal(1)]])


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
