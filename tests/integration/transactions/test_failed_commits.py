"""Commits that fail, are late, or lose their response: never reported as a success, never retried automatically."""

from __future__ import annotations

from threading import Event

import pytest
from flask import Flask

from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.backends.faulty import Fault
from database.backends.faulty import FaultyAdapter
from database.connection_manager import ConnectionManager
from database.core.errors import ConstraintViolated
from database.core.errors import OutcomeUnknown
from database.core.errors import TimedOut
from tests.integration.transactions.ledger import NOBODY
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import make_app
from tests.integration.transactions.ledger import managing
from tests.integration.transactions.ledger import write


@pytest.fixture
def faulty(adapter: DatabaseAdapter) -> FaultyAdapter:
    return FaultyAdapter(adapter)


def test_a_constraint_looked_at_by_the_commit_fails_it(manager: ConnectionManager, ledger: Ledger) -> None:
    def store() -> None:
        with manager.transaction():
            write(manager, "for nobody", NOBODY)

    with pytest.raises(ConstraintViolated):
        store()
    assert ledger.notes() == []
    assert not ledger.has_open_transaction()
    with manager.transaction():
        write(manager, "for somebody")
    assert ledger.notes() == ["for somebody"]


@pytest.mark.parametrize(("fault", "notes"), [("cut", []), ("error_after_commit", ["x"])])
def test_a_commit_whose_answer_is_lost_is_reported_and_not_repeated(
    faulty: FaultyAdapter, ledger: Ledger, fault: Fault, notes: list[str]
) -> None:
    calls: list[str] = []
    app = make_app(manager := managing(faulty))

    @app.post("/")
    def view() -> str:
        calls.append("view")
        write(manager, "x")
        faulty.faults.next(fault)
        return "ok"

    answer = app.test_client().post("/")
    assert (answer.status_code, answer.text) == (503, "unknown")
    assert calls == ["view"]
    assert ledger.notes() == notes
    assert not ledger.has_open_transaction()


def test_a_request_that_outlives_its_deadline_is_rolled_back(manager: ConnectionManager, ledger: Ledger) -> None:
    # Connecting may take longer than the request has.
    assert manager.connect()
    app: Flask = make_app(manager, REQUEST_TIMEOUT=0.2)
    app.register_error_handler(TimedOut, lambda _: ("late", 503))
    freed = Event()

    @app.post("/")
    def view() -> str:
        write(manager, "x")
        while ledger.has_open_transaction():
            freed.wait(0.02)
        return "ok"

    answer = app.test_client().post("/")
    assert (answer.status_code, answer.text) == (503, "late")
    assert ledger.notes() == []


def test_a_transaction_goes_to_the_first_database_whatever_answers_reads(ledger: Ledger, sqlite_ledger: Ledger) -> None:
    adapters = {"first": sqlite_ledger.adapter(max_concurrency=3), "second": ledger.adapter()}
    manager = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), adapters)
    assert manager.connect()
    transaction = manager.begin_transaction()
    adapters["first"].pipeline.circuit_breaker.trip()
    assert manager.active_adapter == "second"
    text = "insert into entries (id, account_id, note) values ('1', 'acme', 'x')"
    assert manager._execute_query_in_transaction(transaction, text) == 1
    assert manager.commit_transaction(transaction)
    assert sqlite_ledger.notes() == ["x"]
    manager.disconnect()


def test_an_unknown_outcome_in_plain_code_reaches_the_caller(faulty: FaultyAdapter) -> None:
    def store() -> None:
        with faulty.transaction():
            write(faulty, "x")
            faulty.faults.next("error_after_commit")

    with pytest.raises(OutcomeUnknown):
        store()
