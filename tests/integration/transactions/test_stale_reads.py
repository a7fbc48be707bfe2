"""A request's reads are still current when its changes are committed; otherwise they are not, and it gets an error.

SQLite keeps others from writing meanwhile, PostgreSQL shows one moment and lets nobody change what others have changed,
and what commits in one request is compared with the database by that commit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from threading import BrokenBarrierError
from typing import Any

import pytest
from flask import Flask
from flask import abort

from database.connection_manager import ConnectionManager
from tests.integration.http.support import assert_problem
from tests.integration.transactions.ledger import ACCOUNT
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import write

MEETING = 0.3  # seconds that a request waits for the other one, which may be kept waiting by the database

Read = Callable[[ConnectionManager], Any]

READS: dict[str, Read] = {
    "a record": balance,
    "an absent record": lambda db: db.get("entries", "rival"),
    "a filter": lambda db: db.table("entries").like("note", "r%").execute().rows,
    "an order with a limit": lambda db: db.table("entries").order("note", desc=True).limit(1).execute().rows,
    "a count": lambda db: db.table("entries").select("id", count=True).limit(1).execute().count,
    "groups": lambda db: db.table("entries").group_by("account_id").execute().rows,
    "SQL text": lambda db: db.execute_query("select note from entries where note <> 'x'"),
}


def names(ledger: Ledger) -> list[str]:
    return sorted(row["id"] for row in ledger.rows("accounts"))


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_what_a_request_has_read_it_reads_again(
    api: Flask, manager: ConnectionManager, ledger: Ledger, read: Read
) -> None:
    @api.post("/")
    def view() -> str:
        first = read(manager)
        ledger.write("rival")
        assert read(manager) == first
        return "ok"

    assert api.test_client().post("/").status_code == 200


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_change_that_rests_on_a_stale_read_is_not_made_where_the_commit_compares(
    api: Flask, manager: ConnectionManager, ledger: Ledger, read: Read
) -> None:
    admitted: list[bool] = []

    @api.post("/")
    def view() -> str:
        read(manager)
        admitted.append(ledger.write("rival"))
        manager.table("accounts").insert({"id": "mine", "balance": 0}).execute()
        return "ok"

    answer = api.test_client().post("/")
    if ledger.buffered:
        assert admitted == [True]
        assert_problem(answer, 409, "conflict")
        assert names(ledger) == [ACCOUNT]
    else:
        assert answer.status_code == 200
        assert names(ledger) == [ACCOUNT, "mine"]
    assert ledger.notes() == ["rival"] * admitted[0]


def test_a_record_that_was_changed_meanwhile_is_not_changed_again(
    api: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    admitted: list[bool] = []

    @api.post("/")
    def view() -> str:
        balance(manager)
        admitted.append(ledger.write("rival"))
        write(manager, "mine")
        return "ok"

    answer = api.test_client().post("/")
    if admitted == [True]:
        assert_problem(answer, 409, "conflict")
        assert ledger.notes() == ["rival"]
    else:
        assert answer.status_code == 200
        assert ledger.notes() == ["mine"]
    assert ledger.balance() == 1


def test_only_a_file_keeps_others_from_writing(api: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    @api.post("/")
    def view() -> str:
        balance(manager)
        return str(ledger.write("rival"))

    assert api.test_client().post("/").text == str(ledger.wire is not None)


def test_a_stale_read_harms_nobody_who_changes_nothing(api: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    @api.post("/")
    def view() -> str:
        seen = balance(manager)
        ledger.write("rival")
        return str(seen)

    answer = api.test_client().post("/")
    assert (answer.status_code, answer.text) == (200, "0")


def test_a_savepoint_that_is_undone_does_not_forget_what_was_read(
    api: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    def look() -> None:
        with manager.transaction():
            balance(manager)
            raise ZeroDivisionError

    @api.post("/")
    def view() -> str:
        with suppress(ZeroDivisionError):
            look()
        ledger.write("rival")
        manager.table("accounts").insert({"id": "mine", "balance": 0}).execute()
        return "ok"

    status = api.test_client().post("/").status_code
    assert (status, names(ledger)) == ((409, [ACCOUNT]) if ledger.buffered else (200, [ACCOUNT, "mine"]))


def meeting() -> Callable[[], None]:
    """Lets two requests wait for each other once."""
    barrier = Barrier(2)

    def meet() -> None:
        with suppress(BrokenBarrierError):
            barrier.wait(MEETING)

    return meet


def both(api: Flask, *paths: str) -> list[Any]:
    """The answers to requests made at the same time."""
    with ThreadPoolExecutor(len(paths)) as pool:
        return list(pool.map(lambda path: api.test_client().post(path), paths))


def test_two_that_read_what_the_other_writes_are_as_one_after_the_other(
    api: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    meet = meeting()

    @api.post("/entry")
    def enter() -> str:
        note = f"balance {balance(manager)}"
        meet()
        manager.table("entries").insert({"account_id": ACCOUNT, "note": note}).execute()
        return "ok"

    @api.post("/balance")
    def count() -> str:
        entries = len(manager.table("entries").execute())
        meet()
        manager.table("accounts").update({"balance": entries + 5}).eq("id", ACCOUNT).execute()
        return "ok"

    statuses = [answer.status_code for answer in both(api, "/entry", "/balance")]
    outcome = ledger.notes(), ledger.balance()
    assert (statuses, outcome) in (
        ([200, 409], (["balance 0"], 0)),
        ([409, 200], ([], 5)),
        ([200, 200], (["balance 0"], 6)),
        ([200, 200], (["balance 5"], 5)),
    )
    assert statuses.count(200) >= 1


def test_of_two_that_make_the_same_record_one_wins(api: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    meet = meeting()

    @api.post("/<note>")
    def view(note: str) -> tuple[str, int]:
        if manager.get("entries", "same") is not None:
            abort(409)
        meet()
        manager.table("entries").insert({"id": "same", "account_id": ACCOUNT, "note": note}).execute()
        return note, 201

    won, lost = sorted(both(api, "/a", "/b"), key=lambda answer: int(answer.status_code))
    assert won.status_code == 201
    assert_problem(lost, 409)
    assert ledger.notes() == [won.text]


def test_of_two_that_change_the_same_record_the_loser_may_try_again(
    api: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    meet = meeting()

    @api.post("/<note>")
    def view(note: str) -> str:
        seen = balance(manager)
        meet()
        write(manager, note)
        return str(seen)

    answers = both(api, "/a", "/b")
    lost = [note for note, answer in zip("ab", answers, strict=True) if answer.status_code != 200]
    assert len(lost) == (1 if ledger.wire else 0)
    for note in lost:
        assert_problem(answers["ab".index(note)], 409, "conflict")
        assert api.test_client().post(f"/{note}").text == "1"
    assert ledger.notes() == ["a", "b"]
    assert ledger.balance() == 2
