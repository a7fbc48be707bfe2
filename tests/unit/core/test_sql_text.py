"""Which SQL text counts as reading: one statement, and nothing in it that might change something."""

from __future__ import annotations

import pytest

from database.core.operations import Batch
from database.core.operations import Sql
from database.core.operations import reads_only
from database.core.query.sql_text import certainly_reads

READING = (
    "select 1",
    "SELECT count(*) FROM t;",
    "  -- a\n select id from t where a = ? and b in (1, 2)",
    "select 1 -- why\r\nfrom t",
    "select t.\"count\", t.update, 'delete from x' as text, '--' from t",
    "select cast(a as numeric(10, 2)) from t where x::varchar(3) = %(n)s and y = :name",
    "select a[1], array[%s, %s], data ->> 'a', data #>> %s from t",
    "select sum(a) filter (where b) over (partition by c) from t",
    "select * from (select 1) as x where exists (select 1) and a = (select max(a) from t)",
    "values (1), (2)",
    "table t",
    "show server_version",
    "explain select 1",
    "explain (format json) select * from t",
)
WRITING = (
    "",
    ";",
    "delete from t",
    "selecting",
    "with a as (delete from t returning 1) select * from a",
    "explain analyze insert into t values (1)",
    "explain (analyze) select 1",
    "EXPLAIN ANALYSE select 1",
    "select 1; delete from t",
    "select 1 as a; -- more\n delete from t",
    "select * into x from t",
    "select 1into x from t",
    "select * from t for update",
    "select * from t for no key update",
    "select * from t for key share",
    "select add_molecule(1)",
    "select public.lower(1)",
    "select pg_catalog . nextval('a')",
    'select "count"(1)',
    "select [count](1)",
    "select * from 'count'(1)",
    "select _count (1)",
    "select ran\u212a(1)",
    "select \u00fc(1)",
    "select mine\u00a0lower(1)",
)
READ_DIFFERENTLY = (
    "/* /* */ select 1 /* */ delete from t */",
    "select 1 /* x */",
    "select E'\\'' into t from u where a = ''",
    "select $$'$$ into t from u where a = ''",
    "select 1 -- '\r into t -- '",
    "select [it's] from t; delete from t --'",
    "select `it's` from t; delete from t --'",
    "select 'it",
    'select "it',
)
"""By PostgreSQL and by SQLite, or by both and whoever looks only for quotes."""


@pytest.mark.parametrize("text", READING)
def test_what_certainly_reads(text: str) -> None:
    assert certainly_reads(text)
    assert reads_only(Sql(text))
    assert Sql(text).idempotent


@pytest.mark.parametrize("text", [*WRITING, *READ_DIFFERENTLY])
def test_what_may_write(text: str) -> None:
    assert not certainly_reads(text)
    assert not Sql(text).idempotent
    assert not reads_only(Batch((Sql("select 1"), Sql(text))))


def test_a_long_text_is_judged_as_a_short_one() -> None:
    long = f"select id from t where id in ({', '.join(['?'] * 5_000)})"
    assert certainly_reads(long)
    assert not certainly_reads(f"{long} for update")
