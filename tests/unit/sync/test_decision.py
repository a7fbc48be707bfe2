"""What is to be done about a record: every case of what two sides may hold."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.result import Row
from database.core.schema import Schema
from database.sync.decision import Base
from database.sync.decision import Held
from database.sync.decision import Key
from database.sync.decision import Resolution
from database.sync.decision import SideName
from database.sync.decision import Step
from database.sync.decision import View
from database.sync.decision import decide
from database.sync.decision import decide_for
from database.sync.rows import RowForm
from database.sync.strategies import Resolver
from database.sync.strategies import resolve_with
from tests.contract.tables import metadata

SCHEMA = Schema.of(metadata)
NOTES = SCHEMA.table("notes")
FORM = RowForm(NOTES)
KEY = Key("notes", "a")


def row(body: str | None) -> Row | None:
    return None if body is None else {"id": "a", "body": body}


def held(body: str | None, base: Base | None = None) -> Held:
    return Held(row(body), FORM.text(row(body)), base)


def base(generation: int, body: str | None) -> Base:
    return Base(generation, FORM.text(row(body)))


def refuse(_: View) -> Resolution:
    raise AssertionError("this is no conflict")


def resolver(strategy: str | Resolver) -> Any:
    return resolve_with(strategy, {"notes": NOTES})


def after(view: View, step: Step) -> View:
    """What both sides hold when the step was carried out."""
    changed = (
        Held(step.row, FORM.text(step.row), step.base)
        if step.writes
        else Held(step.found.row, step.found.text, step.base)
    )
    sides = {"supabase": view.supabase, "convex": view.convex, step.side: changed}
    return View(view.key, **sides)


def settled(view: View, resolve: Any) -> tuple[View, list[Step]]:
    """The end of all steps, and the steps."""
    steps: list[Step] = []
    while (step := decide(view, resolve)) is not None:
        steps.append(step)
        assert len(steps) < 6
        view = after(view, step)
    return view, steps


BODIES = (None, "old", "x", "y")
GENERATIONS = (None, 1, 2)
BASES = [None, *[base(generation, body) for generation, body in product((1, 2), (None, "old"))]]
VIEWS = [
    View(KEY, held(a, one), held(b, two)) for a, b in product(BODIES, BODIES) for one, two in product(BASES, BASES)
]


@pytest.mark.parametrize("strategy", ["last_modified", "supabase_wins", "convex_wins"])
def test_whatever_both_sides_hold_they_come_to_hold_the_same(strategy: str) -> None:
    for view in VIEWS:
        last, steps = settled(view, resolver(strategy))
        assert last.supabase.text == last.convex.text
        assert [step.more for step in steps] == [True] * (len(steps) - 1) + [False] * bool(steps), view
        if last.supabase.text is None:
            assert last.newest_base() is None
        else:
            assert last.newest_base() == Base(last.next_generation() - 1, last.supabase.text)


def test_a_change_on_one_side_is_copied_and_no_conflict() -> None:
    for body in ("x", None):
        for generations in ((2, 1), (1, 2), (2, None), (None, 2)):
            ours, theirs = (None if n is None else base(n, "old" if n == 2 else "older") for n in generations)
            last, _ = settled(View(KEY, held(body, ours), held("old", theirs)), refuse)
            assert last.convex.text == FORM.text(row(body))
            last, _ = settled(View(KEY, held("old", ours), held(body, theirs)), refuse)
            assert last.supabase.text == FORM.text(row(body))


def test_without_a_base_a_row_on_one_side_is_new_and_not_deleted_on_the_other() -> None:
    for view in (View(KEY, held("x"), held(None)), View(KEY, held(None), held("x"))):
        last, steps = settled(view, refuse)
        assert last.supabase.row == last.convex.row == row("x")
        assert len(steps) == 1


def test_the_same_change_on_both_sides_moves_only_the_base() -> None:
    last, steps = settled(View(KEY, held("x", base(1, "old")), held("x")), refuse)
    assert [step.writes for step in steps] == [False]
    assert last.newest_base() == base(2, "x")


def test_a_record_that_both_sides_deleted_is_forgotten_the_older_base_first() -> None:
    last, steps = settled(View(KEY, held(None, base(3, "old")), held(None, base(2, "older"))), refuse)
    assert [step.side for step in steps] == ["convex", "supabase"]
    assert (last.supabase.base, last.convex.base) == (None, None)


def test_two_bases_of_one_generation_that_differ_are_none() -> None:
    view = View(KEY, held("x", base(2, "x")), held("y", base(2, "y")))
    _, steps = settled(view, resolver("convex_wins"))
    assert [step.conflict is not None for step in steps] == [True]


def test_of_two_bases_of_one_generation_a_side_that_holds_its_own_is_unchanged() -> None:
    for body in ("z", None):
        last, _ = settled(View(KEY, held(body, base(2, "x")), held("y", base(2, "y"))), refuse)
        assert last.convex.text == FORM.text(row(body))
        last, _ = settled(View(KEY, held("y", base(2, "y")), held(body, base(2, "x"))), refuse)
        assert last.supabase.text == FORM.text(row(body))


def test_a_conflict_is_journalled_with_both_versions() -> None:
    view = View(KEY, held("x", base(1, "old")), held("y"))
    _, (step,) = settled(view, resolver("convex_wins"))
    assert step.side == "supabase"
    assert step.conflict is not None
    assert step.conflict.view is view
    assert step.conflict.resolution == Resolution("convex_wins", row("y"), FORM.text(row("y")))


def test_a_result_of_its_own_is_written_on_one_side_and_copied_from_there() -> None:
    merge: Resolver = lambda _table, _id, ours, theirs: {"body": ours["body"] + theirs["body"]}  # type: ignore[index]  # noqa: E731
    last, steps = settled(View(KEY, held("x", base(1, "old")), held("y")), resolver(merge))
    assert last.supabase.row == last.convex.row == {"id": "a", "body": "xy"}
    assert [step.conflict is not None for step in steps] == [True, False]


def test_an_edit_between_the_two_writes_of_a_result_is_a_conflict_with_it() -> None:
    merge: Resolver = lambda _table, _id, ours, theirs: {"body": ours["body"] + theirs["body"]}  # type: ignore[index]  # noqa: E731
    view = View(KEY, held("x", base(1, "old")), held("y"))
    step = decide(view, resolver(merge))
    assert step is not None
    half = after(view, step)
    edited = View(KEY, half.supabase, held("z", half.convex.base))
    last, _ = settled(edited, resolver(merge))
    assert last.convex.row == {"id": "a", "body": "xyz"}


@pytest.mark.parametrize("target", ["supabase", "convex"])
def test_a_target_gets_what_the_other_side_holds(target: SideName) -> None:
    for view in VIEWS:
        source = view.convex if target == "supabase" else view.supabase
        known = view.newest_base() is not None
        last, steps = view, []
        while (step := decide_for(last, target)) is not None:
            steps.append(step)
            last = after(last, step)
        assert {step.side for step in steps if step.writes} <= {target}
        if source.row is not None or known:
            assert last.of(target).text == source.text
        else:
            assert last.of(target).text == view.of(target).text


# Strategies

THINGS = SCHEMA.table("things")


def thing(updated_at: Any, label: str = "x", version: int = 1) -> Row:
    return dict.fromkeys(THINGS.columns) | {"id": "a", "updated_at": updated_at, "label": label, "version": version}


def result(strategy: str | Resolver, ours: Row | None, theirs: Row | None) -> Row | None:
    form = RowForm(THINGS)
    view = View(Key("things", "a"), Held(ours, form.text(ours), None), Held(theirs, form.text(theirs), None))
    return resolve_with(strategy, {"things": THINGS})(view).row


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


def test_a_deletion_wins_unless_the_side_that_has_it_loses() -> None:
    there = thing(moment("2024-01-01T12:00:00Z"))
    assert result("last_modified", there, None) is None
    assert result("last_modified", None, there) is None
    assert result("supabase_wins", there, None) == there
    assert result("convex_wins", there, None) is None


@pytest.mark.parametrize(("ours", "theirs", "expected"), [(2, 1, 2), (2, 2, 3), (2, 7, 8)])
def test_a_result_has_a_version_above_that_of_the_row_it_replaces(ours: int, theirs: int, expected: int) -> None:
    now = moment("2024-01-01T12:00:00Z")
    found = result("supabase_wins", thing(now, "ours", ours), thing(now, "theirs", theirs))
    assert found == thing(now, "ours", expected)


def test_a_function_is_given_copies() -> None:
    now = moment("2024-01-01T12:00:00Z")
    ours = thing(now) | {"data": {"a": 1}}

    def spoil(table: str, record_id: str, supabase: Row | None, convex: Row | None) -> Mapping[str, Any] | None:
        assert (table, record_id, convex) == ("things", "a", None)
        assert supabase is not None
        supabase["data"]["a"] = 2
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
    with pytest.raises(ValueError, match="is one of last_modified"):
        resolve_with(strategy, {})
