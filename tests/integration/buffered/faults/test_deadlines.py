"""Servers that hang, trickle, are gone, and come back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import BackendError
from database.core.errors import ConnectFailed
from database.core.errors import OutcomeUnknown
from database.core.errors import TimedOut
from database.core.operations import Insert
from database.core.operations import Select
from tests.integration.buffered.remote import Lasting
from tests.integration.buffered.remote import Remote
from tests.integration.buffered.remote import at_once
from tests.integration.buffered.remote import ids
from tests.integration.buffered.remote import only_convex
from tests.integration.buffered.tables import account
from tests.integration.buffered.traffic import Hang
from tests.integration.buffered.traffic import Lost
from tests.integration.buffered.traffic import Trickle
from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import Fault
from tests.servers.network.faults import Refuse

LIMIT = 0.5  # seconds
LATEST = 2.5
"""Seconds: a busy machine may add a lot, but six calls that wait for each other take longer."""
IN_TIME = Lasting(LIMIT * 0.9, LATEST)
WRITE = Insert("accounts", [account("a")])

silences = pytest.mark.parametrize("silence", [Hang, lambda: Trickle(0.1)], ids=["hang", "trickle"])
Silence = Callable[[], Fault]


@pytest.fixture
def hasty(remote: Remote) -> DatabaseAdapter:
    """An adapter with little time, which has a connection open."""
    adapter = remote.another(timeout=LIMIT)
    adapter.run(Select("accounts"))
    return adapter


@silences
def test_reads_end_in_time(remote: Remote, hasty: DatabaseAdapter, silence: Silence) -> None:
    remote.traffic.plan(silence(), times=inf)
    for read in (Select("accounts"), remote.server.read):
        with IN_TIME, pytest.raises(TimedOut):
            hasty.run(read)


@silences
def test_writes_end_in_time(remote: Remote, hasty: DatabaseAdapter, silence: Silence) -> None:
    remote.traffic.plan(silence(), remote.server.commit, times=inf)
    remote.traffic.plan(silence(), remote.server.adder, times=inf)
    for write in (WRITE, remote.server.add):
        with IN_TIME, pytest.raises(OutcomeUnknown):
            hasty.run(write)
    # What has arrived was carried out, and the rest was not.
    trickled = silence is not Hang
    assert ids(remote.direct, "accounts") == ["a"] * trickled
    assert len(ids(remote.direct, "memos")) == trickled


def test_an_answer_that_trickles_and_stops(remote: Remote, hasty: DatabaseAdapter) -> None:
    """What is left of the time counts, not all of it from the last byte on."""
    remote.traffic.plan(Trickle(LIMIT * 0.8), times=inf)
    with IN_TIME, pytest.raises(TimedOut):
        hasty.run(Select("accounts"))


def test_a_transaction_ends_in_time(remote: Remote, hasty: DatabaseAdapter) -> None:
    remote.traffic.plan(Hang(), remote.server.commit, times=inf)
    with IN_TIME, pytest.raises(OutcomeUnknown), hasty.transaction():
        hasty.run(WRITE)
    assert ids(remote.direct, "accounts") == []


def test_retries_end_in_time(remote: Remote) -> None:
    adapter = remote.another(timeout=LIMIT, retry_count=1_000)
    remote.traffic.plan(Lost(), remote.server.commit, times=inf)
    with Lasting(0, LATEST), pytest.raises(OutcomeUnknown):
        adapter.run(WRITE)
    assert ids(remote.direct, "accounts") == ["a"]


def test_a_silent_network(remote: Remote, hasty: DatabaseAdapter) -> None:
    with remote.between.suffering(Blackhole()):
        with IN_TIME, pytest.raises(TimedOut):
            hasty.run(Select("accounts"))
        with IN_TIME, pytest.raises(OutcomeUnknown):
            hasty.run(remote.server.add)
        # What is held would pass at the end of the silence, and might come into the tables of the next test.
        remote.between.kill_connections()
    assert remote.another().run(Select("accounts")).rows == []


@only_convex
def test_threads_that_ask_for_the_functions_do_not_wait_for_each_other(remote: Remote) -> None:
    adapter = remote.another(functions={}, timeout=LIMIT, retry_count=0)
    remote.traffic.plan(Hang(), times=inf)

    def work(_: int) -> None:
        with Lasting(LIMIT * 0.9, LATEST), pytest.raises(TimedOut):
            adapter.run(remote.server.read)

    at_once(6, work)


def test_a_connection_that_is_refused(remote: Remote) -> None:
    with remote.between.suffering(Refuse()):
        adapter = remote.another(retry_count=1)
        for operation in (Select("accounts"), WRITE, remote.server.add, remote.server.read):
            with pytest.raises(ConnectFailed):
                adapter.run(operation)
    assert ids(remote.direct, "accounts") == []
    assert ids(remote.direct, "memos") == []
    assert adapter.run(remote.server.add).value == "nobody"


def test_connections_that_died_while_they_were_idle(remote: Remote) -> None:
    adapter = remote.another(retry_count=0)
    for number in range(3):
        adapter.run(Insert("accounts", [account(f"{number}")]))
        remote.between.kill_connections()
        adapter.run(Select("accounts"))
        remote.between.kill_connections()
    assert len(ids(remote.direct, "accounts")) == 3


def test_a_server_that_was_killed_and_is_back(remote: Remote) -> None:
    """The pool is full of connections that are gone; nobody has to try twice because of them."""
    adapter = remote.direct

    def use(number: int) -> Any:
        return adapter.run(Insert("accounts", [account(f"{number}")]))

    at_once(4, use)
    kept = remote.server.restart()
    assert len(ids(adapter, "accounts")) == (4 if kept else 0)
    at_once(4, lambda number: use(10 + number))
    assert len(ids(adapter, "accounts")) == (8 if kept else 4)


def test_a_server_that_is_killed_under_load(remote: Remote) -> None:
    """What was acknowledged is there, once; what failed is there once or not at all."""
    adapter = remote.another(retry_count=0)
    outcomes: dict[str, BackendError | None] = {}

    def work(number: int) -> None:
        for turn in range(30):
            name = f"{number}-{turn}"
            outcomes[name] = outcome(adapter, name)

    with ThreadPoolExecutor(4) as workers:
        # The server ends with the thread that has started it.
        working = [workers.submit(work, number) for number in range(4)]
        kept = remote.server.restart()
        for done in working:
            done.result()
    stored = set(ids(remote.direct, "accounts"))
    acknowledged = {name for name, error in outcomes.items() if error is None}
    in_doubt = {name for name, error in outcomes.items() if isinstance(error, OutcomeUnknown)}
    assert len(outcomes) > len(acknowledged)
    assert stored <= acknowledged | in_doubt
    assert not kept or acknowledged <= stored
    assert adapter.run(remote.server.add).value == "nobody"


def outcome(adapter: DatabaseAdapter, name: str) -> BackendError | None:
    """The error with which an insert fails, if it does."""
    try:
        adapter.run(Insert("accounts", [account(name)]))
    except BackendError as error:
        return error
    return None
