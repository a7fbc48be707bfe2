"""Connections that break around the commit: the response to the client, and the rows in the database.

A commit that is one request has a key, by which the server knows it when it is sent again: a lost reply is made up
for. The end of a session cannot be repeated: that reply is reported as lost.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask

from database.connection_manager import ConnectionManager
from database.unit_of_work import after_commit
from database.unit_of_work import commit_anyway
from tests.integration.transactions.http_ledgers import ConvexLedger
from tests.integration.transactions.ledger import TIMEOUT
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import make_app
from tests.integration.transactions.ledger import managing
from tests.integration.transactions.ledger import write
from tests.servers.network.faults import LoseReply
from tests.servers.network.link import Link
from tests.servers.network.proxy import FaultProxy

on_every_server = pytest.mark.parametrize("ledger", ["postgresql", "convex", "supabase_http"], indirect=True)
# Where a session is open the write itself is refused, and no commit is sent.
on_buffered = pytest.mark.parametrize("ledger", ["convex", "supabase_http"], indirect=True)
on_convex = pytest.mark.parametrize("ledger", ["convex"], indirect=True)


class LoseFirstReply(LoseReply):
    """As :class:`LoseReply`, but a retry gets its response."""

    async def request(self, link: Link, data: bytes) -> None:
        if self._doomed:
            await link.to_server(data)
        else:
            await super().request(link, data)


@dataclass(frozen=True, slots=True)
class Line:
    """A proxy before the ledger's server, and an app that goes through it.

    :ivar commit: bytes that tell the request of a commit.
    :ivar calls: what of the app has run.
    """

    proxy: FaultProxy
    commit: bytes
    manager: ConnectionManager
    app: Flask
    calls: list[str]

    def post(self) -> tuple[int, str]:
        """A request that writes an entry; its status and text."""
        answer = self.app.test_client().post("/")
        return answer.status_code, answer.text


@pytest.fixture
def line(ledger: Ledger, proxy: Callable[[int], FaultProxy]) -> Iterator[Line]:
    assert ledger.wire is not None
    link = proxy(ledger.wire.port)
    adapter = ledger.adapter(retry_count=2, **ledger.wire.redirected(link.port))
    manager = managing(adapter)
    line = Line(link, ledger.wire.commit, manager, make_app(manager, REQUEST_TIMEOUT=TIMEOUT), [])

    @line.app.post("/")
    def view() -> str:
        line.calls.append("view")
        write(manager, "x")
        after_commit(lambda: line.calls.append("after"))
        return "ok"

    yield line
    adapter.disconnect()


@on_every_server
def test_a_lost_reply_to_a_commit_is_made_up_for_where_commits_have_keys(line: Line, ledger: Ledger) -> None:
    with line.proxy.suffering(LoseFirstReply(line.commit)):
        answer = line.post()
    assert answer == ((200, "ok") if ledger.buffered else (503, "unknown"))
    assert line.calls == (["view", "after"] if ledger.buffered else ["view"])
    assert ledger.notes() == ["x"]
    assert ledger.balance() == 1


@on_every_server
def test_a_commit_whose_replies_are_all_lost_is_reported_and_made_once(line: Line, ledger: Ledger) -> None:
    with line.proxy.suffering(LoseReply(line.commit)):
        assert line.post() == (503, "unknown")
    assert line.calls == ["view"]
    assert ledger.notes() == ["x"]
    assert ledger.balance() == 1
    assert not ledger.has_open_transaction()
    assert line.post() == (200, "ok")
    assert ledger.balance() == 2


@on_every_server
def test_a_lost_reply_to_a_commit_that_was_wanted_anyway_has_the_same_answer(line: Line, ledger: Ledger) -> None:
    @line.app.post("/anyway")
    def anyway() -> str:
        write(line.manager, "x")
        commit_anyway()
        raise ZeroDivisionError

    line.app.register_error_handler(ZeroDivisionError, lambda _: ("handled", 401))
    with line.proxy.suffering(LoseReply(line.commit)):
        answer = line.app.test_client().post("/anyway")
    assert (answer.status_code, answer.text) == (503, "unknown")
    assert ledger.notes() == ["x"]


@on_buffered
def test_a_refusal_whose_reply_was_lost_is_a_refusal(line: Line, ledger: Ledger) -> None:
    @line.app.post("/stale")
    def stale() -> str:
        balance(line.manager)
        ledger.write("rival")
        write(line.manager, "mine")
        return "ok"

    with line.proxy.suffering(LoseFirstReply(line.commit)):
        answer = line.app.test_client().post("/stale")
    assert (answer.status_code, answer.text) == (409, "conflict")
    assert ledger.notes() == ["rival"]
    assert ledger.balance() == 1


@on_every_server
def test_a_connection_lost_before_the_commit_matters_only_if_it_was_the_transaction(line: Line, ledger: Ledger) -> None:
    @line.app.post("/cut")
    def cut() -> str:
        write(line.manager, "x")
        line.proxy.kill_connections()
        write(line.manager, "y")
        return "ok"

    assert line.app.test_client().post("/cut").status_code == (200 if ledger.buffered else 500)
    assert ledger.notes() == (["x", "y"] if ledger.buffered else [])
    assert not ledger.has_open_transaction()


@on_convex
def test_a_commit_that_convex_did_not_carry_out_is_sent_again(line: Line, ledger: ConvexLedger) -> None:
    ledger.deployment.faults.add("conflict", path="isthmus:commit")
    assert line.post() == (200, "ok")
    assert line.calls == ["view", "after"]
    assert ledger.deployment.requests().functions["isthmus:commit"] == 3  # with the one that made the account
    assert ledger.notes() == ["x"]
    assert ledger.balance() == 1


@on_convex
def test_a_commit_that_convex_never_carries_out_is_an_error(line: Line, ledger: ConvexLedger) -> None:
    ledger.deployment.faults.add("conflict", path="isthmus:commit", count=None)
    status, _ = line.post()
    ledger.deployment.faults.clear()
    assert status == 500
    assert line.calls == ["view"]
    assert ledger.notes() == []
