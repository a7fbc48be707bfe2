"""How large a caller's SQL text becomes when what is named is put in its place.

Of the expected sizes, each query, each table and each ``||`` is 700.
"""

from __future__ import annotations

import time

import pytest

from database.core.errors import InvalidQuery
from database.core.errors import Unsupported
from database.core.query.sql_text import SqlDialectName
from database.translation.plain_size import MAX_LISTED
from database.translation.plain_size import MAX_SIZE
from database.translation.plain_size import PART
from database.translation.referenced_tables import require_known_names
from database.translation.referenced_tables import require_size

TABLES = {"t": ["id", "a", "b", "c", "d"], "u": ["id", "a", "b", "c", "d"]}
Both = pytest.mark.parametrize("dialect", ["postgres", "sqlite"])


def nested(expression: str, levels: int, inner: str = "select a as v from t") -> str:
    """A query in a query in a query, each of which shows ``expression`` as ``v``."""
    for level in range(levels):
        inner = f"select {expression} as v from ({inner}) as x{level}"
    return inner


def copied(columns: int, levels: int) -> str:
    """Columns that are handed on one to one."""
    text = "select " + ", ".join(f"a as c{number}" for number in range(columns)) + " from t"
    for level in range(levels):
        text = "select " + ", ".join(f"c{number}" for number in range(columns)) + f" from ({text}) as x{level}"
    return text


def chained(common: str, number: int) -> str:
    """Common table expressions of which each is made of the one before, its ``{}``."""
    parts = ["a0 as (select a as v from t)"]
    parts += [f"a{place} as ({common.format(*[f'a{place - 1}'] * common.count('{}'))})" for place in range(1, number)]
    return f"with {', '.join(parts)} select v from a{number - 1}"


def parenthesized(text: str, number: int, inner: str = "b") -> str:
    return "select " + "(" * number + inner + text * number + " from t"


WITHIN = [
    copied(20, 5),
    nested("v + 1", 25),
    chained("select v from {} where v > 'a'", 12),
    "select a from t where b in (" + ", ".join(map(str, range(3000))) + ")",
    "select a from t where " + " or ".join(f"b = {number}" for number in range(900)),
    "select a || ', ' || b || ', ' || c || ', ' || d as line from t",
    "select " + ", ".join(f"x{number}.a as c{number}" for number in range(8)) + " from t as x0"
    + "".join(f" left join u as x{number} on x{number}.id = x0.id" for number in range(1, 8)),
    "insert into t (id) values " + ", ".join(["('x')"] * 1500),
    "select a from t" + " union all select a from u" * 12,
    "select * from (select * from (select * from (select * from t) as x) as y) as z order by a, b limit 5",
    "select a, count(*) as n from t where b between 1 and 5 group by a having count(*) > 1 order by n desc, 1",
    "update t set a = x.v from (select id, a || 'x' as v from u) as x where x.id = t.id",
    "select a from t as x where exists (select 1 from u as y where y.id = x.id) and b in (select b from u)",
]  # fmt: skip

BEYOND = {
    "columns of derived tables": nested("v + v + v + v", 14),
    "the same in few levels": nested("+".join(["v"] * 150), 2),
    "columns by the name of their table": "select x.v"
    + "+x.v" * 150
    + f" from ({nested('+'.join(['v'] * 150), 1)}) as x",
    "columns of common table expressions": chained("select v + v + v + v as v from {}", 14),
    "columns with listed names": nested("v + v + v + v", 14).replace(" as x1)", " as x1(v))"),
    "conditions on derived columns": f"select 1 from ({nested('v + v + v + v', 6)}) as x where v > 1 and v < 9",
    "stars": f"select {', '.join(['*'] * 80)} from (select {', '.join(['*'] * 80)} from (select * from t) as x) as y",
    "stars of a source": "select "
    + ", ".join(["x.*"] * 80)
    + " from (select "
    + ", ".join(["*"] * 80)
    + " from t) as x",
    "common table expressions, twice each": chained("select v from {} union all select v from {}", 20),
    "the same joined": chained("select x.v from {} as x join {} as y on x.v = y.v", 20),
    "the same in conditions": chained("select v from {} where v in (select v from {})", 20),
    "correlated queries": nested("(select count(*) from u where u.a = v) + (select count(*) from u where u.a = v)", 8),
    "tables": "select 1 from t as x" + "".join(f" join u as u{number} on u{number}.id = x.id" for number in range(40)),
    "queries": "select a from t" + " union all select a from t" * 25,
    "windows": "select " + ", ".join(f"rank() over (order by b + {number})" for number in range(30)) + " from t",
    "concatenations": "select " + "||".join(["a"] * 50) + " from t",
    "readers of unions": f"select {'+'.join(['v'] * 900)} from (select b as v from t"
    + " union all select b from t" * 7
    + ") as x",
    "readers of two unions": f"select {'+'.join(['x.v'] * 300)} from"
    + ", ".join(f" (select b as v from t{' union all select b from t' * 3}) as {name}" for name in "xy"),
    "an alias in conditions": f"select {'+'.join(['b'] * 200)} as w from t where w > 1" + " and w > 2" * 100,
    "numbers in an order": f"select {'+'.join(['b'] * 200)} from t group by 1" + ", 1" * 100,
    "between in between": parenthesized(" between 1 and 2)", 14),
    "symmetric between": parenthesized(" between symmetric 1 and 2)", 8),
    "in of columns": parenthesized(" in (b, b, b, b))", 8),
    "a full join": f"select {'+'.join(['v'] * 100)} from ({nested('v + v', 5)}) as p full join ({nested('v + v', 5)})"
    " as q using (v)",
    "values": "select " + "+".join(["v"] * 150) + f" from (values ({'+'.join(['1'] * 200)})) as x(v)",
    "what a change returns": f"update t set a = 'x' from ({nested('v + v + v + v', 7)}) as x returning x.v",
    "what is inserted": f"insert into t (a) {nested('v + v + v + v', 14)}",
}


@Both
@pytest.mark.parametrize("text", WITHIN)
def test_reasonable_statements_are_small_enough(dialect: SqlDialectName, text: str) -> None:
    require_known_names(text, dialect, TABLES)
    require_size(text, dialect, TABLES)


@Both
@pytest.mark.parametrize("kind", BEYOND)
def test_what_becomes_large_is_refused(dialect: SqlDialectName, kind: str) -> None:
    if dialect == "sqlite" and "symmetric" in kind:
        return
    with pytest.raises(InvalidQuery, match=r"20,000 parts.*simplify it or split"):
        require_size(BEYOND[kind], dialect, TABLES)


def test_many_tables_between_commas_are_refused_on_postgresql() -> None:
    listed = ", ".join(f"t as t{number}" for number in range(MAX_LISTED))
    require_size(f"select 1 from {listed}", "postgres", TABLES)
    require_size(f"select 1 from {listed} cross join u", "postgres", TABLES)
    with pytest.raises(InvalidQuery, match="commas, not 9; use JOIN"):
        require_size(f"select 1 from {listed}, u", "postgres", TABLES)


@Both
@pytest.mark.parametrize(("text", "size"), [
    ("select 1", PART + 1),
    ("select a from t", 2 * PART + 1),
    ("select * from t", 2 * PART + 5),
    ("select v from (select b + b as v from t) as x", 3 * PART + 6),
    ("with x as (select b + b as v from t) select v from x", 4 * PART + 6),
    ("select x.* from (select b + b as v, a from t) as x", 3 * PART + 8),
])  # fmt: skip
def test_the_size_is_what_it_says(
    dialect: SqlDialectName, text: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.translation.plain_size.MAX_SIZE", size)
    require_size(text, dialect, TABLES)
    monkeypatch.setattr("database.translation.plain_size.MAX_SIZE", size - 1)
    with pytest.raises(InvalidQuery):
        require_size(text, dialect, TABLES)


@Both
@pytest.mark.parametrize(
    "text",
    [
        "select " + "(" * 7900 + "1" + ")" * 7900,
        "select * from " + "(select * from " * 1000 + "t" + ")" * 1000,
        "select " + "not " * 3900 + "true",
        "select " + "case when true then " * 600 + "1" + " end" * 600,
        "select 1 where " + "exists (select 1 where " * 600 + "true" + ")" * 600,
    ],
    ids=lambda text: text[:24],
)
def test_what_is_nested_deep_is_refused(dialect: SqlDialectName, text: str) -> None:
    with pytest.raises((Unsupported, InvalidQuery)):
        require_size(text, dialect, TABLES)


@Both
def test_a_statement_is_measured_without_being_made(dialect: SqlDialectName) -> None:
    began = time.process_time()
    with pytest.raises(InvalidQuery):
        require_size(nested("v + v + v + v", 38), dialect, TABLES)
    assert MAX_SIZE < 4**38
    assert time.process_time() - began < 5  # seconds; made, it would be more parts than there are bytes anywhere
