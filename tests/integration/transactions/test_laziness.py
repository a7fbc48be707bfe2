"""A request opens what it needs, when it needs it, and lets go as soon as its outcome is known."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask.json.provider import DefaultJSONProvider

from database import flask_transactions
from database.adapters.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.flask_transactions import transactional
from database.transaction import UnitOfWork
from database.transaction import current_unit
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import deposit
from tests.integration.transactions.ledger import make_app
from tests.integration.transactions.ledger import write


def sent(adapter: DatabaseAdapter) -> dict[str, int]:
    """How many operations of each kind have reached the database."""
    operations: dict[str, Any] = adapter.get_connection_info()["operations"]
    return {kind: counts["ok"] for kind, counts in operations.items()}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_route_without_a_database_call_uses_none(
    app: Flask, manager: ConnectionManager, adapter: DatabaseAdapter, method: str
) -> None:
    app.add_url_rule("/", "view", lambda: "ok", methods=[method])
    assert app.test_client().open("/", method=method).status_code == 200
    assert manager.active_adapter is None
    assert not adapter.connected
    assert sent(adapter) == {}


def test_a_get_reads_without_a_transaction(app: Flask, manager: ConnectionManager, adapter: DatabaseAdapter) -> None:
    @app.get("/")
    def view() -> str:
        return f"{balance(manager)} {begun()}"

    assert app.test_client().get("/").text == "0 False"
    assert sent(adapter) == {"get": 1}


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
        flask_transactions.init_app(app, manager)


def test_two_apps_may_share_a_manager(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    def view() -> str:
        deposit(manager, 1)
        return "ok"

    for one in (app, make_app(manager)):
        one.add_url_rule("/", "view", view, methods=["POST"])
        assert one.test_client().post("/").status_code == 200
    assert ledger.balance() == 2


def begun() -> bool:
    unit = current_unit()
    assert isinstance(unit, UnitOfWork)
    return unit.begun
