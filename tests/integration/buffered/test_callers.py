"""Many callers on one adapter: every request is its own caller's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from sys import getswitchinterval
from sys import setswitchinterval
from uuid import UUID

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import ANONYMOUS
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import PermissionDenied
from database.core.errors import TransactionError
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from tests.contract.callers import asking
from tests.integration.buffered.remote import Remote
from tests.integration.buffered.remote import at_once
from tests.integration.buffered.remote import only_convex
from tests.integration.buffered.remote import only_supabase
from tests.integration.buffered.servers import ConvexServer

THREADS = 16
ROUNDS = 6
USERS = [str(UUID(int=number)) for number in range(1, 5)]


@pytest.fixture(autouse=True)
def _eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can, so that races are seen."""
    before = getswitchinterval()
    setswitchinterval(1e-5)
    yield
    setswitchinterval(before)


def callers(remote: Remote) -> list[tuple[str, Identity | None]]:
    """Four users, nobody and the service in both of its forms, by the owner of what they make."""
    users = [(subject, remote.user(subject)) for subject in USERS]
    return [*users, ("nobody", ANONYMOUS), ("service", SERVICE), ("service", None)]


def memo_id(owner: str, thread: int, turn: int, number: int) -> str:
    return f"{owner}/{thread}/{turn}/{number}"


def commit_alone_and_together(adapter: DatabaseAdapter, owner: str, thread: int, turn: int) -> None:
    """Make one memo on its own, and one in a transaction that changes the first."""
    first, second = (memo_id(owner, thread, turn, number) for number in (1, 2))
    adapter.run(Insert("memos", [{"id": first, "owner": owner}]))
    if owner != "nobody":
        with adapter.transaction():
            adapter.run(Update("memos", {"owner": owner}, id=first))
            adapter.run(Insert("memos", [{"id": second, "owner": owner}]))


def commit_as_everybody(remote: Remote, look: Callable[[DatabaseAdapter, str], None]) -> None:
    """Let threads make memos as all callers in turn, and look what each of them has after its turn."""
    everybody = callers(remote)
    adapter = remote.another(max_concurrency=4)

    def work(thread: int) -> None:
        for turn in range(ROUNDS):
            owner, identity = everybody[(thread + turn) % len(everybody)]
            with asking(identity):
                assert remote.server.viewer(adapter) == owner
                commit_alone_and_together(adapter, owner, thread, turn)
                look(adapter, owner)

    at_once(THREADS, work)


@only_supabase
def test_rows_are_seen_and_written_by_their_owner(remote: Remote) -> None:
    """Row level security sees every request's own caller."""

    def look(adapter: DatabaseAdapter, owner: str) -> None:
        seen = {row["owner"] for row in adapter.run(Select("memos", ("owner",))).rows}
        assert owner in seen
        if owner != "service":
            assert seen == {owner}
            with pytest.raises(PermissionDenied):
                adapter.run(Insert("memos", [{"owner": "somebody else"}]))

    commit_as_everybody(remote, look)
    made = Counter(row["owner"] for row in remote.direct.run(Select("memos")).rows)
    assert sum(made.values()) > THREADS * ROUNDS
    assert set(made) == {owner for owner, _ in callers(remote)}


@only_convex
def test_functions_and_commits_have_their_own_caller(remote: Remote) -> None:
    """The functions see who calls, and the change log has who committed."""

    def look(adapter: DatabaseAdapter, owner: str) -> None:
        assert remote.server.viewer(adapter) == owner

    commit_as_everybody(remote, look)
    assert isinstance(remote.server, ConvexServer)
    actors = remote.server.actors()
    assert len(actors) > THREADS * ROUNDS
    for made, actor in actors.items():
        owner = made.partition("/")[0]
        assert actor == (owner if owner in USERS else None)


@only_convex
def test_functions_inside_commits_have_their_own_caller(remote: Remote) -> None:
    users = [remote.user(subject) for subject in USERS]

    def work(thread: int) -> None:
        for turn in range(ROUNDS // 2):
            user = users[(thread + turn) % len(users)]
            with acting_as(user), remote.adapter.transaction():
                remote.adapter.call(remote.server.adder, {"owner": f"{user.subject}"})

    at_once(THREADS, work)
    assert isinstance(remote.server, ConvexServer)
    actors = remote.server.actors()
    owners = {row["id"]: row["owner"] for row in remote.direct.run(Select("memos")).rows}
    assert len(owners) == THREADS * (ROUNDS // 2)
    assert actors == owners


@only_convex
def test_a_commit_with_a_part_of_the_applications_is_its_callers(remote: Remote) -> None:
    """The change log has one name for it, and the functions see who has called them."""
    ada, bob = (remote.user(subject) for subject in USERS[:2])
    adapter = remote.adapter
    with as_application(), adapter.transaction():
        adapter.run(Insert("memos", [{"id": "its", "owner": "service"}]))
        with acting_as(ada):
            adapter.run(Insert("memos", [{"id": "hers", "owner": f"{ada.subject}"}]))
    with as_application(), adapter.transaction():
        adapter.run(Insert("memos", [{"id": "another", "owner": "service"}]))
        with acting_as(bob):
            adapter.call(remote.server.adder, {"owner": f"{bob.subject}"})
    assert isinstance(remote.server, ConvexServer)
    owners = {row["id"]: row["owner"] for row in remote.direct.run(Select("memos")).rows}
    assert remote.server.actors() == {
        "its": ada.subject,
        "hers": ada.subject,
        "another": bob.subject,
        **{made: owner for made, owner in owners.items() if owner == bob.subject},
    }


@only_convex
def test_functions_of_two_callers_do_not_fit_into_one_commit(remote: Remote) -> None:
    ada, bob = (remote.user(subject) for subject in USERS[:2])

    def call_as_both() -> None:
        with acting_as(ada), remote.adapter.transaction():
            remote.adapter.call(remote.server.adder, {"owner": "ada"})
            with acting_as(bob):
                remote.adapter.call(remote.server.adder, {"owner": "bob"})

    with pytest.raises(TransactionError, match="must have the same caller"):
        call_as_both()
    assert remote.commits() == []


def test_tokens_that_are_not_accepted(remote: Remote) -> None:
    """They are refused one by one, and say nothing against the server."""
    good = [(subject, remote.user(subject)) for subject in USERS]
    bad = [
        remote.user(USERS[0], exp=1),
        Identity(USERS[1], "authenticated", token=forged(remote.user(USERS[1]).token)),
        Identity(USERS[2], "authenticated", token="no.token.at-all"),
    ]
    adapter = remote.another(max_concurrency=4, retry_count=2, circuit_breaker_threshold=1)

    def work(thread: int) -> None:
        for turn in range(ROUNDS):
            owner, identity = good[(thread + turn) % len(good)]
            with acting_as(bad[(thread + turn) % len(bad)]), pytest.raises(PermissionDenied):
                remote.server.viewer(adapter)
            with acting_as(identity):
                assert remote.server.viewer(adapter) == owner
            with acting_as(ANONYMOUS):
                assert remote.server.viewer(adapter) == "nobody"

    at_once(THREADS, work)
    assert adapter.pipeline.circuit_breaker.state == "closed"
    assert adapter.pipeline.snapshot()["openings"] == 0
    # Two of three in each round succeeded, and what was refused was not repeated.
    assert remote.traffic.count() <= 3 * THREADS * ROUNDS + 2 * THREADS


@only_supabase
def test_a_token_that_is_not_accepted_writes_nothing(remote: Remote) -> None:
    user = Identity(USERS[1], "authenticated", token=forged(remote.user(USERS[1]).token))
    with acting_as(user):
        for _ in range(3):
            with pytest.raises(PermissionDenied):
                remote.adapter.run(Insert("memos", [{"owner": USERS[1]}]))
    assert remote.direct.run(Select("memos")).rows == []


def forged(token: str | None) -> str:
    """The same token with another user's signature, as it were."""
    assert token is not None
    head, claims, signature = token.split(".")
    return f"{head}.{claims}.{signature[::-1]}"
