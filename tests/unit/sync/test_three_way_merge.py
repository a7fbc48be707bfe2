"""What is to be done about a record: every case of what two sides may hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from database.core.clock import utc_now
from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.errors import UnreadableRecord
from database.core.result import Row
from database.core.tables.schema import Schema
from database.sync.bulk.bases import Agreed
from database.sync.bulk.copying import NotSimple
from database.sync.bulk.copying import PlannedCopies
from database.sync.bulk.states import TableStates
from database.sync.canonical_rows import CanonicalRows
from database.sync.conflicts.strategies import Deciding
from database.sync.conflicts.strategies import Resolver
from database.sync.conflicts.strategies import strategies_by_table
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import Base
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import Resolution
from database.sync.three_way_merge import SideName
from database.sync.three_way_merge import SideState
from database.sync.three_way_merge import next_action
from database.sync.three_way_merge import next_forced_action
from database.sync.three_way_merge import other
from tests.contract.tables import metadata

SCHEMA = Schema.of(metadata)
NOTES = SCHEMA.table("notes")
FORM = CanonicalRows(NOTES)
KEY = RecordKey("notes", "a")


def row(body: str | None) -> Row | None:
    return None if body is None else {"id": "a", "body": body}


def held(body: str | None, base: Base | None = None) -> SideState:
    return SideState(row(body), FORM.text(row(body)), base)


def base(generation: int, body: str | None) -> Base:
    return Base(generation, FORM.text(row(body)))


def refuse(_: RecordState) -> Resolution:
    raise AssertionError("this is no conflict")


def resolver(strategy: str | Resolver) -> Any:
    return Deciding(strategies_by_table(strategy), {"notes": NOTES}).resolve


def after(state: RecordState, action: MergeAction) -> RecordState:
    """What both sides hold when the action was carried out."""
    changed = (
        SideState(action.row, FORM.text(action.row), action.base)
        if action.writes
        else SideState(action.expected.row, action.expected.text, action.base)
    )
    sides = {"first": state.first, "second": state.second, action.side: changed}
    return RecordState(state.key, **sides)


def merged(state: RecordState, resolve: Any) -> tuple[RecordState, list[MergeAction]]:
    """The end of all actions, and the actions."""
    actions: list[MergeAction] = []
    while (action := next_action(state, resolve)) is not None:
        actions.append(action)
        assert len(actions) < 6
        state = after(state, action)
    return state, actions


BODIES = (None, "old", "x", "y")
GENERATIONS = (None, 1, 2)
BASES = [None, *[base(generation, body) for generation, body in product((1, 2), (None, "old"))]]
STATES = [
    RecordState(KEY, held(a, one), held(b, two))
    for a, b in product(BODIES, BODIES)
    for one, two in product(BASES, BASES)
]


@pytest.mark.parametrize("strategy", ["last_modified", "first_wins", "second_wins"])
def test_whatever_both_sides_hold_they_come_to_hold_the_same(strategy: str) -> None:
    for state in STATES:
        last, actions = merged(state, resolver(strategy))
        assert last.first.text == last.second.text
        assert [action.more for action in actions] == [True] * (len(actions) - 1) + [False] * bool(actions), state
        if last.first.text is None:
            assert last.newest_base() is None
        else:
            assert last.newest_base() == Base(last.next_generation() - 1, last.first.text)


def test_a_change_on_one_side_is_copied_and_no_conflict() -> None:
    for body in ("x", None):
        for generations in ((2, 1), (1, 2), (2, None), (None, 2)):
            ours, theirs = (None if n is None else base(n, "old" if n == 2 else "older") for n in generations)
            last, _ = merged(RecordState(KEY, held(body, ours), held("old", theirs)), refuse)
            assert last.second.text == FORM.text(row(body))
            last, _ = merged(RecordState(KEY, held("old", ours), held(body, theirs)), refuse)
            assert last.first.text == FORM.text(row(body))


def test_without_a_base_a_row_on_one_side_is_new_and_not_deleted_on_the_other() -> None:
    for state in (RecordState(KEY, held("x"), held(None)), RecordState(KEY, held(None), held("x"))):
        last, actions = merged(state, refuse)
        assert last.first.row == last.second.row == row("x")
        assert len(actions) == 1


def test_the_same_change_on_both_sides_moves_only_the_base() -> None:
    last, actions = merged(RecordState(KEY, held("x", base(1, "old")), held("x")), refuse)
    assert [action.writes for action in actions] == [False]
    assert last.newest_base() == base(2, "x")


def test_a_record_that_both_sides_deleted_is_forgotten_the_older_base_first() -> None:
    last, actions = merged(RecordState(KEY, held(None, base(3, "old")), held(None, base(2, "older"))), refuse)
    assert [action.side for action in actions] == ["second", "first"]
    assert (last.first.base, last.second.base) == (None, None)


def test_two_bases_of_one_generation_that_differ_are_none() -> None:
    state = RecordState(KEY, held("x", base(2, "x")), held("y", base(2, "y")))
    _, actions = merged(state, resolver("second_wins"))
    assert [action.conflict is not None for action in actions] == [True]


def test_of_two_bases_of_one_generation_a_side_that_holds_its_own_is_unchanged() -> None:
    for body in ("z", None):
        last, _ = merged(RecordState(KEY, held(body, base(2, "x")), held("y", base(2, "y"))), refuse)
        assert last.second.text == FORM.text(row(body))
        last, _ = merged(RecordState(KEY, held("y", base(2, "y")), held(body, base(2, "x"))), refuse)
        assert last.first.text == FORM.text(row(body))


def test_a_conflict_is_journalled_with_both_versions() -> None:
    state = RecordState(KEY, held("x", base(1, "old")), held("y"))
    _, (action,) = merged(state, resolver("second_wins"))
    assert action.side == "first"
    assert action.conflict is not None
    assert action.conflict.state is state
    assert action.conflict.resolution == Resolution("second_wins", row("y"), FORM.text(row("y")))


def test_a_result_of_its_own_is_written_on_one_side_and_copied_from_there() -> None:
    merge: Resolver = lambda _table, _id, ours, theirs: {"body": ours["body"] + theirs["body"]}  # type: ignore[index]  # noqa: E731
    last, actions = merged(RecordState(KEY, held("x", base(1, "old")), held("y")), resolver(merge))
    assert last.first.row == last.second.row == {"id": "a", "body": "xy"}
    assert [action.conflict is not None for action in actions] == [True, False]


def test_an_edit_between_the_two_writes_of_a_result_is_a_conflict_with_it() -> None:
    merge: Resolver = lambda _table, _id, ours, theirs: {"body": ours["body"] + theirs["body"]}  # type: ignore[index]  # noqa: E731
    state = RecordState(KEY, held("x", base(1, "old")), held("y"))
    action = next_action(state, resolver(merge))
    assert action is not None
    half = after(state, action)
    edited = RecordState(KEY, half.first, held("z", half.second.base))
    last, _ = merged(edited, resolver(merge))
    assert last.second.row == {"id": "a", "body": "xyz"}


@pytest.mark.parametrize("source", SIDES)
def test_many_records_are_copied_as_each_is_by_itself(source: SideName) -> None:
    for state in STATES:
        changed, present = state.of(source), state.of(other(source))
        action, copies = next_action(state, resolver("last_modified")), PlannedCopies()
        agreed = state.newest_base() is not None or changed.base is None is present.base
        copied = action is None or (action.side != source and action.writes and action.conflict is None)
        if changed.text is None or not agreed or not copied:
            with pytest.raises(NotSimple):
                add(copies, changed, present)
            continue
        add(copies, changed, present)
        if action is None:
            assert copies == PlannedCopies()
            continue
        assert action.base is not None
        assert copies.written == {"notes": [("a", present.row, action.row)]}
        assert copies.agreed == Agreed(["notes"], ["a"], [action.base.generation], [action.base.text])


@pytest.mark.parametrize("unreadable", [0, 1])
def test_many_records_are_not_copied_if_one_cannot_be_read(unreadable: int) -> None:
    sides = [states_of(held("x")), states_of(held(None))]
    sides[unreadable].faults["b"] = UnreadableRecord("notes", "b", "body", "it is no text")
    with pytest.raises(NotSimple):
        PlannedCopies().add("notes", ["a"], *sides)


def add(copies: PlannedCopies, changed: SideState, present: SideState) -> None:
    copies.add("notes", ["a"], states_of(changed), states_of(present))


def states_of(one: SideState) -> TableStates:
    states = TableStates()
    if one.row is not None and one.text is not None:
        states.rows["a"], states.texts["a"] = one.row, one.text
    if one.base is not None:
        states.bases["a"] = one.base
    return states


@pytest.mark.parametrize("target", ["first", "second"])
def test_a_target_gets_what_the_other_side_holds(target: SideName) -> None:
    for state in STATES:
        source = state.second if target == "first" else state.first
        known = state.newest_base() is not None
        last, actions = state, []
        while (action := next_forced_action(last, target)) is not None:
            actions.append(action)
            last = after(last, action)
        assert {action.side for action in actions if action.writes} <= {target}
        if source.row is not None or known:
            assert last.of(target).text == source.text
        else:
            assert last.of(target).text == state.of(target).text


# Strategies

THINGS = SCHEMA.table("things")


def thing(updated_at: Any, label: str = "x", version: int = 1) -> Row:
    return dict.fromkeys(THINGS.columns) | {"id": "a", "updated_at": updated_at, "label": label, "version": version}


def result(strategy: str | Resolver, ours: Row | None, theirs: Row | None) -> Row | None:
    form = CanonicalRows(THINGS)
    state = RecordState(
        RecordKey("things", "a"), SideState(ours, form.text(ours), None), SideState(theirs, form.text(theirs), None)
    )
    return Deciding(strategies_by_table(strategy), {"things": THINGS}).resolve(state).row


def moment(text: str) -> Any:
    return THINGS.columns["updated_at"].check(text)


def test_the_later_row_wins_whatever_zone_it_was_written_in() -> None:
    later = thing(moment("2024-01-01T12:00:00.000001Z"), version=2)
    earlier = thing(moment("2024-01-01T13:00:00+01:00"), label="z")
    assert result("last_modified", later, earlier) == result("last_modified", earlier, later) == later


def test_of_rows_of_one_moment_the_same_wins_whoever_asks() -> None:
    now = moment("2024-01-01T12:00:00Z")
    ours, theirs = thing(now, "x", 2), thing(now, "y", 2)
    assert result("last_modified", ours, theirs) == result("last_modified", theirs, ours) == theirs | {"version": 3}


def test_of_changes_of_one_time_those_that_are_more_win() -> None:
    now = moment("2024-01-01T12:00:00Z")
    more, fewer = thing(now, "a", 3), thing(now, "z", 2)
    assert result("last_modified", more, fewer) == result("last_modified", fewer, more) == more


def test_a_time_that_lies_far_ahead_loses_and_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    absurd, believed = utc_now() + timedelta(days=2), utc_now() + timedelta(hours=1)
    assert result("last_modified", thing(absurd, version=2), thing(believed)) == thing(believed, version=3)
    assert "lies ahead" in caplog.text
    assert result("first_wins", thing(absurd, version=2), thing(believed)) == thing(believed, version=3)


def test_a_result_has_a_time_that_is_not_before_that_of_the_row_it_replaces() -> None:
    earlier, later = moment("2024-01-01T12:00:00Z"), moment("2024-01-01T13:00:00Z")
    assert result("first_wins", thing(earlier, "ours"), thing(later, "theirs")) == thing(later, "ours", 2)


def test_a_deletion_wins_unless_the_side_that_has_it_loses() -> None:
    there = thing(moment("2024-01-01T12:00:00Z"))
    assert result("last_modified", there, None) is None
    assert result("last_modified", None, there) is None
    assert result("first_wins", there, None) == there
    assert result("second_wins", there, None) is None


@pytest.mark.parametrize(("ours", "theirs", "expected"), [(2, 1, 2), (2, 2, 3), (2, 7, 8)])
def test_a_result_has_a_version_above_that_of_the_row_it_replaces(ours: int, theirs: int, expected: int) -> None:
    now = moment("2024-01-01T12:00:00Z")
    found = result("first_wins", thing(now, "ours", ours), thing(now, "theirs", theirs))
    assert found == thing(now, "ours", expected)


def test_a_function_is_given_copies() -> None:
    now = moment("2024-01-01T12:00:00Z")
    ours = thing(now) | {"data": {"a": 1}}

    def spoil(table: str, record_id: str, first: Row | None, second: Row | None) -> Mapping[str, Any] | None:
        assert (table, record_id, second) == ("things", "a", None)
        assert first is not None
        first["data"]["a"] = 2
        return None

    assert result(spoil, ours, None) is None
    assert ours["data"] == {"a": 1}


@pytest.mark.parametrize("made", [{"nothing": 1}, {"label": 5}, {"id": "b", "label": "x"}, {"rank": 1}])
def test_a_function_has_to_return_a_row_of_the_table(made: Mapping[str, Any]) -> None:
    with pytest.raises((InvalidQuery, InvalidRow)):
        result(lambda *_: made, thing(moment("2024-01-01T12:00:00Z")), None)


def test_a_function_that_fails_fails_for_this_record_only(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidQuery, match="ZeroDivisionError"):
        result(lambda *_: 1 / 0, thing(moment("2024-01-01T12:00:00Z")), None)  # type: ignore[arg-type]
    assert "things" in caplog.text


@pytest.mark.parametrize("strategy", ["newest", "", "LAST_MODIFIED", None, 5])
def test_an_unknown_strategy_is_refused(strategy: Any) -> None:
    with pytest.raises(ValueError, match="must be one of last_modified"):
        strategies_by_table(strategy)
