"""What a commit does, and when it is refused."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from database.core.context import SERVICE as _SERVICE
from tests.integration.supabase_sql.support import Project
from tests.integration.supabase_sql.support import RefusedError
from tests.integration.supabase_sql.support import Wire
from tests.integration.supabase_sql.support import absent
from tests.integration.supabase_sql.support import become
from tests.integration.supabase_sql.support import delete
from tests.integration.supabase_sql.support import insert
from tests.integration.supabase_sql.support import part
from tests.integration.supabase_sql.support import ranged
from tests.integration.supabase_sql.support import read
from tests.integration.supabase_sql.support import request
from tests.integration.supabase_sql.support import thing
from tests.integration.supabase_sql.support import update
from tests.integration.supabase_sql.support import where

A = thing("a", title="water", amount=2**62 + 1, ratio=0.1, done=False, data={"n": 1.0, "list": [None, "x"]})
FULL = thing("f", seen="2024-05-01T14:00:00.000001+02:00", data="text", ratio=5e-324, amount=-(2**63))


def refused(project: Project, **parts: Any) -> tuple[str | None, Any]:
    """The state and the detail of a commit's refusal, which has left nothing behind."""
    before = project.rows(), project.rows("parts"), project.rows("isthmus.isthmus_commits")
    with pytest.raises(RefusedError) as caught:
        project.commit(**parts)
    assert (project.rows(), project.rows("parts"), project.rows("isthmus.isthmus_commits")) == before
    return caught.value.state, caught.value.detail


def test_steps_are_applied_in_order(project: Project) -> None:
    b = thing("b")
    steps = [insert(A), insert(b), update({**A, "rank": 1}), delete("b"), insert({**b, "rank": 2})]
    steps += [update({**A, "rank": 3}), insert(part("p", "a"), "parts")]
    assert project.commit(steps=steps) == {"replayed": False, "values": []}
    assert project.rows() == [{**A, "rank": 3}, {**b, "rank": 2}]
    assert [row["thing_id"] for row in project.rows("parts")] == ["a"]


def test_every_kind_of_value_arrives_exactly(project: Project) -> None:
    project.commit(steps=[insert(A), insert(FULL)])
    assert project.rows() == [A, {**FULL, "seen": "2024-05-01T12:00:00.000001+00:00"}]
    project.commit(reads=[read(A), read(FULL)], ranges=[ranged([A, FULL])])


def test_rows_with_different_columns_keep_their_defaults(project: Project) -> None:
    project.commit(steps=[insert({"id": "1", "body": "x"}, "notes"), insert({"id": "2"}, "notes")])
    project.commit(steps=[update({"id": "1"}, "notes"), update({"id": "2", "body": "y"}, "notes")])
    assert project.rows("notes") == [{"id": "1", "body": "x"}, {"id": "2", "body": "y"}]


def test_a_request_may_be_an_object_as_well(project: Project) -> None:
    assert project.call("isthmus_commit", request(steps=[insert(A)]))["replayed"] is False
    assert project.rows() == [A]


@pytest.mark.parametrize(
    ("reads", "stale"),
    [
        ([read(A)], None),
        ([{**read(A), "expected": {"rank": 0, "title": "water"}}], None),
        ([read({**A, "data": {"n": 1, "list": [None, "x"]}})], None),
        ([absent("b")], None),
        ([read({**A, "rank": 1})], "a"),
        ([read({**A, "amount": 2**62})], "a"),
        ([read({**A, "title": None})], "a"),
        ([read({**A, "code": "x"})], "a"),
        ([read({**A, "data": {"n": 1.5, "list": [None, "x"]}})], "a"),
        ([absent("a")], "a"),
        ([read(A), read(thing("b"))], "b"),
        ([{**read(A), "expected": {"rank": 0}}, absent("b"), {**read(A), "expected": {"title": "ice"}}], "a"),
    ],
)
def test_what_was_read_must_still_be_so(project: Project, reads: list[Wire], stale: str | None) -> None:
    project.commit(steps=[insert(A)])
    if stale is None:
        assert project.commit(reads=reads, steps=[insert(thing("z"))])["replayed"] is False
    else:
        assert refused(project, reads=reads, steps=[insert(thing("z"))]) == ("IS409", {"table": "things", "id": stale})


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"expected": ["a", "b"]}, False),
        ({"expected": ["a", "c", "b"]}, False),
        ({"expected": []}, False),
        ({"expected": ["a", "b"], "limit": 2}, True),
        ({"expected": [], "limit": 0}, True),
        ({"expected": ["a", "b", "c"], "limit": 5}, True),
        ({"expected": ["c", "b", "a"], "order": [{"column": "id", "descending": True, "nulls_first": True}]}, True),
        ({"expected": ["b"], "where": where("rank", "eq", 1)}, True),
        ({"expected": [], "where": where("rank", "gt", 2)}, True),
        ({"expected": ["c"], "where": where("rank", "gt", 2)}, False),
    ],
)
def test_a_query_must_give_the_same_rows(project: Project, change: Wire, holds: bool) -> None:
    rows = {name: thing(name, rank=rank) for name, rank in zip("abc", (0, 1, 2), strict=True)}
    project.commit(steps=[insert(row) for row in rows.values()])
    expected = [rows[name] for name in change.get("expected", "abc")]
    queried = {**ranged(expected), **change, "expected": expected}
    if holds:
        assert project.commit(ranges=[queried])["replayed"] is False
    else:
        assert refused(project, ranges=[queried]) == ("IS409", {"table": "things", "id": None})


def test_a_key_is_applied_once(project: Project) -> None:
    changed = {**A, "rank": 9, "version": 2}
    sent = request(steps=[insert(A)])
    assert project.commit(**sent) == {"replayed": False, "values": []}
    project.commit(reads=[read(A)], steps=[update(changed)])
    assert project.commit(**sent) == {"replayed": True, "values": []}
    assert project.rows() == [changed]
    assert refused(project, **{**sent, "fingerprint": "g"}) == ("IS422", {})


def test_a_refused_commit_may_be_sent_again(project: Project) -> None:
    sent = request(reads=[read(A)], steps=[update({**A, "rank": 1})])
    assert refused(project, **sent)[0] == "IS409"
    project.commit(steps=[insert(A)])
    assert project.commit(**sent)["replayed"] is False


def test_changing_what_is_not_there_is_stale(project: Project) -> None:
    for steps in ([update(A)], [delete("a")]):
        state, detail = refused(project, steps=[insert(thing("z")), *steps])
        assert (state, detail["table"]) == ("IS409", "things")


@pytest.mark.parametrize(
    ("steps", "state", "detail"),
    [
        (
            [insert(thing("b")), insert(thing("c", code="1"))],
            "23505",
            {"step": 1, "constraint": "things_code_key", "table": "things", "column": "code", "columns": ["code"]},
        ),
        (
            [insert(thing("b")), insert(thing("a"))],
            "23505",
            {"step": 1, "constraint": "things_pkey", "table": "things", "column": "id", "columns": ["id"]},
        ),
        (
            [insert(part("q", "a"), "parts"), insert(part("r", "nobody"), "parts")],
            "23503",
            {
                "step": 1,
                "constraint": "parts_thing_id_fkey",
                "table": "parts",
                "column": "thing_id",
                "columns": ["thing_id"],
            },
        ),
        (
            [delete("a")],
            "23503",
            {
                "step": 0,
                "constraint": "parts_thing_id_fkey",
                "table": "parts",
                "column": "thing_id",
                "columns": ["thing_id"],
            },
        ),
        (
            [insert(thing("b")), insert(thing("secret", label=None))],
            "23502",
            {"step": 1, "constraint": None, "table": "things", "column": "label", "columns": ["label"]},
        ),
    ],
    ids=["unique", "primary key", "foreign key", "referenced", "not null"],
)
def test_a_violated_constraint_is_named_with_its_step(
    project: Project, steps: list[Wire], state: str, detail: Wire
) -> None:
    project.commit(steps=[insert(thing("a", code="1")), insert(part("p", "a"), "parts")])
    assert refused(project, steps=steps) == (state, detail)


def test_messages_of_violations_have_no_values(project: Project) -> None:
    project.commit(steps=[insert(thing("a", code="hush"))])
    for row in (thing("b", code="hush"), thing("hush", label=None)):
        with pytest.raises(RefusedError) as caught:
            project.commit(steps=[insert(row)])
        assert "hush" not in f"{caught.value.message} {caught.value.detail}"


def test_who_was_read_as_absent_and_is_there_is_no_duplicate(project: Project) -> None:
    """As when another than a commit inserts the record between the look and the insertion."""
    steal = (
        "create function steal() returns trigger language plpgsql as $$ begin"
        " if new.label = 'late' then insert into things (id, created_at, updated_at, version, label, rank)"
        " values (new.id, now(), now(), 1, 'first', 0); end if; return new; end $$;"
        " create trigger steal before insert on things for each row execute function steal()"
    )
    project.execute(steal)
    try:
        steps = [insert(thing("a", label="late"))]
        assert refused(project, reads=[absent("a")], steps=steps) == ("IS409", {"table": "things", "id": "a"})
        assert refused(project, steps=steps)[0] == "23505"
    finally:
        project.execute("drop trigger steal on things; drop function steal")


def test_constraints_that_wait_for_the_end_are_checked(project: Project) -> None:
    project.execute("alter table parts alter constraint parts_thing_id_fkey deferrable initially deferred")
    try:
        assert project.commit(steps=[insert(part("p", "a"), "parts"), insert(A)])["replayed"] is False
        state, detail = refused(project, steps=[insert(part("q", "nobody"), "parts"), insert(thing("b"))])
        assert (state, detail["constraint"], detail["step"]) == ("23503", "parts_thing_id_fkey", None)
    finally:
        project.execute("alter table parts alter constraint parts_thing_id_fkey not deferrable")


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_a_transaction_that_cannot_see_others_is_refused(project: Project, isolation: str) -> None:
    with psycopg.connect(project.database.dsn) as connection:
        connection.execute(f"set transaction isolation level {isolation}".encode())
        sent = [json.dumps(request(steps=[insert(A)]))]
        if isolation == "serializable":
            connection.execute("select isthmus_commit(%s::jsonb)", sent)
        else:
            with pytest.raises(psycopg.errors.InvalidTransactionState):
                connection.execute("select isthmus_commit(%s::jsonb)", sent)


def test_old_keys_are_purged(project: Project) -> None:
    sent = request(steps=[insert(A)])
    project.commit(**sent)
    with psycopg.connect(project.database.dsn) as connection:
        become(connection, _SERVICE)
        assert connection.execute("select isthmus_purge('1 day')").fetchone() == (0,)
        assert connection.execute("select isthmus_purge('-1 second')").fetchone() == (1,)
    assert refused(project, **sent)[0] == "23505"
