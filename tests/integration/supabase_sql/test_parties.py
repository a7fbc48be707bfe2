"""A commit of several callers: each part has the rights of whoever made it, and only the service sends one."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.schema.migrations.supabase import functions
from tests.integration.supabase_sql.support import ALICE
from tests.integration.supabase_sql.support import BOB
from tests.integration.supabase_sql.support import BY_ID
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


def memo(id: str, owner: Identity, body: str = "") -> Wire:  # noqa: A002
    return {"id": id, "owner": owner.subject, "body": body}


MINE = memo("a", ALICE)
THEIRS = memo("b", BOB)
PUBLIC = memo("public", BOB)
PARTIES = (SERVICE, ALICE, ANONYMOUS)
ITSELF, AS_ALICE, AS_NOBODY = range(3)


@pytest.fixture
def memos(project: Project) -> Project:
    """Alice has a memo, and Bob one and another that all may read."""
    project.commit(steps=[insert(row, "memos") for row in (MINE, THEIRS, PUBLIC)])
    return project


def by(party: int, *parts: Wire) -> list[Wire]:
    return [{**one, "party": party} for one in parts]


def together(**parts: Any) -> Wire:
    """A commit of the three."""
    told = [
        None if one is SERVICE else {"role": one.role, "claims": {"sub": one.subject, "role": one.role}}
        for one in PARTIES
    ]
    return request(parties=told, **parts)


def commit(project: Project, identity: Identity = SERVICE, **parts: Any) -> Any:
    return project.call("isthmus_commit_as", json.dumps(together(**parts)), identity)


def state_of_refusal(project: Project, **parts: Any) -> str | None:
    before = project.rows("memos")
    with pytest.raises(RefusedError) as caught:
        commit(project, **parts)
    assert project.rows("memos") == before
    return caught.value.state


def test_everybody_does_their_own_part(memos: Project) -> None:
    commit(
        memos,
        reads=[*by(AS_ALICE, read(MINE, "memos"), absent("c", "memos")), *by(ITSELF, read(THEIRS, "memos"))],
        ranges=[
            *by(AS_ALICE, ranged([MINE, PUBLIC], table="memos")),
            *by(AS_NOBODY, ranged([PUBLIC], table="memos")),
            *by(ITSELF, ranged([MINE, THEIRS, PUBLIC], table="memos", order=BY_ID)),
        ],
        steps=[
            *by(AS_ALICE, update(memo("a", ALICE, "changed"), "memos"), insert(memo("c", ALICE), "memos")),
            *by(ITSELF, update(memo("b", BOB, "seen"), "memos"), insert(memo("d", BOB), "memos")),
            *by(AS_ALICE, delete("c", "memos")),
        ],
    )
    assert [row["body"] for row in memos.rows("memos")] == ["changed", "seen", "", ""]


@pytest.mark.parametrize(
    "steps",
    [
        by(AS_ALICE, insert(memo("x", BOB), "memos")),
        by(AS_ALICE, update(memo("public", BOB, "hers"), "memos")),
        by(AS_ALICE, delete("public", "memos")),
        by(AS_NOBODY, insert(memo("x", ALICE), "memos")),
        [
            *by(ITSELF, insert(memo("public x", BOB), "memos")),
            *by(AS_ALICE, update(memo("public x", BOB, "y"), "memos")),
        ],
        [*by(AS_ALICE, insert(memo("x", ALICE), "memos")), *by(AS_NOBODY, update(memo("x", ALICE, "y"), "memos"))],
    ],
    ids=json.dumps,
)
def test_the_rights_of_one_are_no_others(memos: Project, steps: list[Wire]) -> None:
    """What the service could do in the same commit."""
    first = by(ITSELF, insert(memo("0", BOB), "memos"))
    assert state_of_refusal(memos, steps=first + steps) in {"42501", "IS409"}
    commit(memos, steps=by(ITSELF, *({**step, "party": ITSELF} for step in first + steps)))


def test_everybodys_reading_is_held_against_what_they_see(memos: Project) -> None:
    step = by(ITSELF, insert(memo("x", BOB), "memos"))
    for parts in (
        {"ranges": by(AS_ALICE, ranged([MINE, THEIRS, PUBLIC], table="memos"))},
        {"ranges": by(ITSELF, ranged([MINE, PUBLIC], table="memos"))},
        {"reads": by(AS_ALICE, read(THEIRS, "memos"))},
        {"reads": by(ITSELF, absent("b", "memos"))},
    ):
        assert state_of_refusal(memos, steps=step, **parts) == "IS409"


def test_an_id_that_one_does_not_see_is_a_duplicate(memos: Project) -> None:
    """To whoever sees it, the reading is out of date."""
    steps = [insert(memo("b", ALICE), "memos")]
    taken = {"reads": by(AS_ALICE, absent("b", "memos")), "steps": by(AS_ALICE, *steps)}
    assert state_of_refusal(memos, **taken) == "23505"
    commit(memos, steps=by(ITSELF, delete("b", "memos")))


def test_one_refers_to_what_another_has_made(project: Project) -> None:
    project.execute("grant all on parts to authenticated")
    commit(project, steps=[*by(ITSELF, insert(thing("t"))), *by(AS_ALICE, insert(part("p", "t"), "parts"))])
    assert [row["id"] for row in project.rows("parts")] == ["p"]


def test_a_commit_is_made_once(memos: Project) -> None:
    sent = json.dumps(together(steps=by(AS_ALICE, insert(memo("x", ALICE), "memos"))))
    answers = [memos.call("isthmus_commit_as", sent) for _ in range(2)]
    assert [answer["replayed"] for answer in answers] == [False, True]


@pytest.mark.parametrize("identity", [ANONYMOUS, ALICE], ids=["anon", "authenticated"])
def test_nobody_but_the_service_sends_one(memos: Project, identity: Identity) -> None:
    parts = {"steps": by(ITSELF, insert(memo("x", BOB), "memos"))}
    with pytest.raises(RefusedError) as refused:
        commit(memos, identity, **parts)
    assert refused.value.state == "42501"
    # The other function does not look at the names: it is all the sender's own.
    if identity is ALICE:
        memos.call(
            "isthmus_commit", json.dumps(together(steps=by(AS_NOBODY, insert(memo("y", ALICE), "memos")))), ALICE
        )
    with pytest.raises(RefusedError) as refused:
        memos.call("isthmus_commit", json.dumps(together(**parts)), identity)
    assert refused.value.state == "42501"
    for function in ("as_authenticated", "as_anon"):
        with psycopg.connect(memos.database.dsn) as connection:
            become(connection, identity)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select isthmus.{function}('{{}}', 'select $1', '{{}}')".encode())


def test_a_party_is_a_caller(memos: Project) -> None:
    sent = request(parties=[{"role": "postgres", "claims": {}}], steps=by(0, insert(memo("x", BOB), "memos")))
    with pytest.raises(RefusedError, match="unknown role"):
        memos.call("isthmus_commit_as", json.dumps(sent))


def test_the_role_and_the_claims_are_as_before_afterwards(memos: Project) -> None:
    sent = json.dumps(together(steps=by(AS_ALICE, insert(memo("x", ALICE), "memos"))))
    told = b"select current_user::text, current_setting('request.jwt.claims')"
    with psycopg.connect(memos.database.dsn) as connection:
        become(connection, SERVICE)
        before = connection.execute(told).fetchone()
        connection.execute("select isthmus_commit_as(%s::jsonb)", [json.dumps(sent)])
        assert connection.execute(told).fetchone() == before


def test_the_functions_can_be_made_again(memos: Project) -> None:
    for _ in range(2):
        memos.execute(functions.script())
    commit(memos, steps=by(AS_ALICE, insert(memo("x", ALICE), "memos")))
