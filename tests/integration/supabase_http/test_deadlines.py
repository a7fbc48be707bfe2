"""Every request ends at its deadline, however the answer fails to come."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from database.backends.supabase.transport import exchange
from database.backends.supabase.transport import http_client
from database.core.clock import monotonic
from database.core.context import current_context
from database.core.errors import ConnectFailed
from database.core.errors import OutcomeUnknown
from database.core.errors import PoolExhausted
from database.core.errors import TimedOut
from database.core.operations import Call
from database.core.operations import Select
from tests.integration.supabase_http.conftest import Make
from tests.integration.supabase_http.scripted import ScriptedServer
from tests.integration.supabase_http.scripted import trickling
from tests.servers.network.faults import Blackhole
from tests.servers.network.ports import free_port
from tests.servers.network.proxy import FaultProxy

TIMEOUT = 0.4  # seconds
LATEST = 3.0  # seconds; a busy machine may add a lot, and without the deadline it would be more
READ = Select("notes", limit=1)
WRITE = Call("f", {})


@pytest.mark.parametrize("from_the_head", [False, True], ids=["body", "head"])
def test_an_answer_that_trickles_is_cut_off(make: Make, scripted: ScriptedServer, from_the_head: bool) -> None:
    scripted.answer = trickling(5, from_the_head=from_the_head)
    adapter = make(scripted.url, timeout=TIMEOUT)
    for operation, kind in ((READ, TimedOut), (WRITE, OutcomeUnknown)):
        begun = monotonic()
        with pytest.raises(kind):
            adapter.run(operation)
        assert TIMEOUT * 0.9 <= monotonic() - begun < LATEST


def test_an_answer_in_time_is_not_cut_off(make: Make, scripted: ScriptedServer) -> None:
    scripted.answer = trickling(0.2, from_the_head=True)
    assert make(scripted.url, timeout=10).run(READ).rows == []


def test_a_silent_network(make: Make, scripted: ScriptedServer, proxy: Callable[[int], FaultProxy]) -> None:
    between = proxy(scripted.port)
    adapter = make(f"http://127.0.0.1:{between.port}", timeout=TIMEOUT)
    assert adapter.run(READ).rows == []
    with between.suffering(Blackhole()):
        for operation, kind in ((READ, TimedOut), (WRITE, OutcomeUnknown)):
            begun = monotonic()
            with pytest.raises(kind):
                adapter.run(operation)
            assert TIMEOUT * 0.9 <= monotonic() - begun < LATEST
    assert adapter.run(READ).rows == []


def test_a_request_that_is_not_taken(make: Make, scripted: ScriptedServer, proxy: Callable[[int], FaultProxy]) -> None:
    between = proxy(scripted.port)
    # Time enough to prepare so large a request on a busy machine: the deadline shall pass while it is sent.
    seconds = 3
    adapter = make(f"http://127.0.0.1:{between.port}", timeout=seconds)
    with between.suffering(Blackhole()):
        begun = monotonic()
        with pytest.raises(OutcomeUnknown):
            adapter.run(Call("f", {"large": "x" * 20_000_000}))
        assert monotonic() - begun < seconds + LATEST


def test_the_callers_deadline_counts_as_well(make: Make, scripted: ScriptedServer) -> None:
    scripted.answer = trickling(5, from_the_head=False)
    adapter = make(scripted.url, timeout=0)
    begun = monotonic()
    token = current_context.set(current_context.get().until(begun + TIMEOUT))
    try:
        with pytest.raises(TimedOut):
            adapter.run(READ)
    finally:
        current_context.reset(token)
    assert monotonic() - begun < LATEST


def test_nobody_listens(make: Make) -> None:
    adapter = make(f"http://127.0.0.1:{free_port()}")
    for operation in (READ, WRITE):
        with pytest.raises(ConnectFailed):
            adapter.run(operation)


def test_a_host_that_does_not_exist(make: Make) -> None:
    adapter = make("https://nowhere.invalid")
    for operation in (READ, WRITE):
        with pytest.raises(ConnectFailed):
            adapter.run(operation)


def test_no_free_connection(scripted: ScriptedServer) -> None:
    """Waiting for a connection ends at the deadline as well; nothing was sent, also of a write."""
    scripted.answer = trickling(4, from_the_head=False)
    with http_client(scripted.url, max_connections=1) as client, ThreadPoolExecutor(1) as workers:
        holding = workers.submit(client.get, scripted.url)
        while not scripted.asked:
            Event().wait(0.01)
        begun = monotonic()
        with exchange(begun + TIMEOUT, writes=True), pytest.raises(PoolExhausted):
            client.post(scripted.url)
        assert monotonic() - begun < LATEST
        assert holding.result().status_code == 200
    assert len(scripted.asked) == 1
