"""A request takes a transaction only when needed, and releases it as soon as its outcome is known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask.json.provider import DefaultJSONProvider

from database import flask_scope
from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.flask_scope import transactional
from database.unit_of_work import UnitOfWork
from database.unit_of_work import current_unit
from tests.integration.transactions.http_ledgers import ConvexLedger
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import deposit
from tests.integration.transactions.ledger import make_app
from tests.integration.transactions.ledger import write


def sent(adapter: DatabaseAdapter) -> dict[str, int]:
    """How many operations of each kind have reached the database."""
    operations: dict[str, Any] = adapter.get_connection_info()["operations"]
    return {kind: counts["ok"] for kind, counts in operations.items()}


def begun() -> bool:
    unit = current_unit()
    assert isinstance(unit, UnitOfWork)
    return unit.begun


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_route_without_a_database_call_uses_none(
    app: Flask, manager: ConnectionManager, adapter: DatabaseAdapter, method: str
) -> None:
    app.add_url_rule("/", "view", lambda: "ok", methods=[method])
    assert app.test_client().open("/", method=method).status_code == 200
    assert manager.active_adapter is None
    assert not adapter.connected
    assert sent(adapter) == {}


def test_a_lazy_get_reads_without_a_transaction(
    app: Flask, manager: ConnectionManager, adapter: DatabaseAdapter
) -> None:
    @app.get("/")
    @transactional(lazy=True)
    def view() -> str:
        return f"{balance(manager)} {begun()}"

    assert app.test_client().get("/").text == "0 False"
    assert sent(adapter) == {"get": 1}


def test_a_get_begins_with_its_first_read_and_keeps_nobody_from_writing(
    app: Flask, manager: ConnectionManager, adapter: DatabaseAdapter, ledger: Ledger
) -> None:
    @app.get("/")
    def view() -> str:
        return f"{balance(manager)} {begun()} {ledger.has_open_transaction()}"

    assert app.test_client().get("/").text == f"0 True {ledger.buffered}"
    around = {} if ledger.buffered else {"begin": 1, "commit": 1}
    assert sent(adapter) == {**around, "get": 1}


def test_a_post_begins_with_its_first_read(
    app: Flask, manager: ConnectionManager, adapter: DatabaseAdapter, ledger: Ledger
) -> None:
    @app.post("/")
    def view() -> str:
        before = begun()
        return f"{before} {balance(manager)} {begun()}"

    assert app.test_client().post("/").text == "False 0 True"
    around = {} if ledger.buffered else {"begin": 1, "commit": 1}
    assert sent(adapter) == {**around, "get": 1}


def test_a_lazy_post_begins_with_its_first_write(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    @app.post("/")
    @transactional(lazy=True)
    def view() -> str:
        states = [balance(manager), begun()]
        deposit(manager, 5)
        return str([*states, begun(), balance(manager), ledger.balance()])

    assert app.test_client().post("/").text == str([0, False, True, 5, 0])
    assert ledger.balance() == 5


def test_a_get_can_ask_for_one_transaction_from_its_first_read(app: Flask, manager: ConnectionManager) -> None:
    @app.get("/")
    @transactional(lazy=False)
    def view() -> str:
        return f"{balance(manager)} {begun()}"

    assert app.test_client().get("/").text == "0 True"


def test_a_get_that_writes_is_one_transaction_as_well(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    @app.get("/<int:status>")
    def view(status: int) -> tuple[str, int]:
        write(manager, str(status))
        return "", status

    client = app.test_client()
    client.get("/500")
    client.get("/200")
    assert ledger.notes() == ["200"]


def test_the_lock_is_free_while_the_answer_is_built_and_while_hooks_run(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    locked: dict[str, bool] = {}

    class Observing(DefaultJSONProvider):
        def dumps(self, obj: object, **_: object) -> str:
            locked["serializer"] = ledger.has_open_transaction()
            return json.dumps(obj)

    @app.after_request
    def hook(response: Response) -> Response:
        locked["hook"] = ledger.has_open_transaction()
        return response

    @app.post("/")
    def view() -> dict[str, str]:
        deposit(manager, 1)
        locked["view"] = ledger.has_open_transaction()
        return {"stored": "yes"}

    app.json = Observing(app)
    assert app.test_client().post("/").status_code == 200
    assert locked == {"view": True, "serializer": False, "hook": False}


def test_a_second_set_up_is_refused(app: Flask, manager: ConnectionManager) -> None:
    with pytest.raises(RuntimeError, match="call init_app once"):
        flask_scope.init_app(app, manager)


def test_two_apps_may_share_a_manager(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    def view() -> str:
        deposit(manager, 1)
        return "ok"

    for one in (app, make_app(manager)):
        one.add_url_rule("/", "view", view, methods=["POST"])
        assert one.test_client().post("/").status_code == 200
    assert ledger.balance() == 2


Ask = Callable[[ConnectionManager], object]


def _insert(database: ConnectionManager) -> None:
    database.table("entries").insert({"account_id": "acme", "note": "x"}).execute()


def _both_ways(database: ConnectionManager) -> None:
    """Read a record twice and entries twice, and write."""
    for _ in range(2):
        balance(database)
        database.table("entries").eq("note", "x").execute()
    write(database, "x")
    balance(database)


def _in_vain(database: ConnectionManager) -> None:
    with suppress(ZeroDivisionError), database.transaction():
        write(database, "x")
        raise ZeroDivisionError


@dataclass(frozen=True, slots=True)
class Trip:
    """A request and what it costs.

    :ivar functions: calls of the deployment's functions.
    """

    name: str
    ask: Ask
    functions: dict[str, int]
    path: str = "/200"


TRIPS = (
    Trip("nothing", lambda _: None, {}),
    Trip("a read", balance, {"get": 1}),
    Trip("a record read twice", lambda db: (balance(db), balance(db)), {"get": 1}),
    Trip("an insert", _insert, {"commit": 1}),
    Trip("a read and a change", lambda db: deposit(db, 1), {"get": 1, "select": 1, "commit": 1}),
    Trip("reads and writes", _both_ways, {"get": 1, "select": 2, "commit": 1}),
    Trip("a savepoint undone", _in_vain, {"get": 1, "select": 1, "commit": 1}),
    Trip("an error", _both_ways, {"get": 1, "select": 2}, path="/409"),
)


@pytest.mark.parametrize("ledger", ["convex"], indirect=True)
@pytest.mark.parametrize("trip", TRIPS, ids=lambda trip: trip.name)
def test_a_request_sends_what_it_must_and_one_commit(
    app: Flask, manager: ConnectionManager, ledger: ConvexLedger, trip: Trip
) -> None:
    def view(status: int) -> tuple[str, int]:
        trip.ask(manager)
        return "", status

    app.add_url_rule("/<int:status>", "view", view, methods=["POST"])
    manager.connect()
    before = Counter(ledger.deployment.requests().functions)
    app.test_client().post(trip.path)
    after = Counter(ledger.deployment.requests().functions)
    assert after - before == {f"isthmus:{function}": count for function, count in trip.functions.items()}


def test_a_request_that_is_rolled_back_commits_nothing(
    app: Flask, manager: ConnectionManager, adapter: DatabaseAdapter, ledger: Ledger
) -> None:
    @app.post("/<int:status>")
    def view(status: int) -> tuple[str, int]:
        _insert(manager)
        return "", status

    for status in (422, 500):
        app.test_client().post(f"/{status}")
    assert "commit" not in sent(adapter)
    app.test_client().post("/200")
    assert sent(adapter)["commit"] == 1
    assert ledger.notes() == ["x"]
