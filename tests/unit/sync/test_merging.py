"""The merge of a record, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.core.errors import InvalidQuery
from database.core.result import Row
from database.core.tables.schema import TableSchema
from database.core.tables.schema import table_schema
from database.sync.canonical_rows import CanonicalRows
from database.sync.conflicts.open_conflicts import OpenConflict
from database.sync.conflicts.strategies import Deciding
from database.sync.conflicts.strategies import strategies_by_table
from database.sync.three_way_merge import Base
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import SideState


def shorter(_: Any, first: str | None, second: str | None) -> str | None:
    return min(first or "", second or "", key=lambda text: (len(text), text)) or None


def _table(*extra: Any, **info: Any) -> TableSchema:
    columns = (
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        *extra,
    )
    return table_schema(sa.Table("wells", sa.MetaData(), *columns, info=info))


WELLS = _table(
    sa.Column("name", sa.Text),
    sa.Column("visits", sa.BigInteger, info={"merge": "sum"}),
    sa.Column("volume", sa.Numeric(12, 3), info={"merge": "sum"}),
    sa.Column("depth", sa.Numeric(8, 2), info={"merge": "max"}),
    sa.Column("opened", sa.Date, info={"merge": "min"}),
    sa.Column("tags", sa.ARRAY(sa.Text), info={"merge": "union"}),
    sa.Column("code", sa.Text, info={"merge": shorter}),
    sa.Column("east", sa.Double),
    sa.Column("north", sa.Double),
    sa.Column("notes", sa.JSON),
    merge_groups=[("east", "north")],
)
FORM = CanonicalRows(WELLS)
KEY = RecordKey("wells", "a")
EMPTY: Row = dict.fromkeys(WELLS.columns) | {"id": "a", "version": 1, "updated_at": "2024-01-01T00:00:00Z"}


def row(**values: Any) -> Row:
    return {name: WELLS.columns[name].check(value) for name, value in (EMPTY | values).items()}


def state(base: Row | None, first: Row | None, second: Row | None) -> RecordState:
    agreed = None if base is None else Base(1, FORM.text(base))
    return RecordState(KEY, SideState(first, FORM.text(first), agreed), SideState(second, FORM.text(second), None))


def deciding(**policies: str) -> Deciding:
    return Deciding(strategies_by_table("merge"), {"wells": WELLS}, policies)


def merged(base: Row | None, first: Row, second: Row) -> Row:
    found = deciding().resolve(state(base, first, second)).row
    assert found is not None
    return found


def settled(given: RecordState) -> tuple[Row | None, list[MergeAction]]:
    """What both sides have in the end, and the actions."""
    actions: list[MergeAction] = []
    while (action := deciding()(given)) is not None:
        actions.append(action)
        assert len(actions) < 5
        present = given.of(action.side)
        new = SideState(action.row, FORM.text(action.row), action.base) if action.writes else present
        new = SideState(new.row, new.text, action.base)
        sides = {"first": given.first, "second": given.second, action.side: new}
        given = RecordState(given.key, **sides)
    assert given.first.text == given.second.text
    return given.first.row, actions


# Any values


texts = st.none() | st.sampled_from(["", "a", "b", "ab"])
rows = st.builds(
    row,
    version=st.integers(1, 3),
    updated_at=st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z"]),
    name=texts,
    visits=st.none() | st.integers(-3, 3),
    volume=st.none() | st.decimals(-1, 1, places=3),
    depth=st.none() | st.decimals(-1, 1, places=2),
    opened=st.none() | st.dates(),
    tags=st.none() | st.lists(st.sampled_from("abcd"), max_size=4),
    code=texts,
    east=st.none() | st.sampled_from([0.0, 1.5]),
    north=st.none() | st.sampled_from([0.0, 1.5]),
    notes=st.none() | st.sampled_from([1, True, 1.0, {"a": [1]}, {"a": [True]}]),
)


@settings(max_examples=50, deadline=None)
@given(base=st.none() | rows, first=rows, second=rows)
def test_the_result_is_the_same_whichever_side_is_the_first(base: Row | None, first: Row, second: Row) -> None:
    assert FORM.text(merged(base, first, second)) == FORM.text(merged(base, second, first))


# Each side alone has changed what the result has of it, and yet it is the row of neither.
TIMED = (row(updated_at="2024-01-01T00:00:01Z", notes=1), row(updated_at="2024-01-01T00:00:01Z"), row(version=2))


@settings(max_examples=50, deadline=None)
@example(*TIMED)
@given(base=st.none() | rows, first=rows, second=rows)
def test_both_sides_come_to_the_result_once(base: Row | None, first: Row, second: Row) -> None:
    given = state(base, first, second)
    last, actions = settled(given)
    assert sum(action.conflict is not None for action in actions) <= 1
    if any(action.conflict for action in actions):
        assert last is not None
        versions = [one["version"] for one in (first, second) if FORM.text(one) != FORM.text(last)]
        assert last["version"] > max(versions, default=0)
    text = FORM.text(last)
    agreed = RecordState(KEY, SideState(last, text, Base(9, text)), SideState(last, text, None))
    again, more = settled(agreed)
    assert (again, more) == (last, [])


@settings(max_examples=50, deadline=None)
@given(base=rows, first=rows, second=rows)
def test_what_one_side_has_changed_alone_is_in_the_result(base: Row, first: Row, second: Row) -> None:
    found = merged(base, first, second)
    own, other, before = (FORM.text(one) for one in (first, second, base))
    for name in ("name", "visits", "volume", "depth", "opened", "tags", "code", "notes"):
        here, there, then = (dict(_values(text))[name] for text in (own, other, before))
        if there == then:
            assert found[name] == first[name]
        elif here == then:
            assert found[name] == second[name]
    assert any((found["east"], found["north"]) == (one["east"], one["north"]) for one in (first, second))


def _values(text: str | None) -> Mapping[str, Any]:
    assert text is not None
    return {name: orjson.dumps(value) for name, value in orjson.loads(text).items()}


# Each rule


@pytest.mark.parametrize(
    ("column", "base", "first", "second", "expected"),
    [
        ("visits", 5, 7, 4, 6),
        ("visits", 5, 6, 6, 7),
        ("visits", None, 2, 3, 5),
        ("volume", "1000000.100", "1000000.400", "1000000.300", "1000000.600"),
        ("depth", "2.00", "1.00", "3.00", "3.00"),
        ("depth", "2.00", "1.00", None, "1.00"),
        ("opened", "2024-02-01", "2024-01-01", "2024-03-01", "2024-01-01"),
        ("tags", ["a", "b"], ["a", "b", "d"], ["b", "c"], ["b", "c", "d"]),
        ("tags", ["a", "b"], ["b"], ["a"], []),
        ("tags", None, ["b"], ["a"], ["a", "b"]),
        ("code", "abc", "ab", "a", "a"),
    ],
)
def test_a_rule_merges_what_both_have_changed(column: str, base: Any, first: Any, second: Any, expected: Any) -> None:
    found = merged(row(**{column: base}), row(**{column: first, "name": "x"}), row(**{column: second}))
    assert found[column] == WELLS.columns[column].check(expected)


def test_without_an_agreed_row_a_counter_is_that_of_the_later_row() -> None:
    later = row(visits=6, updated_at="2024-01-02T00:00:00Z")
    assert merged(None, row(visits=7, tags=["a"]), later | {"tags": ["b"]})["visits"] == 6
    assert merged(None, row(visits=7, tags=["a"]), later | {"tags": ["b"]})["tags"] == ["a", "b"]


def test_both_sides_may_count_to_the_same_number() -> None:
    last, actions = settled(state(row(visits=5), row(visits=6), row(visits=6)))
    assert last is not None
    assert last["visits"] == 7
    assert [action.conflict is not None for action in actions] == [True, False]


def test_columns_of_a_group_stay_together() -> None:
    base = row(east=0.0, north=0.0)
    first, second = row(east=1.0, north=0.0), row(east=0.0, north=2.0, updated_at="2024-01-02T00:00:00Z")
    found = merged(base, first, second)
    assert (found["east"], found["north"]) == (0.0, 2.0)


def test_the_time_and_the_version_are_above_both() -> None:
    first = row(name="x", version=7, updated_at="2024-01-02T00:00:00Z")
    found = merged(row(name="o"), first, row(visits=1, version=3))
    assert (found["name"], found["visits"], found["version"]) == ("x", 1, 8)
    assert found["updated_at"] == first["updated_at"]


# Results that are none


LIMITED = _table(
    sa.Column("sold", sa.Integer, sa.CheckConstraint("sold <= 10", name="enough"), info={"merge": "sum"}),
    sa.Column("left", sa.SmallInteger, info={"merge": "sum"}),
)


def limited(**values: int) -> Row:
    given = {"id": "a", "version": 1, "updated_at": "2024-01-01T00:00:00Z", "sold": 0, "left": 0} | values
    return {name: LIMITED.columns[name].check(value) for name, value in given.items()}


@pytest.mark.parametrize(
    ("column", "value", "reason"), [("sold", 6, "constraint .*enough"), ("left", 32767, "16 bits")]
)
def test_a_merged_row_that_is_not_valid_waits_for_a_decision(column: str, value: int, reason: str) -> None:
    form, rows = CanonicalRows(LIMITED), [limited(), limited(**{column: value}), limited(**{column: value - 1})]
    base, first, second = (form.text(one) for one in rows)
    both = RecordState(KEY, SideState(rows[1], first, Base(1, base)), SideState(rows[2], second, None))
    with pytest.raises(OpenConflict, match=reason):
        Deciding({"wells": "merge"}, {"wells": LIMITED}).resolve(both)


def test_a_function_that_fails_fails_for_its_record_only(caplog: pytest.LogCaptureFixture) -> None:
    table = _table(sa.Column("code", sa.Text, info={"merge": lambda *_: 1 / 0}))
    given = dict.fromkeys(table.columns) | {"id": "a", "version": 1, "updated_at": EMPTY["updated_at"]}
    rows = [{n: table.columns[n].check(v) for n, v in (given | {"code": code}).items()} for code in "abc"]
    base, first, second = (CanonicalRows(table).text(one) for one in rows)
    both = RecordState(KEY, SideState(rows[1], first, Base(1, base)), SideState(rows[2], second, None))
    with pytest.raises(InvalidQuery, match=r"column wells\.code raised ZeroDivisionError"):
        Deciding({"wells": "merge"}, {"wells": table}).resolve(both)
    assert "wells.code" in caplog.text


# Declarations


@pytest.mark.parametrize(
    ("column", "info", "problem"),
    [
        (
            sa.Column("x", sa.Text, info={"merge": "biggest"}),
            {},
            "wells.x is 'biggest'; it can be one of last",
        ),
        (sa.Column("x", sa.Text, info={"merge": "sum"}), {}, "wells.x is 'sum', .* numbers or intervals; .* text"),
        (sa.Column("x", sa.JSON, info={"merge": "union"}), {}, "wells.x is 'union', .* arrays; its type is json"),
        (sa.Column("x", sa.JSON, info={"merge": "max"}), {}, "wells.x is 'max', .* compared"),
        (sa.Column("x", sa.Text), {"merge_groups": ["x"]}, "must be a list of lists"),
        (sa.Column("x", sa.Text), {"merge_groups": [["x", "y"]]}, "names 'y', which is no column"),
        (sa.Column("x", sa.Text), {"merge_groups": [["x"], ["x"]]}, "names 'x', which has another group"),
        (sa.Column("x", sa.Text, info={"merge": "max"}), {"merge_groups": [["x"]]}, "names 'x', which has a rule"),
        (sa.Column("x", sa.Text), {"changed_at": "x"}, "is not used, because the table has updated_at"),
    ],
)
def test_a_wrong_declaration_is_refused_by_naming_the_column(column: Any, info: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Deciding({"wells": "merge"}, {"wells": _table(column, **info)})
    Deciding({"wells": "last_modified"}, {"wells": _table(sa.Column("x", sa.Text))})


@pytest.mark.parametrize("name", ["x", "y"])
def test_the_time_of_a_change_must_be_one(name: str) -> None:
    columns = sa.Column("id", sa.Text, primary_key=True), sa.Column("x", sa.Text)
    table = table_schema(sa.Table("wells", sa.MetaData(), *columns, info={"changed_at": name}))
    with pytest.raises(ValueError, match=f"wells names '{name}', which is no column of times"):
        Deciding({}, {"wells": table})


# Deletions


@pytest.mark.parametrize(("policy", "expected"), [("delete_wins", None), ("update_wins", row(name="x", version=2))])
def test_a_policy_decides_about_deletions(policy: str, expected: Row | None) -> None:
    for first, second in ((row(name="x", version=2), None), (None, row(name="x", version=2))):
        found = deciding(wells=policy).resolve(state(row(), first, second))
        assert (found.rule, found.row) == (policy, expected)


def test_a_deletion_can_wait_for_a_decision() -> None:
    with pytest.raises(OpenConflict, match="deleted"):
        deciding(**{"*": "manual"}).resolve(state(row(), row(name="x"), None))


def test_each_table_has_its_strategy() -> None:
    assert strategies_by_table("manual,wells=Supabase_wins".lower()) == {"*": "manual", "wells": "first_wins"}
    with pytest.raises(ValueError, match="two names for table wells"):
        strategies_by_table("wells=merge,wells=manual")
    with pytest.raises(ValueError, match=r"wells: must be one of last_modified, .*manual.*function"):
        strategies_by_table({"wells": "newest"})
    with pytest.raises(ValueError, match="not synced: springs"):
        Deciding({"springs": "merge"}, {"wells": WELLS})
