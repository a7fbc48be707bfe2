"""A request reads its own uncommitted writes by every kind of query; others do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.core.errors import ConstraintViolated
from tests.integration.transactions.ledger import ACCOUNT
from tests.integration.transactions.ledger import Ledger

Read = Callable[[ConnectionManager], Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A way to read.

    :ivar read: asks it.
    :ivar before: the answer when the request begins.
    :ivar after: the answer behind its changes.
    """

    name: str
    read: Read
    before: Any
    after: Any


def note(database: ConnectionManager, record_id: str) -> Any:
    row = database.get("entries", record_id)
    return row and row["note"]


def notes(query: Any) -> list[str]:
    return [row["note"] for row in query.execute()]


def sorted_notes(database: ConnectionManager) -> Any:
    return database.table("entries").select("note").order("note", desc=True)


def by_id(database: ConnectionManager) -> Any:
    return database.table("entries").select("note").order("id")


def counted(database: ConnectionManager) -> Any:
    result = database.table("entries").select("id", count=True).gt("note", "a").limit(1).execute()
    return len(result), result.count


QUESTIONS = (
    Question("get what is written", lambda db: note(db, "new"), None, "new"),
    Question("get what is changed", lambda db: note(db, "c"), "c", "z"),
    Question("get what is removed", lambda db: note(db, "b"), "b", None),
    Question("filter", lambda db: notes(db.table("entries").eq("note", "z")), [], ["z"]),
    Question("filter what left", lambda db: notes(db.table("entries").eq("note", "c")), ["c"], []),
    Question("order and limit", lambda db: notes(sorted_notes(db).limit(2)), ["d", "c"], ["z", "new"]),
    Question("offset", lambda db: notes(sorted_notes(db).offset(2).limit(2)), ["b", "a"], ["d", "a"]),
    Question("limit past what left", lambda db: notes(by_id(db).offset(1).limit(2)), ["b", "c"], ["z", "d"]),
    Question("count", counted, (1, 3), (1, 3)),
    Question(
        "group",
        lambda db: db.table("entries").group_by("account_id").execute().rows,
        [{"account_id": ACCOUNT, "count": 4}],
        [{"account_id": ACCOUNT, "count": 3}, {"account_id": "other", "count": 1}],
    ),
    Question(
        "SQL text",
        lambda db: db.execute_query("select note from entries where note >= %s order by note limit 2", ("c",)),
        [{"note": "c"}, {"note": "d"}],
        [{"note": "d"}, {"note": "new"}],
    ),
)


def change(database: ConnectionManager) -> None:
    """Add, change and remove an entry, and bring one to an account that is added as well."""
    entries = database.table("entries")
    database.table("accounts").insert({"id": "other", "balance": 0}).execute()
    entries.insert({"id": "new", "account_id": "other", "note": "new"}).execute()
    database.table("entries").update({"note": "z"}).eq("id", "c").execute()
    database.table("entries").delete().eq("note", "b").execute()


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """The ledger with four entries."""
    for name in "abcd":
        assert ledger.write(name)
    return ledger


@pytest.mark.parametrize("looked", [False, True], ids=["at first sight", "read before"])
def test_a_request_sees_its_changes_however_it_asks(
    app: Flask, manager: ConnectionManager, filled: Ledger, looked: bool
) -> None:
    @app.post("/<int:number>")
    def view(number: int) -> tuple[str, int]:
        question = QUESTIONS[number]
        if looked:
            assert question.read(manager) == question.before, question.name
        change(manager)
        assert question.read(manager) == question.after, question.name
        return "a rehearsal", 422

    for number in range(len(QUESTIONS)):
        assert app.test_client().post(f"/{number}").status_code == 422
    assert filled.notes() == ["a", "b", "c", "d"]


def test_others_see_its_changes_when_it_is_done(app: Flask, manager: ConnectionManager, filled: Ledger) -> None:
    @app.post("/")
    def view() -> str:
        change(manager)
        assert filled.notes() == ["a", "b", "c", "d"]
        return "ok"

    assert app.test_client().post("/").status_code == 200
    assert filled.notes() == ["a", "d", "new", "z"]
    with as_application():
        found = {question.name: question.read(manager) for question in QUESTIONS}
    assert found == {question.name: question.after for question in QUESTIONS}


def test_what_a_savepoint_undid_is_seen_no_more(app: Flask, manager: ConnectionManager, filled: Ledger) -> None:
    def change_in_vain(question: Question) -> None:
        with manager.transaction():
            change(manager)
            assert question.read(manager) == question.after, question.name
            raise ZeroDivisionError

    @app.post("/<int:number>")
    def view(number: int) -> str:
        question = QUESTIONS[number]
        with pytest.raises(ZeroDivisionError):
            change_in_vain(question)
        assert question.read(manager) == question.before, question.name
        return "ok"

    for number in range(len(QUESTIONS)):
        assert app.test_client().post(f"/{number}").status_code == 200
    assert filled.notes() == ["a", "b", "c", "d"]


def test_a_constraint_counts_the_requests_own_rows(app: Flask, manager: ConnectionManager, filled: Ledger) -> None:
    @app.post("/")
    def view() -> str:
        change(manager)
        with pytest.raises(ConstraintViolated), manager.transaction():
            manager.table("entries").insert({"id": "new", "account_id": ACCOUNT, "note": "twice"}).execute()
        manager.table("entries").insert({"id": "b", "account_id": ACCOUNT, "note": "again"}).execute()
        return "ok"

    assert app.test_client().post("/").status_code == 200
    assert filled.notes() == ["a", "again", "d", "new", "z"]
