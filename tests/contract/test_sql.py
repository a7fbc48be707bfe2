"""SQL text: unchanged on SQL backends, and translated to operations on the others."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextlib import nullcontext
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import TransactionError
from database.core.errors import Unsupported
from tests.contract.records.test_hostile import HOSTILE

INSERT = "insert into notes (id, body) values (?, ?)"


@pytest.fixture(autouse=True)
def _notes(calm: DatabaseAdapter) -> None:
    calm.execute_batch([(INSERT, pair) for pair in (("a", "one"), ("b", "two"), ("c", None))])


def translates(adapter: DatabaseAdapter) -> bool:
    return adapter.capabilities.sql == "translated"


def only_native(adapter: DatabaseAdapter) -> AbstractContextManager[Any]:
    """Expects a refusal on backends without SQL."""
    return pytest.raises(Unsupported, match="is not supported in SQL text") if translates(adapter) else nullcontext()


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


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
        ("'a' /* ? %s :x ' */", "a"),
        ("'a' -- ? %s :x '\n", "a"),
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
    with only_native(calm):
        assert calm.execute_query(f"select 7 % 4 as a from notes where id <> {placeholder} limit 1", params) == [
            {"a": 3}
        ]


@pytest.mark.parametrize("params", [None, [], {}])
def test_without_parameters_nothing_is_a_placeholder(calm: DatabaseAdapter, params: Any) -> None:
    assert calm.execute_query("select '100%' as a, '?' as b", params) == [{"a": "100%", "b": "?"}]
    with only_native(calm):
        assert calm.execute_query("select 7 % 4 as a", params) == [{"a": 3}]


def test_a_doubled_percent_beside_psycopgs_placeholders_is_one(calm: DatabaseAdapter) -> None:
    for placeholder, params in (("%s", ["a"]), ("%(id)s", {"id": "a"})):
        with only_native(calm):
            assert calm.execute_query(f"select 7 %% 4 as a from notes where id = {placeholder}", params) == [{"a": 3}]


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
        ("select id from notes where id = ?", None),
        ("select id from notes where id = :id", None),
        ("select nobody from notes", None),
        ("select id from notes where nobody = 1", None),
        ("select id from notes order by nobody", None),
        ("update notes set nobody = 'x'", None),
        ("delete from notes returning nobody", None),
        ("select id from notes where", None),
        ("select id from notes where (id = 'a'", None),
        ("select id from notes where id = 'a", None),
        ("insert into notes (id, body) values ('d')", None),
        ("selec", None),
        ("delete from notes\0 where id = 'a'", None),
        ("delete from notes where id = '\udc80'", None),
    ],
)
def test_wrong_text_or_parameters(calm: DatabaseAdapter, text: str, params: Any) -> None:
    with pytest.raises(InvalidQuery):
        calm.execute_query(text, params)
    assert len(calm.execute_query("select * from notes")) == 3


def test_an_unknown_table(calm: DatabaseAdapter) -> None:
    with pytest.raises(NotFound if translates(calm) else InvalidQuery):
        calm.execute_query("select id from nobody")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("select id from notes where id = 'x'", []),
        (
            "select body as b, id from notes where id <> 'b' order by id",
            [{"b": "one", "id": "a"}, {"b": None, "id": "c"}],
        ),
        ("select * from notes where id = 'c'", [{"id": "c", "body": None}]),
        ("select n.\"id\", N.BODY from notes as n where n.id = 'a';", [{"id": "a", "body": "one"}]),
        ("select body, id, body as b from notes where id = 'a'", [{"body": "one", "id": "a", "b": "one"}]),
        ("select 'x' as x, -1 as n, id from notes where id > 'b'", [{"x": "x", "n": -1, "id": "c"}]),
        ("select 1 as one", [{"one": 1}]),
        ("select count(*) as n from notes", [{"n": 3}]),
        ("select count(*) as n from notes where body is not null", [{"n": 2}]),
        ("select count(*) as n from notes where id = 'x'", [{"n": 0}]),
        ("select count(*) as n from notes limit 0", []),
        ("select id from notes where 'b' < id", [{"id": "c"}]),
        ("select id from notes where id between 'b' and 'c' and not body is null", [{"id": "b"}]),
        ("select id from notes where id in ('a', 'x') or body = 'two' order by 1", [{"id": "a"}, {"id": "b"}]),
        ("select id from notes where id = 'a' or id = 'b' and body is null", [{"id": "a"}]),
        ("select id from notes where body = null", []),
        ("select id from notes where not (body = null)", []),
        ("select id from notes where id not in ('a', null)", []),
        ("select id from notes where body is distinct from 'two' and id > 'a'", [{"id": "c"}]),
        ("select id from notes where body like 'o_e' and body not like 't%'", [{"id": "a"}]),
        ("select id from notes order by body desc nulls last limit 2", [{"id": "b"}, {"id": "a"}]),
        ("select id as body from notes order by body desc limit 1 offset 1", [{"body": "b"}]),
        ("select id from notes order by body nulls first limit 1", [{"id": "c"}]),
        ("update notes set body = 'x'", 3),
        ("update notes set body = 'x' where id = 'x'", 0),
        ("delete from notes where id <> 'a'", 2),
        ("insert into notes (id) values ('d'), ('e')", 2),
        ("insert into notes (id) values ('d') returning id, body", [{"id": "d", "body": None}]),
        ("update notes set body = 'x' where id = 'x' returning id", []),
        ("delete from notes where id = 'a' returning body", [{"body": "one"}]),
        ("update notes set body = null where id = 'a' returning body, id as i", [{"body": None, "i": "a"}]),
        ("insert into notes (id, body) values ('d', 'x') on conflict (id) do update set body = excluded.body", 1),
        (
            "insert into notes values ('a', 'x') on conflict (id) do update set body = excluded.body returning *",
            [{"id": "a", "body": "x"}],
        ),
        ("  -- a comment\n select id from notes where id = 'a'", [{"id": "a"}]),
    ],
)
def test_rows_where_the_statement_returns_rows_else_a_count(calm: DatabaseAdapter, text: str, answer: Any) -> None:
    assert calm.execute_query(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("with n as (select id from notes) select count(*) as n from n", [{"n": 3}]),
        ("with n as (select 'd' as id) insert into notes (id) select id from n", 1),
        ("drop table if exists nobody", 0),
        ("insert into notes (id) select 'd'", 1),
        ("update notes set body = body || id where id = 'a' returning body", [{"body": "onea"}]),
        ("select max(id) as id from notes", [{"id": "c"}]),
        ("select id from notes where id = (select max(id) from notes)", [{"id": "c"}]),
        ("select m.id from notes n join notes m on n.id = m.id where n.body = 'two'", [{"id": "b"}]),
        ("select id from notes where id = 'a' union all select 'x'", [{"id": "a"}, {"id": "x"}]),
        ("insert into notes (id) values ('a') on conflict do nothing", 0),
        ("values (1)", [1]),
    ],
)
def test_what_only_a_database_with_sql_can_do(calm: DatabaseAdapter, text: str, answer: Any) -> None:
    with only_native(calm):
        got = calm.execute_query(text)
        # The column of a bare VALUES has no name that the databases share.
        assert (list(got[0].values()) if text.startswith("values") else got) == answer
    if translates(calm):
        assert [row["body"] for row in calm.execute_query("select body from notes")] == ["one", "two", None]


def test_groups_and_distinct_rows(calm: DatabaseAdapter) -> None:
    calm.execute_query(INSERT, ["d", "one"])
    groups = calm.execute_query("select body as b, count(*) as n from notes group by body order by 1 desc nulls last")
    assert groups == [{"b": "two", "n": 1}, {"b": "one", "n": 2}, {"b": None, "n": 1}]
    assert calm.execute_query("select distinct body from notes where body <> 'two'") == [{"body": "one"}]
    assert calm.execute_query("select count(*) as n from notes group by body order by body nulls last limit 1") == [
        {"n": 2}
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_a_value(calm: DatabaseAdapter, text: str) -> None:
    assert calm.execute_query(INSERT, ("x", text)) == 1
    assert calm.execute_query("insert into notes (id, body) values (:i, :b)", {"i": "y", "b": text}) == 1
    assert calm.execute_query(f"insert into notes (id, body) values ('z', {quoted(text)})") == 1
    found = [{"id": "x", "body": text}, {"id": "y", "body": text}, {"id": "z", "body": text}]
    conditions: list[tuple[str, Any]] = [("%s", [text]), ("%(b)s", {"b": text}), (quoted(text), None)]
    for where, params in conditions:
        assert calm.execute_query(f"select id, body from notes where body = {where} order by id", params) == found
    assert calm.execute_query("delete from notes where body = ?", [text]) == 3
    assert [row["body"] for row in calm.execute_query("select body from notes order by id")] == ["one", "two", None]


def test_a_literal_of_a_hostile_text_in_every_place(calm: DatabaseAdapter) -> None:
    for index, text in enumerate(HOSTILE):
        literal, id_ = quoted(text), f"x{index}"
        calm.execute_query(INSERT, [id_, text])
        name = '"x' + text.replace('"', '""') + '"'
        for where in (f"{literal} = body", f"body in ({literal}, 'other')", f"body between {literal} and {literal}"):
            rows = calm.execute_query(f"select {literal} as {name}, body from notes where {where} and id = '{id_}'")
            assert [list(row.values()) for row in rows] == [[text, text]]
        assert calm.execute_query(f"update notes set body = {literal} where id = '{id_}'") == 1


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


@pytest.mark.parametrize(
    "text",
    [
        "select 1 as a; delete from notes",
        "delete from notes where id = 'a'; delete from notes where id = 'b'",
        "insert into notes (id) values ('d'); begin",
        "; ; delete from notes where id = 'a' ; /* ; */ delete from notes",
    ],
)
def test_a_text_of_several_statements_is_refused(calm: DatabaseAdapter, text: str) -> None:
    refused = pytest.raises((InvalidQuery, Unsupported), match="statement")
    with refused:
        calm.execute_query(text)
    with refused:
        calm.execute_batch(["delete from notes", text])
    with pytest.raises(TransactionError), calm.transaction(), refused:
        calm.execute_query(text)
    assert [row["id"] for row in calm.table("notes").execute()] == ["a", "b", "c"]


def test_what_comes_behind_a_statement_may_be_nothing(calm: DatabaseAdapter) -> None:
    text = "select id from notes where body = ?; -- ; \n /* ; delete */"
    assert calm.execute_query(text, ["one"]) == [{"id": "a"}]
    assert calm.execute_query("delete from notes where id = 'a' ;") == 1


def test_text_cannot_leave_a_transaction_open(calm: DatabaseAdapter) -> None:
    # Where each call is a transaction already, as the caller, BEGIN does nothing.
    harmless = calm.capabilities.row_security and not translates(calm)
    with nullcontext() if harmless else pytest.raises((InvalidQuery, Unsupported)):
        calm.execute_query("begin")
    calm.execute_query(INSERT, ["d", None])
    with ThreadPoolExecutor() as another:
        assert len(another.submit(calm.execute_query, "select * from notes").result()) == 4


@pytest.mark.parametrize("text", ["commit", "rollback"])
def test_text_cannot_end_a_transaction(calm: DatabaseAdapter, text: str) -> None:
    with pytest.raises(TransactionError), calm.transaction(), pytest.raises((InvalidQuery, Unsupported)):
        calm.execute_query(text)
    with calm.transaction():
        calm.execute_query(INSERT, ["d", None])
    assert len(calm.execute_query("select * from notes")) == 4


def test_text_and_tables_are_one_database(calm: DatabaseAdapter) -> None:
    calm.table("notes").insert({"id": "d", "body": "é'😀"}).execute()
    assert calm.execute_query("select body from notes where id = 'd'") == [{"body": "é'😀"}]
    assert [row["id"] for row in calm.table("notes").eq("body", "two").execute()] == ["b"]
