"""A table for several kinds of callers: own rows for some, all rows for others."""

from __future__ import annotations

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import ANONYMOUS
from database.core.context import Identity
from database.core.context import acting_as
from database.core.context import as_application
from database.core.errors import PermissionDenied
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.contract.callers import ADA
from tests.contract.callers import ADMIN
from tests.contract.callers import BOB
from tests.contract.callers import CLEANER
from tests.contract.callers import STAFF
from tests.contract.callers import entry

EVERY = Where("id", "is_null", False)


@pytest.fixture
def adapter(calm: DatabaseAdapter) -> DatabaseAdapter:
    """Ada has two tickets, Bob has one."""
    calm.run(Insert("tickets", [entry("a1", ADA), entry("a2", ADA), entry("b1", BOB)]))
    return calm


def owners(adapter: DatabaseAdapter) -> dict[str, str]:
    with as_application():
        return {row["id"]: row["owner_id"] for row in adapter.run(Select("tickets"))}


@pytest.mark.parametrize(
    ("identity", "seen"),
    [(ADA, ["a1", "a2"]), (BOB, ["b1"]), (CLEANER, []), (STAFF, ["a1", "a2", "b1"]), (ADMIN, ["a1", "a2", "b1"])],
    ids=["ada", "bob", "cleaner", "staff", "admin"],
)
def test_everybody_sees_their_own_and_staff_sees_all(
    adapter: DatabaseAdapter, identity: Identity, seen: list[str]
) -> None:
    with acting_as(identity):
        assert [row["id"] for row in adapter.run(Select("tickets"))] == seen
        assert adapter.run(Select("tickets", limit=0, count=True)).count == len(seen)
        assert (adapter.get("tickets", "b1") is not None) == ("b1" in seen)
        with adapter.transaction():
            assert [row["id"] for row in adapter.run(Select("tickets", where=EVERY))] == seen


def test_nobody_else_sees_any(adapter: DatabaseAdapter) -> None:
    with acting_as(ANONYMOUS), pytest.raises(PermissionDenied, match="owner or role staff"):
        adapter.run(Select("tickets"))


def test_an_owner_makes_and_changes_only_what_is_theirs(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA):
        assert adapter.run(Insert("tickets", [{"id": "a3", "title": "x"}])).rows[0]["owner_id"] == ADA.subject
        assert adapter.run(Update("tickets", {"title": "x"}, where=EVERY)).count == 3
        for given in (
            Insert("tickets", [entry("x", BOB)]),
            Update("tickets", {"owner_id": BOB.subject}, "a1"),
            Upsert("tickets", [entry("x", BOB)]),
        ):
            with pytest.raises(PermissionDenied):
                adapter.run(given)
    assert owners(adapter) == {"a1": ADA.subject, "a2": ADA.subject, "a3": ADA.subject, "b1": BOB.subject}


def test_staff_changes_what_is_others_and_gives_it_away(adapter: DatabaseAdapter) -> None:
    with acting_as(STAFF):
        assert adapter.run(Update("tickets", {"title": "x"}, where=EVERY)).count == 3
        adapter.run(Update("tickets", {"owner_id": BOB.subject}, "a1"))
        adapter.run(Insert("tickets", [entry("n", ADA)]))
        adapter.run(Upsert("tickets", [entry("a2", BOB), entry("u", STAFF)]))
    assert owners(adapter) == {
        "a1": BOB.subject,
        "a2": BOB.subject,
        "b1": BOB.subject,
        "n": ADA.subject,
        "u": STAFF.subject,
    }


def test_each_action_has_its_own_list(adapter: DatabaseAdapter) -> None:
    """Only visible records can be deleted: staff delete own ones; callers that may delete all delete what they see."""
    for identity, gone in ((STAFF, 0), (CLEANER, 0), (BOB, 1), (ADMIN, 2)):
        with acting_as(identity):
            assert adapter.run(Delete("tickets", where=EVERY)).count == gone
    assert owners(adapter) == {}
