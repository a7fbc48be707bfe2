"""An outage of the active database: reads are answered elsewhere and say so, writes never are."""

from __future__ import annotations

from typing import Any

import pytest

from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.core.errors import BackendError
from database.core.errors import Unavailable
from database.core.result import Result
from tests.integration.manager.conftest import FAILBACK_AFTER
from tests.integration.manager.conftest import Pair
from tests.integration.transactions.ledger import SCHEMA
from tests.integration.transactions.ledger import make_app
from tests.integration.transactions.ledger import write


def notes(result: Result) -> list[Any]:
    return [row["note"] for row in result]


def test_while_the_active_one_answers_nobody_else_is_asked(pair: Pair) -> None:
    result = pair.read()
    assert notes(result) == ["in main"]
    assert (result.source, result.stale_for) == (None, None)
    assert pair.manager.active_adapter == "main"
    assert pair.manager.get_connection_info()["degraded"] is False
    assert not pair.manager.adapters["spare"].connected


def test_a_read_is_answered_elsewhere_and_says_so(pair: Pair) -> None:
    pair.read()
    pair.server.stop()
    pair.clock.now += 7
    result = pair.read()
    assert notes(result) == ["in spare"]
    assert (result.source, result.stale_for) == ("spare", 7)
    assert pair.manager.active_adapter == "spare"
    assert pair.manager.get_connection_info()["degraded"] is True


def test_an_answer_without_rows_is_an_answer(pair: Pair) -> None:
    pair.read()
    pair.server.stop()
    for _ in range(2):
        result = pair.manager.table("entries").eq("note", "nowhere").execute()
        assert len(result) == 0
        assert result.source == "spare"


def test_reading_sql_text_is_a_read_as_well(pair: Pair) -> None:
    pair.read()
    pair.server.stop()
    assert pair.manager.execute_query("select note from entries") == [{"note": "in spare"}]


def test_what_the_stand_in_cannot_do_is_no_mistake_of_the_callers(pair: Pair) -> None:
    pair.manager.adapters["spare"] = MemoryAdapter(schema=SCHEMA)
    pair.read()
    pair.server.stop()
    with pytest.raises(Unavailable):
        pair.manager.execute_query("select e.note from entries e join accounts a on a.id = e.account_id")
    with pytest.raises(Unavailable):
        pair.manager.execute_query("select note from entries where note = (select max(note) from entries)")


def test_a_write_is_never_made_elsewhere(pair: Pair) -> None:
    pair.read()
    pair.server.stop()
    for _ in range(2):
        with pytest.raises(BackendError):
            pair.manager.table("entries").insert({"account_id": "acme", "note": "lost"}).execute()
        with pytest.raises(BackendError):
            pair.manager.execute_query("update accounts set balance = 99")
        with pytest.raises(Unavailable):
            pair.manager.begin_transaction()
    assert pair.spare.notes() == ["in spare"]
    assert pair.spare.balance() == 1
    pair.server.start()
    assert pair.main.notes() == ["in main"]


def test_inside_a_transaction_a_read_is_never_answered_elsewhere(pair: Pair) -> None:
    def work() -> None:
        with pair.manager.transaction():
            write(pair.manager, "inside")
            pair.server.stop()
            pair.read()

    with pytest.raises(BackendError):
        work()
    assert pair.manager.adapters["main"].get_connection_info()["active_transactions"] == 0


def test_a_request_that_only_reads_is_answered_and_one_that_writes_is_not(pair: Pair) -> None:
    app = make_app(pair.manager)
    app.register_error_handler(BackendError, lambda _: ("unavailable", 503))

    @app.route("/", methods=["GET", "POST"])
    def view() -> str:
        return ",".join(notes(pair.read()))

    client = app.test_client()
    assert client.get("/").text == "in main"
    pair.server.stop()
    assert client.get("/").text == "in spare"
    assert client.post("/").status_code == 503


def test_a_request_that_reads_elsewhere_stays_there_and_writes_nothing(pair: Pair) -> None:
    app = make_app(pair.manager)
    app.register_error_handler(BackendError, lambda _: ("unavailable", 503))
    sources: list[str | None] = []

    @app.get("/")
    def view() -> str:
        sources.extend(pair.read().source for _ in range(2))
        return "ok"

    @app.get("/writing")
    def writing() -> str:
        pair.read()
        write(pair.manager, "lost")
        return "ok"

    client = app.test_client()
    with as_application():
        pair.read()
    pair.server.stop()
    assert client.get("/").text == "ok"
    assert sources == ["spare", "spare"]
    assert client.get("/writing").status_code == 503
    assert pair.spare.notes() == ["in spare"]
    assert not pair.spare.has_open_transaction()


def test_reads_return_only_when_the_active_one_has_been_well_for_a_while(pair: Pair) -> None:
    pair.read()
    pair.server.stop()
    assert pair.read().source == "spare"
    pair.server.start()
    pair.wait_until_well()
    assert pair.read().source == "spare"
    pair.clock.now += FAILBACK_AFTER - 0.1
    assert pair.read().source == "spare"
    pair.clock.now += 0.2
    result = pair.read()
    assert (notes(result), result.source) == (["in main"], None)
    assert pair.manager.get_connection_info()["degraded"] is False


def test_another_outage_begins_the_while_anew(pair: Pair) -> None:
    pair.read()
    for _ in range(2):
        pair.server.stop()
        with pytest.raises(BackendError):
            pair.manager.begin_transaction()
        pair.server.start()
        pair.wait_until_well()
        pair.clock.now += FAILBACK_AFTER / 2 + 1
        assert pair.read().source == "spare"


def test_a_database_is_found_well_again_also_after_disconnecting(pair: Pair) -> None:
    pair.read()
    pair.manager.disconnect()
    pair.read()
    pair.server.stop()
    assert pair.read().source == "spare"
    pair.server.start()
    pair.wait_until_well()


def test_writes_return_at_once(pair: Pair) -> None:
    pair.read()
    pair.server.stop()
    pair.read()
    pair.server.start()
    pair.wait_until_well()
    write(pair.manager, "again")
    assert pair.main.notes() == ["again", "in main"]


def test_with_both_away_the_error_is_that_of_the_active_one(pair: Pair) -> None:
    adapters = {"main": pair.main.adapter(retry_count=0), "other": pair.main.adapter(retry_count=0)}
    adapters["other"].name = "other"
    manager = ConnectionManager(pair.manager.settings, adapters)
    assert manager.get("accounts", "acme") is not None
    pair.server.stop()
    with pytest.raises(Unavailable) as error:
        manager.get("accounts", "acme")
    assert error.value.backend == "postgresql"
    manager.disconnect()
