"""Requests, threads and nested requests do not share transactions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Barrier
from threading import BrokenBarrierError
from threading import Thread

import pytest
from flask import Flask

from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.core.context import NO_CONTEXT
from database.core.context import active_unit
from database.core.context import as_application
from database.core.context import current_context
from database.core.context import in_callers_name
from database.core.errors import TransactionError
from database.unit_of_work import after_commit
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import deposit
from tests.integration.transactions.ledger import make_app
from tests.integration.transactions.ledger import write

PATIENCE = 20  # seconds after which a test that hangs fails
MEETING = 0.3  # seconds that a request waits for the other one, which may be kept waiting by the database


def in_thread(work: Callable[[], None]) -> None:
    thread = Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_thread_that_a_view_starts_does_not_join(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    @app.post("/")
    def view() -> tuple[str, int]:
        in_thread(in_callers_name(lambda: write(manager, "by the thread")))
        write(manager, "by the view")
        in_thread(in_callers_name(lambda: seen.append(len(manager.table("entries").execute()))))
        return "", 500

    seen: list[int] = []
    app.test_client().post("/")
    assert seen == [1]
    assert ledger.notes() == ["by the thread"]


def test_a_thread_that_the_unit_is_copied_into_is_refused(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    """It would write in the transaction of a request that is unaware of it."""

    def write_in_block() -> None:
        with manager.transaction():
            write(manager, "by the thread")

    @app.post("/<begun>")
    def view(begun: str) -> str:
        if begun == "late":
            in_thread(partial(copy_context().run, attempt))
        write(manager, begun)
        in_thread(partial(copy_context().run, attempt))
        with manager.transaction():
            in_thread(partial(copy_context().run, attempt))
        return "ok"

    def attempt() -> None:
        for work in (
            write_in_block,
            lambda: write(manager, "by the thread"),
            lambda: balance(manager),
            lambda: after_commit(lambda: None),
        ):
            with pytest.raises(TransactionError, match="in_callers_name"):
                work()
            refused.append(work)

    refused: list[object] = []
    for begun in ("early", "late"):
        assert app.test_client().post(f"/{begun}").text == "ok"
    assert len(refused) == 5 * 4
    assert ledger.notes() == ["early", "late"]


def test_a_transaction_of_a_script_stays_in_its_thread(adapter: DatabaseAdapter, ledger: Ledger) -> None:
    refused: list[type[Exception]] = []

    def attempt() -> None:
        try:
            write(adapter, "by the thread")
        except TransactionError as error:
            refused.append(type(error))

    with adapter.transaction():
        write(adapter, "by the block")
        in_thread(partial(copy_context().run, attempt))
    assert refused == [TransactionError]
    assert ledger.notes() == ["by the block"]


def test_concurrent_requests_have_their_own_transactions(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    @app.post("/<int:number>/<int:status>")
    def view(number: int, status: int) -> tuple[str, int]:
        for part in range(3):
            manager.table("entries").insert({"account_id": "acme", "note": f"{number}.{part}"}).execute()
        return str(number), status

    def ask(number: int) -> tuple[int, str]:
        answer = app.test_client().post(f"/{number}/{200 if number % 2 else 409}")
        return answer.status_code, answer.text

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(40)))
    assert answers == [(200 if number % 2 else 409, str(number)) for number in range(40)]
    assert ledger.notes() == sorted(f"{number}.{part}" for number in range(1, 40, 2) for part in range(3))


def test_two_that_read_and_then_write_lose_no_increment(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    both_have_read = Barrier(2)

    @app.post("/")
    def view() -> str:
        seen = balance(manager)
        with suppress(BrokenBarrierError):
            both_have_read.wait(MEETING)
        manager.table("accounts").update({"balance": seen + 1}).eq("id", "acme").execute()
        return "ok"

    def ask(_: int) -> int:
        return app.test_client().post("/").status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = list(pool.map(ask, range(6)))
    assert set(statuses) <= {200, 409}
    assert ledger.balance() == statuses.count(200) > 0


def test_a_request_inside_a_request_is_a_unit_of_its_own(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    @app.post("/inner/<int:status>")
    def inner(status: int) -> tuple[str, int]:
        write(manager, f"inner {status}")
        return "", status

    @app.post("/outer/<int:status>")
    def outer(status: int) -> tuple[str, int]:
        client = app.test_client()
        assert [client.post("/inner/200").status_code, client.post("/inner/500").status_code] == [200, 500]
        write(manager, f"outer {status}")
        return "", status

    client = app.test_client()
    assert client.post("/outer/500").status_code == 500
    assert ledger.notes() == ["inner 200"]
    assert client.post("/outer/200").status_code == 200
    assert ledger.notes() == ["inner 200", "inner 200", "outer 200"]
    assert not ledger.has_open_transaction()


def test_a_request_to_another_app_inside_a_request_is_a_unit_of_its_own(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    other = make_app(manager)

    @other.post("/")
    def inner() -> tuple[str, int]:
        write(manager, "inner")
        return "", 500

    @app.post("/")
    def outer() -> str:
        assert other.test_client().post("/").status_code == 500
        write(manager, "outer")
        return "ok"

    assert app.test_client().post("/").status_code == 200
    assert ledger.notes() == ["outer"]


@pytest.mark.parametrize("testing", [False, True], ids=["answered", "propagated"])
def test_nothing_of_a_request_is_left_in_its_thread(app: Flask, manager: ConnectionManager, testing: bool) -> None:
    app.testing = testing

    @app.post("/<kind>")
    def view(kind: str) -> str:
        assert active_unit.get() is not None
        assert current_context.get().deadline < float("inf")
        write(manager, kind)
        if kind == "crash":
            raise ValueError("a bug")
        return "ok"

    for path in ("/ok", "/crash", "/nowhere/at/all"):
        with suppress(ValueError):
            app.test_client().post(path)
        assert active_unit.get() is None
        assert current_context.get() == NO_CONTEXT


def test_the_context_around_a_request_comes_back_after_it(app: Flask, manager: ConnectionManager) -> None:
    app.add_url_rule("/", "view", lambda: str(balance(manager)))
    with as_application(), manager.transaction() as transaction:
        deposit(manager, 7)
        assert app.test_client().get("/").text == "0"
        assert active_unit.get() is transaction
        assert balance(manager) == 7
