"""What SQL text is found to do with which tables: rather too much than too little."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

import pytest

from database.core.errors import Unsupported
from database.translation.referenced_tables import require_known_names
from database.translation.referenced_tables import uses

Both = pytest.mark.parametrize("dialect", ["postgres", "sqlite"])
Dialect = Literal["postgres", "sqlite"]


def found(text: str, dialect: Dialect) -> set[str]:
    return {f"{action} {table}" for table, action in uses(text, dialect)}


@Both
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", set()),
        ("SELECT count(*), lower(Name) FROM Notes n WHERE n.id = ? -- from others", {"read notes"}),
        ("select 'from others', \"from others\" from notes /* , others */", {"read notes"}),
        ("select * from a join b on a.id = b.id left join c using (id)", {"read a", "read b", "read c"}),
        ("select * from a, b", {"read a", "read b"}),
        ("select (select max(id) from b) from a where exists (select 1 from c)", {"read a", "read b", "read c"}),
        ("select * from a union all select * from b", {"read a", "read b"}),
        ("select * from a order by (select id from b limit 1) limit (select 1 from c)", {"read a", "read b", "read c"}),
        ("insert into a (id) values (?)", {"write a"}),
        ("insert into a (id) values (?) returning id", {"read a", "write a"}),
        ("insert into a (id) values (?) on conflict (id) do nothing", {"read a", "write a"}),
        ("insert into a (id) select id from b", {"write a", "read b"}),
        ('insert into "count" (id) values (1)', {"write count"}),
        ("insert or replace into a (id) values (?)", {"read a", "write a", "delete a"}),
        (
            "update a set x = (select x from b) where id in (select id from c)",
            {"read a", "write a", "read b", "read c"},
        ),
        ("delete from a where id in (select id from b)", {"read a", "delete a", "read b"}),
        ("select * from a for update", {"read a", "write a"}),
    ],
)
def test_uses_are_found(dialect: Dialect, text: str, expected: set[str]) -> None:
    assert found(text, dialect) == expected


@Both
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("with x as (select * from a) select * from x", {"read a"}),
        ("with x as (select * from a), y as (select * from x) select * from y, b", {"read a", "read b"}),
        ("with x as (delete from a returning *) select * from x", {"read a", "delete a"}),
        ("with x as (select * from x) select * from x", {"read x"}),
        ("with x as (select * from y), y as (select 1) select * from x", {"read y"}),
        ("select * from x where exists (with x as (select 1) select * from x)", {"read x"}),
        ("with x as (select 1) insert into x (id) values (1)", {"write x"}),
        ("with x as (select 1) delete from x", {"read x", "delete x"}),
    ],
)
def test_a_name_in_with_hides_no_table(dialect: Dialect, text: str, expected: set[str]) -> None:
    assert found(text, dialect) == expected


def test_names_are_read_as_the_database_reads_them() -> None:
    assert found('select * from "Notes"', "postgres") == {"read Notes"}
    assert found('select * from "Notes"', "sqlite") == {"read notes"}
    assert found("select * from public.notes", "postgres") == {"read notes"}
    assert found("select * from main.notes", "sqlite") == {"read notes"}


@Both
@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "select 1; select 2",
        "select 1; drop table a",
        "selec 1",
        "select * from 'unclosed",
        "drop table a",
        "create table b as select * from a",
        "select * into b from a",
        "truncate a",
        "explain select * from a",
        "pragma table_info(a)",
        "set role postgres",
        "begin",
        "copy a to stdout",
        "merge into a using b on true when matched then delete",
        "select query_to_xml('select * from a', true, true, '')",
        "select pg_catalog.query_to_xml('select * from a', true, true, '')",
        "select load_extension('x')",
        "select * from pragma_table_info('a')",
        "select * from dblink('', 'select * from a') as t (id text)",
        "select set_config('role', 'postgres', true)",
        "select * from elsewhere.a",
        "select * from pg_temp.a",
        "with recursive x as (select 1 as n union select n + 1 from x) select * from x, a",
        "select 'x' in b from a",
        "select 1 in b",
        "select repeat('x', 1000000000) from a",
        "select pg_sleep(10) from a",
        "select len(x) from a",
        "select ucase (x) from a",
        'select "Lower"(x) from a',
        'select "trim" (x) from a',
        "select if(x, 1, 2) from a",
        "select uuid(x) from a",
        "select cast(x as char(10485760)) from a",
        "select 5 %s from a",
        "select 5 %(x)s from a",
        "insert into a (id) values (1) on conflict (id) do update set id = 1 where a.id = 2",
        "select U&'x' from a",
        "select E'x' from a",
        "select $$x$$ from a",
        "select 'a' 'b' from a",
        "select '\\' from a",
        "select 1 from a /* /* */ */",
        "select 1 from [b]",
        "select 1 from `b`",
        "select 1 -- \r from b",
        "select 1 from\u00a0b",
        "select x::regclass from a",
        "select current_user from a",
        "select (a).x from a",
        "select * from a tablesample system (1)",
        "select * from a, lateral (select 1) as b",
        "select * from generate_series(1, 2)",
        "table b",
        "(" * 3000 + "select 1" + ")" * 3000,
    ],
    ids=lambda text: text[:40],
)
def test_what_cannot_be_judged_is_refused(dialect: Dialect, text: str) -> None:
    with pytest.raises(Unsupported) as refused:
        uses(text, dialect)
    assert refused.value.capability == "row_security"
    assert "as_application()" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [("select * from public.a", "sqlite"), ("select * from main.a", "postgres"), ("select 1 /* /* */", "postgres")],
)
def test_each_database_has_its_own_ways(text: str, dialect: Dialect) -> None:
    with pytest.raises(Unsupported):
        uses(text, dialect)


COLUMNS = {"a": {"id"}, "b": {"id", "body"}}


@pytest.mark.parametrize(
    "text",
    [
        "select a.row_to_json from a",
        "select a.fn, 1 as fn from a",
        "select s.fn, 1 as fn from (select id from a) as s",
        "select a.body from a, b",
        "select s.body from (select * from a) as s, b",
        "select s.body from (select x.* from a as x, b as y) as s",
        "select a.fn from a where exists (with a as (select 1 as fn) select 1 from a)",
        "with x as (select id from a) select x.fn, 1 as fn from x",
        "with x as (delete from a returning *) select x.body from x, b",
        "with x as (select x.id from x) select x.id from x",
        "select a from a",
        "select x, 1 as x from a as x",
        "select count(x.*) from a as x",
        "select a.* is null from a",
        "select x.* from a",
        "select x.a.id from a",
        "select user",
        "select user, 1 as user",
        "select ctid, 1 as ctid from a",
        'select "xmin", 1 as xmin from a',
        "select 1 from a join b using (ctid)",
        "insert into a (id, rowid) values (1, 2)",
        "insert into a (body) select body from b",
        "insert into a (id) values (1) on conflict (fn) do nothing",
        "insert into a (id) values (1) on conflict (id) do update set id = excluded.body",
        "insert into a (id) values (1) returning old.id",
    ],
)
def test_names_are_those_of_the_statement(text: str) -> None:
    with pytest.raises(Unsupported):
        require_known_names(text, "postgres", COLUMNS)


@pytest.mark.parametrize(
    "text",
    [
        "select a.id, x.n from a join (select count(*) as n from a) as x on x.n = 1",
        "select x.n from (values (1)) as x (n)",
        "select x.id, y.body from (select * from a) as x join (select b.* from a, b) as y using (id)",
        "select x.id from ((select id from a) union (select body from b)) as x",
        "with x (m) as (select id from a) select m from x order by m",
        "with x as (select id as m from a), y as (select * from x) select z.m, z.* from y as z",
        "with n as (select count(*) as n from a) select n from n",
        "with x as (insert into a (id) values (1) returning id as m) select x.m from x",
        "select id as n from a order by n",
        "select a.* from a",
        "select o.id from a as o where exists (select 1 from b where b.id = o.id)",
        "insert into a (id) values (?) on conflict (id) do update set id = excluded.id",
        "insert into a as x (id) values (?) on conflict (id) do update set id = x.id returning x.id",
        "update a set id = b.body from b where b.id = a.id",
    ],
)
def test_names_that_the_statement_makes_are_known(text: str) -> None:
    require_known_names(text, "postgres", COLUMNS)


def test_words_are_columns_if_there_are_such() -> None:
    require_known_names('select "user", rowid from a', "postgres", {"a": {"user", "rowid"}})
    with pytest.raises(Unsupported):
        require_known_names("select user from a", "postgres", {"a": {"user"}})


def test_a_statement_of_many_parts_is_read_or_refused() -> None:
    parts = ", ".join(["x0 as (select id from a)", *[f"x{n} as (select * from x{n - 1})" for n in range(1, 400)]])
    for end in ("x399", "a" + " union select id from a" * 600):
        with suppress(Unsupported):
            require_known_names(f"with {parts} select * from {end}", "postgres", COLUMNS)


@Both
def test_no_value_is_quoted(dialect: Dialect, caplog: pytest.LogCaptureFixture) -> None:
    for text in ("select 'secret' from from", "select secret('secret') frm", "'secret'"):
        with pytest.raises(Unsupported) as refused:
            uses(text, dialect)
        assert "'secret'" not in str(refused.value)
    assert caplog.records == []
