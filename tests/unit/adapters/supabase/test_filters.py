"""What a filter becomes in a URL, read as PostgREST reads it, and what is kept out of URLs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import note
from hypothesis import strategies as st

from database.backends.supabase.filters import expression
from database.backends.supabase.filters import fits_url
from database.columns import text
from database.core.query.evaluation import evaluator
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Operator
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.steps import Steps
from database.core.query.validation import checked_filter
from database.core.result import Row
from database.core.tables.schema import Schema
from tests.contract.queries import generated
from tests.contract.tables import SCHEMA
from tests.unit.adapters.supabase.grammar import LogicTree

THINGS = SCHEMA.table("things")
HOSTILE = [
    "",
    " ",
    "null",
    "NULL",
    "true",
    "0",
    "1e5",
    ",",
    ".",
    "a,id.eq.b",
    "{a,b}",
    "[1]",
    "%",
    "é&=#+?/",
    "\n\t",
    "'",
]
RISKY = ['"', "\\", "(", ")", 'a",id.not.is.null,label.eq."b', 'a\\"', "and()", "a)", "(b"]


def read(where: Filter, rows: Sequence[Row] = ()) -> Filter:
    return LogicTree(THINGS, expression(where), rows).read()


@given(data=st.data())
def test_postgrest_reads_what_was_meant(data: st.DataObject) -> None:
    table = SCHEMA.table(data.draw(generated.tables()))
    rows = data.draw(generated.rows(table.name))
    for _ in range(10):
        where = checked_filter(table, data.draw(generated.filters(rows)))
        assert where is not None
        if fits_url(table, where, ()):
            text = expression(where, table.key[0])
            note(text)
            understood = LogicTree(table, text, rows).read()
            for row in rows:
                assert evaluator(understood, Steps())(row) is evaluator(where, Steps())(row)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("operator", ["eq", "gt"])
def test_hostile_values_stay_values(operator: Operator, value: str) -> None:
    where = Where("label", operator, value)
    assert fits_url(THINGS, where, ())
    assert read(where) == where


@pytest.mark.parametrize("value", RISKY)
@pytest.mark.parametrize("operator", ["eq", "neq", "gt", "in", "like", "ilike", "contains"])
def test_values_that_could_be_misread_do_not_stand_in_a_url(operator: Operator, value: str) -> None:
    operand = value.replace("\\", "\\\\") if operator in {"like", "ilike"} else value
    where = Where("label", operator, ("a", operand) if operator == "in" else operand)
    assert not fits_url(THINGS, where, ())
    assert not fits_url(THINGS, Or((Where("rank", "eq", 1), Not(where))), ())


@pytest.mark.parametrize(
    "where",
    [
        Where("data", "contains", {"a": 1}),
        Where("data", "contains", 1),
    ],
    ids=repr,
)
def test_what_postgrest_cannot_express_does_not_stand_in_a_url(where: Filter) -> None:
    assert not fits_url(THINGS, where, ())


@pytest.mark.parametrize(
    ("where", "written"),
    [
        (Where("id", "eq", "a"), 'id.eq."a"'),
        (Where("rank", "in", (1, 2)), 'rank.in.("1","2")'),
        (Where("label", "in", ("",)), 'label.eq.""'),
        (Where("label", "in", ()), "id.is.null"),
        (And(()), "id.not.is.null"),
        (Or(()), "id.is.null"),
        (Where("done", "neq", True), "done.neq.true"),
        (Where("title", "is_null", False), "title.not.is.null"),
        (Where("label", "contains", "x y"), 'label.match."x y"'),
        (Where("label", "contains", "5%*.^"), 'label.match."5%[*][.][[.^.]]"'),
        (Where("label", "like", "a\\%%_]*"), 'label.match."^a%.*.[]][*]$"'),
        (Where("label", "ilike", "a1É"), 'label.match."^[aA]1É$"'),
        (Not(And((Where("ratio", "gt", 1e300), Where("title", "is_null", True)))), None),
    ],
    ids=repr,
)
def test_spelling(where: Filter, written: str | None) -> None:
    assert expression(where) == (written or 'not.and(and(ratio.gt."1e+300",title.is.null))')


def table_of(*columns: sa.Column[Any]) -> Any:
    metadata = sa.MetaData()
    sa.Table("t", metadata, sa.Column("id", text(255), primary_key=True), *columns)
    return Schema.of(metadata).table("t")


def test_names_that_are_no_identifiers_are_quoted() -> None:
    table = table_of(sa.Column('a b".eq', text()))
    where = Where('a b".eq', "eq", "x")
    assert expression(where) == '"a b\\".eq".eq."x"'
    assert LogicTree(table, expression(where)).read() == where


def test_a_column_that_sorts_by_language_is_not_compared_in_a_url() -> None:
    table = table_of(sa.Column("name", sa.String()), sa.Column("owner", sa.Uuid()))
    assert fits_url(table, Where("name", "eq", "x"), (Order("id"),))
    assert not fits_url(table, Where("name", "gt", "x"), ())
    assert fits_url(table, Where("name", "ilike", "x"), ())
    assert not fits_url(table, None, (Order("name"), Order("id")))
    assert fits_url(table, Where("owner", "gt", "x"), (Order("owner"),))
    assert not fits_url(table, Where("owner", "like", "x%"), ())
