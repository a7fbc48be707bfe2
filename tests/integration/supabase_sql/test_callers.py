"""A commit has the rights of its caller, and hostile text is only text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from tests.contract.records.test_hostile import HOSTILE
from tests.integration.supabase_sql.support import ALICE
from tests.integration.supabase_sql.support import BOB
from tests.integration.supabase_sql.support import Project
from tests.integration.supabase_sql.support import Race
from tests.integration.supabase_sql.support import RefusedError
from tests.integration.supabase_sql.support import Wire
from tests.integration.supabase_sql.support import absent
from tests.integration.supabase_sql.support import become
from tests.integration.supabase_sql.support import delete
from tests.integration.supabase_sql.support import insert
from tests.integration.supabase_sql.support import ranged
from tests.integration.supabase_sql.support import read
from tests.integration.supabase_sql.support import request
from tests.integration.supabase_sql.support import thing
from tests.integration.supabase_sql.support import update
from tests.integration.supabase_sql.support import wait_for_a_waiting_session
from tests.integration.supabase_sql.support import where


def memo(id: str, owner: Identity, body: str = "") -> Wire:  # noqa: A002
    return {"id": id, "owner": owner.subject, "body": body}


MINE = memo("a", ALICE)
THEIRS = memo("b", BOB)
PUBLIC = memo("public", BOB)


@pytest.fixture
def memos(project: Project) -> Project:
    """Alice has a memo, and Bob one and another that all may read."""
    project.commit(steps=[insert(row, "memos") for row in (MINE, THEIRS, PUBLIC)])
    return project


def state_of_refusal(project: Project, identity: Identity, **parts: Any) -> str | None:
    before = project.rows("memos")
    with pytest.raises(RefusedError) as caught:
        project.commit(identity=identity, **parts)
    assert project.rows("memos") == before
    return caught.value.state


def test_everybody_changes_their_own(memos: Project) -> None:
    steps = [update(memo("a", ALICE, "changed"), "memos"), insert(memo("c", ALICE), "memos"), delete("c", "memos")]
    seen = [MINE, PUBLIC]
    memos.commit(identity=ALICE, reads=[read(MINE, "memos")], ranges=[ranged(seen, table="memos")], steps=steps)
    assert memos.rows("memos", ALICE) == [memo("a", ALICE, "changed"), PUBLIC]
    assert memos.rows("memos", BOB) == [THEIRS, PUBLIC]


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (update({**THEIRS, "body": "x"}, "memos"), "IS409"),
        (delete("b", "memos"), "IS409"),
        (update({**PUBLIC, "body": "x"}, "memos"), "42501"),
        (delete("public", "memos"), "42501"),
        (insert(memo("c", BOB), "memos"), "42501"),
        (update(memo("a", BOB), "memos"), "42501"),
    ],
    ids=["update unseen", "delete unseen", "update seen", "delete seen", "insert as another", "give away"],
)
def test_what_belongs_to_another_stays(memos: Project, step: Wire, state: str) -> None:
    assert state_of_refusal(memos, ALICE, steps=[step]) == state
    if step["id"] == "public":
        reads = [read(PUBLIC, "memos")]
        assert state_of_refusal(memos, ALICE, reads=reads, steps=[step]) == state
        assert state_of_refusal(memos, ALICE, reads=[read(MINE | {"id": "public"}, "memos")], steps=[step]) == "IS409"


def test_what_is_not_seen_counts_as_absent(memos: Project) -> None:
    memos.commit(identity=ALICE, reads=[absent("b", "memos")], ranges=[ranged([MINE, PUBLIC], table="memos")])
    assert state_of_refusal(memos, ALICE, reads=[read(THEIRS, "memos")]) == "IS409"


def test_the_anonymous_change_nothing(memos: Project) -> None:
    memos.commit(identity=ANONYMOUS, ranges=[ranged([PUBLIC], table="memos")])
    for step in (insert(memo("c", ALICE), "memos"), update(PUBLIC, "memos"), delete("public", "memos")):
        assert state_of_refusal(memos, ANONYMOUS, steps=[step]) == "42501"


def test_who_may_delete_and_not_update_deletes(memos: Project) -> None:
    """Such a record cannot be locked beforehand; the deletion itself sees whether it has changed."""
    memos.execute("revoke update on memos from authenticated")
    try:
        changed = [read({**MINE, "body": "changed"}, "memos")]
        assert state_of_refusal(memos, ALICE, reads=changed, steps=[delete("a", "memos")]) == "IS409"
        commit = {"identity": ALICE, "reads": [read(MINE, "memos")], "steps": [delete("a", "memos")]}
        with psycopg.connect(memos.database.dsn) as other, ThreadPoolExecutor(1) as workers:
            other.execute("update memos set body = 'changed meanwhile' where id = 'a'")
            waiting = workers.submit(Race(memos, [commit]).run)
            wait_for_a_waiting_session(memos)
            other.commit()
            assert waiting.result(timeout=20) == ["IS409"]
        memos.execute("update memos set body = '' where id = 'a'")
        assert Race(memos, [commit]).run() == ["applied"]
    finally:
        memos.execute("grant update on memos to authenticated")
    assert memos.rows("memos", ALICE) == [PUBLIC]


def test_groups_are_of_the_rows_that_are_seen(memos: Project) -> None:
    asked: Wire = {"table": "memos", "group": ["owner"], "count": True}
    assert [row["count"] for row in memos.call("isthmus_groups", asked, ALICE)["rows"]] == [1, 1]
    assert memos.call("isthmus_groups", asked, ANONYMOUS)["total"] == 1
    assert memos.call("isthmus_groups", asked, Identity("nobody", "authenticated"))["total"] == 1


def test_keys_are_their_callers_own(memos: Project) -> None:
    sent = request(steps=[insert(memo("c", ALICE), "memos")])
    memos.commit(identity=ALICE, **sent)
    assert memos.commit(identity=ALICE, **sent)["replayed"] is True
    for other in (BOB, ANONYMOUS, Identity(ALICE.subject, "anon")):
        assert state_of_refusal(memos, other, **sent) == "IS422"
        assert memos.rows("isthmus.isthmus_commits", other) == []
    (kept,) = memos.rows("isthmus.isthmus_commits", ALICE)
    assert (kept["key"], kept["subject"]) == (sent["key"], f"authenticated:{ALICE.subject}")


@pytest.mark.parametrize(
    "statement",
    [
        "update isthmus.isthmus_commits set fingerprint = ''",
        "delete from isthmus.isthmus_commits",
        "truncate isthmus.isthmus_commits",
        "insert into isthmus.isthmus_commits (key, fingerprint, subject, answer) values ('x', 'x', 'another', '{}')",
        "select isthmus_purge('0')",
    ],
)
def test_the_books_cannot_be_changed(memos: Project, statement: str) -> None:
    for identity in (ALICE, ANONYMOUS):
        with psycopg.connect(memos.database.dsn) as connection:
            become(connection, identity)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_a_subject_in_a_setting_of_its_own_counts_too(memos: Project) -> None:
    with psycopg.connect(memos.database.dsn) as connection:
        connection.execute("set local role authenticated")
        connection.execute("select set_config('request.jwt.claim.sub', 'x', true)")
        assert connection.execute("select isthmus.caller()").fetchone() == ("authenticated:x",)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_are_only_values(project: Project, text: str) -> None:
    row = thing(text, title=text, label=text, data={text: [text]})
    project.commit(steps=[insert(row), insert(thing("bystander"))])
    same = [where("title", "eq", text), where("data", "contains", {text: [text]}), where("label", "contains", text)]
    everything: Wire = {"op": "and", "parts": [*same, {"op": "in", "column": "id", "values": [text]}]}
    project.commit(reads=[read(row)], ranges=[ranged([row], where=everything)], steps=[update({**row, "rank": 1})])
    project.commit(steps=[delete(text)])
    assert [row["id"] for row in project.rows()] == ["bystander"]


@pytest.mark.parametrize("name", [*HOSTILE, "", "pg_class", "isthmus_commits", "isthmus_version", "nope", "auth.users"])
def test_hostile_tables_are_none(project: Project, name: str) -> None:
    if name == "things":
        return
    attempts: tuple[dict[str, Any], ...] = (
        {"steps": [insert({"id": "x"}, name)]},
        {"steps": [delete("x", name)]},
        {"reads": [absent("x", name)]},
        {"ranges": [ranged([], table=name)]},
    )
    for parts in attempts:
        with pytest.raises(RefusedError) as caught:
            project.commit(**parts)
        assert (caught.value.state, caught.value.detail) == ("42P01", {"table": name})
    with pytest.raises(RefusedError) as caught:
        project.call("isthmus_groups", {"table": name, "group": ["key"]})
    assert caught.value.state == "42P01"


@pytest.mark.parametrize("name", [*HOSTILE, "", "ctid", "tableoid", "nope"])
def test_hostile_columns_are_none(project: Project, name: str) -> None:
    if name == "id":
        return
    project.commit(steps=[insert(thing("a"))])
    before = project.rows()
    order = [{"column": name, "descending": False, "nulls_first": False}]
    attempts: tuple[dict[str, Any], ...] = (
        {"steps": [insert({**thing("b"), name: "x"})]},
        {"steps": [update({"id": "a", name: "x"})]},
        {"reads": [read({"id": "a", name: "x"})]},
        {"ranges": [ranged([], where=where(name, "eq", "x"))]},
        {"ranges": [ranged([], order=order)]},
        {"ranges": [ranged([{"id": "a", name: "x"}])]},
    )
    for parts in attempts:
        with pytest.raises(RefusedError) as caught:
            project.commit(**parts)
        # A system column is known and cannot be given; an empty name is none that SQL can say.
        assert caught.value.state in {"42703", "0A000", "42601"}
    with pytest.raises(RefusedError) as caught:
        project.call("isthmus_groups", {"table": "things", "group": [name]}, SERVICE)
    assert caught.value.state == "42703"
    assert project.rows() == before
