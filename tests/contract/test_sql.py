"""SQL text, on the backends that speak it."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest

from database.adapters.base import DatabaseAdapter
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import TransactionError
from tests.contract.backends import BACKENDS

pytestmark = pytest.mark.parametrize(
    "_backend",
    [case for case in BACKENDS if case.capabilities.sql],
    indirect=True,
    scope="session",
    ids=lambda case: case.name,
)

INSERT = "insert into notes (id, body) values (?, ?)"


@pytest.fixture(autouse=True)
def _notes(calm: DatabaseAdapter) -> None:
    calm.execute_batch([(INSERT, pair) for pair in (("a", "one"), ("b", "two"), ("c", None))])


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("select id from notes where body = %s and id <> %s", ["two", "x"]),
        ("select id from notes where body = %(body)s and id <> %(id)s and body = %(body)s", {"body": "two", "id": "x"}),
        ("select id from notes where body = ? and id <> ?", ("two", "x")),
        ("select id from notes where body = :body and id <> :id and body = :body", {"body": "two", "id": "x"}),
        ("select id from notes where body = 'two'", None),
        ("select id from notes where body = 'two'", []),
        ("select id from notes where body = 'two'", {}),
        ("select id from notes where body = :body", {"body": "two", "unused": 1}),
    ],
)
def test_all_styles_of_placeholders(calm: DatabaseAdapter, text: str, params: Any) -> None:
    assert calm.execute_query(text, params) == [{"id": "b"}]


@pytest.mark.parametrize("placeholder", ["?", "%s", ":x", "%(x)s"])
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'?'", "?"),
        ("'100%'", "100%"),
        ("'%s'", "%s"),
        ("'%(x)s :x'", "%(x)s :x"),
        ("'it''s ?'", "it's ?"),
        ("'-- ?'", "-- ?"),
        ("'/* ? '", "/* ? "),
        ("'a' /* ? %s :x ' */ || 'b'", "ab"),
        ("'a' -- ? %s :x '\n || 'b'", "ab"),
        ("7 % 4", 3),
        ("'12:30:00'", "12:30:00"),
        ("'$$ ?'", "$$ ?"),
    ],
)
def test_what_only_looks_like_a_placeholder_stays(
    calm: DatabaseAdapter, placeholder: str, expression: str, value: Any
) -> None:
    params = {"x": "p"} if "x" in placeholder else ["p"]
    text = f'select {expression} as value, id as "i?%s" from notes where id <> {placeholder} order by id limit 1'
    assert calm.execute_query(text, params) == [{"value": value, "i?%s": "a"}]


@pytest.mark.parametrize("params", [None, [], {}])
def test_without_parameters_nothing_is_a_placeholder(calm: DatabaseAdapter, params: Any) -> None:
    assert calm.execute_query("select '100%' as a, 7 % 4 as b, '?' as c", params) == [{"a": "100%", "b": 3, "c": "?"}]


def test_a_doubled_percent_beside_psycopgs_placeholders_is_one(calm: DatabaseAdapter) -> None:
    assert calm.execute_query("select 7 %% 4 as a from notes where id = %s", ["a"]) == [{"a": 3}]
    assert calm.execute_query("select 7 %% 4 as a from notes where id = %(id)s", {"id": "a"}) == [{"a": 3}]


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("select id from notes where id = ?", []),
        ("select id from notes where id = ?", ["a", "b"]),
        ("select id from notes where id = %s", ["a", "b"]),
        ("select id from notes", ["a"]),
        ("select id from notes where id = ?", "a"),
        ("select id from notes where id = :id", {"ID": "a"}),
        ("select id from notes where id = %(id)s", {}),
        ("select id from notes where id = ?", [object()]),
        ("select nobody from notes", None),
        ("select id from nobody", None),
        ("selec", None),
    ],
)
def test_wrong_text_or_parameters(calm: DatabaseAdapter, text: str, params: Any) -> None:
    with pytest.raises(InvalidQuery):
        calm.execute_query(text, params)
    assert len(calm.execute_query("select * from notes")) == 3


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("select id from notes where id = 'x'", []),
        (
            "select body as b, id from notes where id <> 'b' order by id",
            [{"b": "one", "id": "a"}, {"b": None, "id": "c"}],
        ),
        ("with n as (select id from notes) select count(*) as n from n", [{"n": 3}]),
        ("values (1)", [1]),
        ("update notes set body = 'x'", 3),
        ("update notes set body = 'x' where id = 'x'", 0),
        ("delete from notes where id <> 'a'", 2),
        ("insert into notes (id) values ('d'), ('e')", 2),
        ("insert into notes (id) values ('d') returning id, body", [{"id": "d", "body": None}]),
        ("update notes set body = 'x' where id = 'x' returning id", []),
        ("delete from notes where id = 'a' returning body", [{"body": "one"}]),
        ("with n as (select 'd' as id) insert into notes (id) select id from n", 1),
        ("drop table if exists nobody", 0),
        ("  -- a comment\n select id from notes where id = 'a'", [{"id": "a"}]),
    ],
)
def test_rows_where_the_statement_returns_rows_else_a_count(calm: DatabaseAdapter, text: str, answer: Any) -> None:
    got = calm.execute_query(text)
    # The column of a bare VALUES has no name that the databases share.
    assert (list(got[0].values()) if text.startswith("values") else got) == answer


def test_a_batch_of_texts_is_atomic(calm: DatabaseAdapter) -> None:
    answers = calm.execute_batch(["delete from notes where id = 'a'", ("select id from notes where id > ?", ["b"])])
    assert answers == [1, [{"id": "c"}]]
    with pytest.raises(ConstraintViolated):
        calm.execute_batch([(INSERT, ["d", None]), (INSERT, ["b", None])])
    with pytest.raises(InvalidQuery):
        calm.execute_batch([(INSERT, ["d", None]), "select nobody"])
    assert [row["id"] for row in calm.execute_query("select id from notes order by id")] == ["b", "c"]


def test_text_joins_the_transaction_around_it(calm: DatabaseAdapter) -> None:
    with pytest.raises(ZeroDivisionError), calm.transaction():
        calm.execute_query("delete from notes")
        assert calm.execute_query("select * from notes") == []
        raise ZeroDivisionError
    assert len(calm.execute_query("select * from notes")) == 3


def test_text_in_a_transaction_by_hand(calm: DatabaseAdapter) -> None:
    transaction = calm.begin_transaction()
    assert calm._execute_query_in_transaction(transaction, INSERT, ["d", "four"]) == 1
    assert calm._execute_query_in_transaction(transaction, "select body from notes where id = :id", {"id": "d"}) == [
        {"body": "four"}
    ]
    assert calm.commit_transaction(transaction) is True
    assert len(calm.execute_query("select * from notes")) == 4


def test_text_cannot_leave_a_transaction_open(calm: DatabaseAdapter) -> None:
    # Where each call is a transaction already, as the caller, BEGIN does nothing.
    with nullcontext() if calm.capabilities.row_security else pytest.raises(InvalidQuery):
        calm.execute_query("begin")
    calm.execute_query(INSERT, ["d", None])
    with ThreadPoolExecutor() as another:
        assert len(another.submit(calm.execute_query, "select * from notes").result()) == 4


@pytest.mark.parametrize("text", ["commit", "rollback"])
def test_text_cannot_end_a_transaction(calm: DatabaseAdapter, text: str) -> None:
    with pytest.raises(TransactionError), calm.transaction(), pytest.raises(InvalidQuery):
        calm.execute_query(text)
    with calm.transaction():
        calm.execute_query(INSERT, ["d", None])
    assert len(calm.execute_query("select * from notes")) == 4


def test_text_and_tables_are_one_database(calm: DatabaseAdapter) -> None:
    calm.table("notes").insert({"id": "d", "body": "é'😀"}).execute()
    assert calm.execute_query("select body from notes where id = 'd'") == [{"body": "é'😀"}]
    assert [row["id"] for row in calm.table("notes").eq("body", "two").execute()] == ["b"]
