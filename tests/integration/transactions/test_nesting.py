"""Nested transactions: the inner one can be rolled back alone."""

from __future__ import annotations

import pytest
from flask import Flask

from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.core.errors import ConstraintViolated
from database.core.errors import TransactionError
from tests.integration.transactions.ledger import ACCOUNT
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import deposit
from tests.integration.transactions.ledger import write


class InnerError(Exception):
    """The exception that ends an inner transaction."""


def write_and_fail(database: ConnectionManager | DatabaseAdapter, note: str) -> None:
    with database.transaction():
        write(database, note)
        raise InnerError


def test_an_inner_transaction_that_fails_is_undone_alone(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    @app.post("/")
    def view() -> str:
        write(manager, "before")
        with pytest.raises(InnerError):
            write_and_fail(manager, "inner")
        write(manager, "after")
        return "ok"

    assert app.test_client().post("/").status_code == 200
    assert ledger.notes() == ["after", "before"]
    assert ledger.balance() == 2


def test_an_inner_transaction_that_succeeds_lasts_only_with_the_request(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    @app.post("/<int:status>")
    def view(status: int) -> tuple[str, int]:
        with manager.transaction():
            write(manager, f"inner {status}")
        assert f"inner {status}" not in ledger.notes()
        return "", status

    client = app.test_client()
    assert [client.post("/500").status_code, client.post("/200").status_code] == [500, 200]
    assert ledger.notes() == ["inner 200"]


def test_an_error_swallowed_inside_an_inner_transaction_leaves_the_rest(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    @app.post("/")
    def view() -> str:
        write(manager, "before")
        with manager.transaction():
            write(manager, "inner")
            with pytest.raises(ConstraintViolated):
                manager.table("accounts").insert({"id": ACCOUNT}).execute()
            with pytest.raises(TransactionError):
                balance(manager)
        write(manager, "after")
        return "ok"

    assert app.test_client().post("/").status_code == 200
    assert ledger.notes() == ["after", "before"]


def test_an_inner_transaction_begins_the_unit_even_of_a_get(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    @app.get("/")
    def view() -> str:
        with manager.transaction():
            deposit(manager, 1)
            assert ledger.has_open_transaction()
        return "ok"

    assert app.test_client().get("/").status_code == 200
    assert ledger.balance() == 1


def test_in_plain_code_the_outermost_transaction_decides(manager: ConnectionManager, ledger: Ledger) -> None:
    with manager.transaction():
        write(manager, "outer")
        with manager.transaction():
            write(manager, "middle")
            with pytest.raises(InnerError):
                write_and_fail(manager, "innermost")
        assert ledger.notes() == []
    assert ledger.notes() == ["middle", "outer"]


def test_in_plain_code_an_error_of_the_outermost_undoes_all(manager: ConnectionManager, ledger: Ledger) -> None:
    def fail_outside() -> None:
        with manager.transaction():
            with manager.transaction():
                write(manager, "inner")
            raise InnerError

    with pytest.raises(InnerError):
        fail_outside()
    assert ledger.notes() == []
    assert not ledger.has_open_transaction()


def test_plain_calls_of_the_adapter_and_the_manager_join_the_same_transaction(
    manager: ConnectionManager, adapter: DatabaseAdapter, ledger: Ledger
) -> None:
    with adapter.transaction():
        write(adapter, "by the adapter")
        with pytest.raises(InnerError):
            write_and_fail(manager, "by the manager")
    with manager.transaction():
        write(adapter, "adapter again")
        write_sql(manager, "by SQL text")
    assert ledger.notes() == ["adapter again", "by SQL text", "by the adapter"]


def write_sql(database: ConnectionManager, note: str) -> None:
    text = "insert into entries (id, account_id, note) values (%s, %s, %s)"
    assert database.execute_query(text, (note, ACCOUNT, note)) == 1


def test_a_batch_joins_too(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    text = "insert into entries (id, account_id, note) values (?, ?, ?)"

    @app.post("/<int:status>")
    def view(status: int) -> tuple[str, int]:
        manager.execute_batch([(text, (f"{n}", ACCOUNT, f"{n}")) for n in range(2)])
        return "", status

    client = app.test_client()
    client.post("/400")
    assert ledger.notes() == []
    client.post("/200")
    assert ledger.notes() == ["0", "1"]


def test_another_adapter_cannot_be_changed_inside(adapter: DatabaseAdapter, ledger: Ledger) -> None:
    other = ledger.adapter(max_concurrency=5)
    with adapter.transaction():
        write(adapter, "mine")
        assert balance(other) == 0
        with pytest.raises(TransactionError, match="cannot change"):
            other.table("entries").insert({"account_id": ACCOUNT, "note": "other"}).execute()
        with pytest.raises(TransactionError, match="cannot change"), other.transaction():
            pytest.fail("a transaction of another adapter was opened inside")
    other.disconnect()
    assert ledger.notes() == ["mine"]


def test_a_transaction_held_by_hand_is_joined_by_nothing_else(
    adapter: DatabaseAdapter, manager: ConnectionManager, ledger: Ledger
) -> None:
    transaction = manager.begin_transaction()
    text = "insert into entries (id, account_id, note) values (:id, :account, :note)"
    manager._execute_query_in_transaction(transaction, text, {"id": "1", "account": ACCOUNT, "note": "by hand"})
    assert len(manager.table("entries").execute()) == 0
    assert adapter.get_connection_info()["active_transactions"] == 1
    assert manager.rollback_transaction(transaction)
    assert adapter.get_connection_info()["active_transactions"] == 0
    with pytest.raises(TransactionError, match="already ended"):
        manager.commit_transaction(transaction)
    assert ledger.notes() == []
