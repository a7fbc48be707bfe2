"""What has been checked may be checked again, by another layer or backend, and stays as it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from database.core.operations import Get
from database.core.operations import Select
from database.core.query.filters import Order
from database.core.query.validation import MAX_SORT_KEYS
from database.core.query.validation import checked_get
from database.core.query.validation import checked_select
from tests.contract.queries import generated
from tests.contract.tables import SCHEMA

THINGS = SCHEMA.table("things")

names = st.sampled_from(generated.sortable("things"))
numbers = st.none() | st.integers(0, 3)


@st.composite
def selects(draw: st.DrawFn) -> Select:
    """Queries for rows and for groups, with as many sort keys as they may have."""
    group = tuple(draw(st.lists(names, max_size=3, unique=True)))
    among = st.sampled_from(group) if group else names
    columns = draw(st.none() | st.lists(among, min_size=1, max_size=3, unique=True).map(tuple))
    keys = st.builds(Order, among, st.booleans(), st.none() | st.sampled_from(["first", "last"]))
    order = tuple(draw(st.lists(keys, max_size=MAX_SORT_KEYS)))
    where = draw(st.none() | generated.filters(draw(generated.rows())))
    return Select("things", columns, where, order, draw(numbers), draw(numbers), draw(st.booleans()), group)


@given(selects())
def test_a_checked_query_is_checked_again_without_a_change(query: Select) -> None:
    checked = checked_select(THINGS, query)
    assert checked_select(THINGS, checked) == checked


def test_of_a_column_that_groups_are_sorted_by_twice_the_first_key_counts() -> None:
    order = (Order("rank", descending=True), Order("label"), Order("rank"))
    checked = checked_select(THINGS, Select("things", order=order, group=("title", "label", "rank")))
    assert checked.order == (*order[:2], Order("title"))


def test_a_checked_look_up_is_checked_again_without_a_change() -> None:
    for get in (Get("things", "a"), Get("things", "a", ("title", "id")), Get("things", "a", lock=True)):
        assert checked_get(THINGS, checked_get(THINGS, get)) == get
