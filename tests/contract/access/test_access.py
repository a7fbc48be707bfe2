"""The tables' access rules: the same for every caller on every backend, whether Isthmus or the server applies them."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.core.context import ANONYMOUS
from database.core.context import NO_CONTEXT
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.errors import Unsupported
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Row
from tests.contract.backends import Backend
from tests.contract.callers import ADA
from tests.contract.callers import ADMIN
from tests.contract.callers import BOB
from tests.contract.callers import asking
from tests.contract.callers import begin_diaries
from tests.contract.callers import caller
from tests.contract.callers import entry
from tests.contract.callers import written
from tests.contract.following import Inbox
from tests.contract.following import with_a_feed
from tests.contract.tables import thing

EVERY = Where("id", "is_null", False)


@pytest.fixture
def adapter(calm: DatabaseAdapter) -> DatabaseAdapter:
    """Ada has two entries in her diary, Bob has one."""
    begin_diaries(calm)
    return calm


def ids(adapter: DatabaseAdapter, **query: Any) -> list[str]:
    return [row["id"] for row in adapter.run(Select("diaries", ("id",), **query)).rows]


# Own rows


def test_everybody_sees_their_own_rows(adapter: DatabaseAdapter) -> None:
    for identity, own in ((ADA, ["a1", "a2"]), (BOB, ["b1"]), (ADMIN, []), (SERVICE, ["a1", "a2", "b1"])):
        with acting_as(identity):
            assert ids(adapter) == own
            assert ids(adapter, where=Where("owner_id", "eq", BOB.subject)) == [one for one in own if one == "b1"]
            assert ids(adapter, where=Where("title", "neq", "x") | Where("title", "eq", "x")) == own
            assert [one for one in ("a1", "a2", "b1", "c1") if adapter.get("diaries", one)] == own


def test_counts_and_groups_are_of_own_rows(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA):
        assert adapter.run(Select("diaries", limit=0, count=True)).count == 2
        assert adapter.table("diaries").group_by("owner_id").execute().rows == [{"owner_id": ADA.subject, "count": 2}]


def test_joined_rows_are_own_rows(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a1"), thing("b1")]))
    with acting_as(ADA):
        rows = adapter.table("things").select("id").join("diaries", "id", "id", "title").execute().rows
    assert rows == [{"id": "a1", "diaries": [{"title": "a1"}]}, {"id": "b1", "diaries": []}]


def test_a_projection_without_the_owner_is_narrowed_too(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA):
        assert adapter.get("diaries", "a1", ("title",)) == {"title": "a1"}
        assert adapter.get("diaries", "b1", ("title",)) is None


def test_a_new_row_is_its_callers(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA):
        one = adapter.run(Insert("diaries", [{"title": "new"}])).rows[0]
        several = adapter.run(Insert("diaries", [{"title": "x"}, {"title": "y", "owner_id": ADA.subject}])).rows
    assert [row["owner_id"] for row in (one, *several)] == [ADA.subject] * 3
    assert len(written(adapter)) == 6


@pytest.mark.parametrize("owner", [BOB.subject, None, ""], ids=["another", "nobody", "empty"])
def test_nobody_makes_rows_for_somebody_else(adapter: DatabaseAdapter, owner: str | None) -> None:
    before = written(adapter)
    with acting_as(ADA), pytest.raises(PermissionDenied):
        adapter.run(Insert("diaries", [{"title": "mine"}, {"title": "not mine", "owner_id": owner}]))
    assert written(adapter) == before


@pytest.mark.parametrize(
    "untouched",
    [
        Update("diaries", {"title": "x"}, id="b1"),
        Update("diaries", {"title": "x"}, id="b1", expected_version=1),
        Update("diaries", {"title": "x"}, id="b1", expected_version=7),
        Update("diaries", {"title": "x"}, where=Where("owner_id", "eq", BOB.subject)),
        Delete("diaries", "b1", returning=True),
        Delete("diaries", "b1", expected_version=7, returning=True),
        Delete("diaries", where=Where("id", "in", ["b1", "c1"]), returning=True),
    ],
    ids=repr,
)
def test_a_row_of_another_is_not_there(adapter: DatabaseAdapter, untouched: Operation) -> None:
    before = written(adapter)
    with acting_as(ADA):
        result = adapter.run(untouched)
        assert (result.count, result.rows) == (0, [])
        with adapter.transaction():
            assert adapter.run(untouched).count == 0
    assert written(adapter) == before


def test_everybody_changes_their_own_rows(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA):
        assert adapter.run(Update("diaries", {"title": "x"}, where=EVERY)).count == 2
        assert adapter.run(Update("diaries", {"title": "y", "owner_id": ADA.subject}, "a1")).rows[0]["version"] == 3
        assert adapter.run(Update("diaries", {"title": "z"}, "a1", expected_version=3)).count == 1
        with pytest.raises(Conflict):
            adapter.run(Update("diaries", {"title": "late"}, "a1", expected_version=3))
        with pytest.raises(Conflict):
            adapter.run(Delete("diaries", "a1", expected_version=3))
        assert adapter.run(Delete("diaries", where=EVERY)).count == 2
    assert [(row["id"], row["title"]) for row in written(adapter)] == [("b1", "b1")]


@pytest.mark.parametrize("target", [{"id": "a1"}, {"id": "b1"}, {"where": EVERY}], ids=repr)
def test_a_row_is_not_given_away(adapter: DatabaseAdapter, target: dict[str, Any]) -> None:
    before = written(adapter)
    with acting_as(ADA), pytest.raises(PermissionDenied):
        adapter.run(Update("diaries", {"owner_id": BOB.subject}, **target))
    assert written(adapter) == before


def test_the_owner_may_be_in_the_key(adapter: DatabaseAdapter) -> None:
    made = [{"course": one.subject, "attempt": 1, "name": one.subject} for one in (ADA, BOB)]
    adapter.run(Insert("grades", made))
    with acting_as(ADA):
        assert [row["course"] for row in adapter.run(Select("grades"))] == [ADA.subject]
        assert adapter.run(Get("grades", f"{BOB.subject},1")).rows == []
        assert adapter.run(Update("grades", {"name": "x"}, f"{BOB.subject},1")).count == 0
        assert adapter.run(Update("grades", {"name": "x"}, f"{ADA.subject},1")).count == 1
        assert adapter.run(Insert("grades", [{"attempt": 2}])).rows[0]["course"] == ADA.subject
        with pytest.raises(PermissionDenied):
            adapter.run(Insert("grades", [{"course": BOB.subject, "attempt": 2}]))
    names = [(row["course"], row["name"]) for row in adapter.run(Select("grades"))]
    assert sorted(names, key=repr) == sorted(
        [(ADA.subject, "x"), (ADA.subject, None), (BOB.subject, BOB.subject)], key=repr
    )


def test_a_change_without_a_target_stays_refused(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA):
        for unbounded in (Update("diaries", {"title": "x"}), Delete("diaries")):
            with pytest.raises(InvalidQuery):
                adapter.run(unbounded)


def test_an_upsert_is_of_own_rows(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA):
        rows = adapter.run(Upsert("diaries", [{"id": "a1", "title": "x"}, {"id": "a3", "title": "y"}])).rows
        assert [(row["id"], row["owner_id"], row["version"]) for row in rows] == [
            ("a1", ADA.subject, 2),
            ("a3", ADA.subject, 1),
        ]
        assert adapter.run(Upsert("diaries", [{"id": "a1", "title": "z"}], returning=False)).count == 1
    assert len(written(adapter)) == 4


@pytest.mark.parametrize("returning", [True, False], ids=["returning", "silent"])
@pytest.mark.parametrize("owner", [{}, {"owner_id": ADA.subject}, {"owner_id": BOB.subject}], ids=repr)
def test_an_upsert_of_anothers_row_is_refused(adapter: DatabaseAdapter, owner: Row, returning: bool) -> None:
    before = written(adapter)
    # Where the server hides the row, it is the id that is taken.
    with acting_as(ADA), pytest.raises((PermissionDenied, ConstraintViolated)):
        adapter.run(Upsert("diaries", [{"id": "a1", "title": "x"}, {"id": "b1", "title": "x", **owner}], returning))
    assert written(adapter) == before


# Who else


def test_the_anonymous_have_no_rows_of_their_own(adapter: DatabaseAdapter) -> None:
    before = written(adapter)
    for identity in (ANONYMOUS, Identity(ADA.subject, "anon"), Identity(ADA.subject, "postgres")):
        for refused in (
            Get("diaries", "a1"),
            Select("diaries"),
            Insert("diaries", [{"title": "x"}]),
            Upsert("diaries", [entry("a1", ADA)]),
            Update("diaries", {"title": "x"}, "a1"),
            Delete("diaries", "a1"),
        ):
            with acting_as(identity), pytest.raises(PermissionDenied):
                adapter.run(refused)
    assert written(adapter) == before


@pytest.mark.parametrize("identity", [None, SERVICE], ids=["itself", "service"])
def test_the_application_is_bound_by_no_rule(adapter: DatabaseAdapter, identity: Identity | None) -> None:
    with asking(identity):
        adapter.run(Update("diaries", {"owner_id": BOB.subject}, "a1"))
        adapter.run(Upsert("diaries", [entry("b1", ADA)]))
        assert adapter.run(Delete("diaries", "a2")).count == 1
        assert adapter.run(Insert("prices", [{"id": "p"}])).count == 1
        assert {row["id"]: row["owner_id"] for row in adapter.run(Select("diaries"))} == {
            "a1": BOB.subject,
            "b1": ADA.subject,
        }


@pytest.mark.parametrize(
    ("identity", "allowed"),
    [
        (ANONYMOUS, ""),
        (ADA, ""),
        (ADMIN, "read write delete"),
        (caller("s", "seller"), ""),
        (caller("s", "seller", ["prices:read"]), "read write"),
        (caller("r", permissions=["prices:read", "prices:write"]), "read"),
        (caller("a", permissions=["prices:*"]), "read delete"),
        (caller("r", permissions=["*:read", "things:delete"]), "read"),
        (caller("e", permissions=["*"]), "read delete"),
        (caller("d", permissions=["prices:delete"]), ""),
        (caller("n", permissions=["prices", "PRICES:READ", "read", "prices:rea", ""]), ""),
    ],
    ids=lambda one: f"{one.subject} {one.claims.get('app_metadata')}" if isinstance(one, Identity) else one,
)
def test_roles_and_permissions(calm: DatabaseAdapter, identity: Identity, allowed: str) -> None:
    """A change also returns the record, so it requires read access, too."""
    calm.run(Insert("prices", [{"id": "p", "amount": 1}]))
    attempts: dict[str, Operation] = {
        "read": Select("prices"),
        "write": Update("prices", {"amount": 2}, "p"),
        "delete": Delete("prices", "p"),
    }
    done = []
    for action, operation in attempts.items():
        with acting_as(identity):
            try:
                calm.run(operation)
            except PermissionDenied:
                continue
        done.append(action)
    assert " ".join(done) == allowed


def test_writing_alone_takes_no_right_to_read(calm: DatabaseAdapter) -> None:
    # So many that PostgreSQL would be sent a COPY.
    for number in (1, 3, 30):
        rows = [{"id": f"{number}-{place}", "amount": place} for place in range(number)]
        with acting_as(caller("s", "seller")):
            assert calm.run(Insert("prices", rows, returning=False)).count == number
        assert calm.run(Select("prices", ("amount",), Where("id", "like", f"{number}-%"), (Order("amount"),))).rows == [
            {"amount": place} for place in range(number)
        ]


def test_what_is_for_anyone_and_for_users_stays_so(calm: DatabaseAdapter) -> None:
    with acting_as(ANONYMOUS):
        assert calm.run(Select("things")).rows == []
        with pytest.raises(PermissionDenied):
            calm.run(Insert("things", [thing("x")]))
    with acting_as(ADA):
        calm.run(Insert("things", [thing("x")]))
        with pytest.raises(PermissionDenied):
            calm.run(Delete("things", "x"))
    with acting_as(ADMIN):
        assert calm.run(Delete("things", "x")).count == 1


def test_a_table_that_declares_nothing_is_closed_unless_the_backend_decides(backend: Backend) -> None:
    text = Sql("select id from notes")
    for operation in (Get("notes", "x"), Select("notes"), Delete("notes", "x"), Insert("notes", [{"id": "x"}]), text):
        with acting_as(ADA):
            if backend.case.capabilities.row_security:
                backend.adapter.run(operation)
            else:
                with pytest.raises((PermissionDenied, Unsupported), match=r"closed to callers|is not declared"):
                    backend.adapter.run(operation)


def test_the_feed_of_changes_is_the_applications(adapter: DatabaseAdapter) -> None:
    with acting_as(ADMIN), pytest.raises(PermissionDenied):
        adapter.changes()


# Ways in


def test_a_batch_is_judged_in_all_its_parts(adapter: DatabaseAdapter) -> None:
    before = written(adapter)
    mine, others = Update("diaries", {"title": "x"}, "a1"), Update("diaries", {"title": "x"}, "b1")
    with acting_as(ADA):
        parts = adapter.run(Batch((mine, others, Select("diaries", ("id",))))).parts
        assert [part.count for part in parts[:2]] == [1, 0]
        assert [row["id"] for row in parts[2].rows] == ["a1", "a2"]
        with pytest.raises(PermissionDenied):
            adapter.run(Batch((mine, Update("diaries", {"owner_id": BOB.subject}, "a1"))))
    after = written(adapter)
    assert after[1:] == before[1:]
    assert after[0]["version"] == 2


def test_a_transaction_sees_and_changes_own_rows(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA), adapter.transaction():
        adapter.run(Insert("diaries", [{"id": "a3", "title": "new"}]))
        adapter.run(Update("diaries", {"title": "x"}, where=EVERY))
        assert ids(adapter) == ["a1", "a2", "a3"]
        assert adapter.get("diaries", "b1") is None
        assert adapter.run(Delete("diaries", "a1")).count == 1
        assert adapter.run(Delete("diaries", "b1")).count == 0
        assert ids(adapter) == ["a2", "a3"]
    assert [(row["id"], row["title"]) for row in written(adapter)] == [("a2", "x"), ("a3", "x"), ("b1", "b1")]


def test_each_call_of_a_transaction_is_of_its_own_caller(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA), adapter.transaction():
        adapter.run(Insert("diaries", [{"id": "a3", "title": "new"}]))
        with acting_as(BOB):
            assert ids(adapter) == ["b1"]
            assert adapter.get("diaries", "a3") is None
            adapter.run(Delete("diaries", where=EVERY))
        assert ids(adapter) == ["a1", "a2", "a3"]
    assert [row["id"] for row in written(adapter)] == ["a1", "a2", "a3"]


def test_what_is_refused_undoes_its_transaction(adapter: DatabaseAdapter) -> None:
    before = written(adapter)

    def two_changes() -> None:
        with adapter.transaction():
            adapter.run(Update("diaries", {"title": "x"}, "a1"))
            adapter.run(Insert("diaries", [entry("x", BOB)]))

    with acting_as(ADA), pytest.raises(PermissionDenied):
        two_changes()
    assert written(adapter) == before


def test_a_transaction_by_hand_is_judged_too(adapter: DatabaseAdapter) -> None:
    with acting_as(ADA):
        transaction = adapter.begin_transaction()
        assert adapter._execute_query_in_transaction(transaction, "select id from things") == []
        with pytest.raises(PermissionDenied):
            transaction.execute(Insert("diaries", [entry("x", BOB)]), NO_CONTEXT.acting_as(ADA))
        adapter.rollback_transaction(transaction)


@with_a_feed
def test_a_subscription_delivers_own_rows(backend: Backend, inbox: Inbox) -> None:
    backend.adapter.run(Insert("diaries", [entry("a1", ADA), entry("b1", BOB)]))
    with acting_as(ADA):
        subscription = backend.adapter.table("diaries").select("id").subscribe(inbox)
        with acting_as(ANONYMOUS), pytest.raises(PermissionDenied):
            backend.adapter.table("diaries").subscribe(inbox)
    with subscription:
        assert inbox.next_ids(20) == ["a1"]
        backend.adapter.run(Insert("diaries", [entry("b2", BOB)]))
        backend.adapter.run(Insert("diaries", [entry("a2", ADA)]))
        assert inbox.next_ids(20) == ["a1", "a2"]


def test_the_manager_lets_no_one_pass(adapter: DatabaseAdapter) -> None:
    manager = ConnectionManager(load_settings(None), {"only": adapter})
    with acting_as(ADA):
        assert [row["id"] for row in manager.table("diaries").execute()] == ["a1", "a2"]
        assert manager.run(Delete("diaries", where=EVERY, returning=True)).count == 2
        with pytest.raises(PermissionDenied), manager.transaction():
            manager.run(Insert("diaries", [entry("x", BOB)]))
    assert [row["id"] for row in written(adapter)] == ["b1"]
