"""Tables, SQL, functions and transactions all pass the same circuit breaker."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from threading import Event
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.clock import monotonic
from database.core.errors import BackendError
from database.core.errors import CircuitOpen
from database.core.operations import Call
from tests.integration.buffered.remote import TIMEOUT
from tests.integration.buffered.remote import Remote
from tests.integration.buffered.remote import ids
from tests.integration.buffered.traffic import Answered
from tests.integration.buffered.traffic import Cut

Way = Callable[[DatabaseAdapter, Remote], Any]


def by_table(adapter: DatabaseAdapter, _: Remote) -> None:
    adapter.table("memos").execute()


def by_id(adapter: DatabaseAdapter, _: Remote) -> None:
    adapter.get("memos", "m")


def by_table_insert(adapter: DatabaseAdapter, _: Remote) -> None:
    adapter.table("memos").insert({"owner": "nobody"}).execute()


def by_sql(adapter: DatabaseAdapter, _: Remote) -> None:
    adapter.execute_query("SELECT * FROM memos")


def by_sql_insert(adapter: DatabaseAdapter, _: Remote) -> None:
    adapter.execute_query("INSERT INTO memos (owner) VALUES ('nobody')")


def by_batch(adapter: DatabaseAdapter, _: Remote) -> None:
    adapter.execute_batch(["INSERT INTO memos (owner) VALUES ('nobody')"] * 2)


def by_reading_function(adapter: DatabaseAdapter, remote: Remote) -> None:
    adapter.run(remote.server.read)


def by_writing_function(adapter: DatabaseAdapter, remote: Remote) -> None:
    adapter.run(remote.server.add)


def by_transaction(adapter: DatabaseAdapter, _: Remote) -> None:
    with adapter.transaction():
        adapter.table("memos").insert({"owner": "nobody"}).execute()


def by_reading_transaction(adapter: DatabaseAdapter, _: Remote) -> None:
    with adapter.transaction():
        adapter.table("memos").execute()


def by_ping(adapter: DatabaseAdapter, _: Remote) -> None:
    well, message = adapter.test_connection()
    if not well:
        raise CircuitOpen(message) if "circuit" in message else BackendError(message)


WAYS = (
    by_table,
    by_id,
    by_table_insert,
    by_sql,
    by_sql_insert,
    by_batch,
    by_reading_function,
    by_writing_function,
    by_transaction,
    by_reading_transaction,
    by_ping,
)


def fail(adapter: DatabaseAdapter, remote: Remote, way: Way) -> int:
    """How many requests a failing call takes."""
    before = remote.traffic.count()
    with pytest.raises(BackendError):
        way(adapter, remote)
    return remote.traffic.count() - before


def requests_of(adapter: DatabaseAdapter, remote: Remote, way: Way) -> int:
    """How many requests a call takes that succeeds."""
    before = remote.traffic.count()
    way(adapter, remote)
    return remote.traffic.count() - before


def closes(adapter: DatabaseAdapter) -> bool:
    """Whether the circuit closes by itself."""
    until = monotonic() + TIMEOUT
    while not adapter.connected and monotonic() < until:
        Event().wait(0.01)
    return adapter.connected


@pytest.mark.parametrize("opener", [by_table, by_sql_insert, by_writing_function, by_transaction])
def test_with_the_circuit_open_nothing_is_sent(remote: Remote, opener: Way) -> None:
    """Whatever has opened it."""
    adapter = remote.another(retry_count=0, circuit_breaker_threshold=3, circuit_breaker_timeout=600)
    remote.traffic.plan(Cut(), times=inf)
    assert [fail(adapter, remote, opener) for _ in range(3)] == [1, 1, 1]
    assert adapter.pipeline.circuit_breaker.state == "open"
    remote.traffic.calm()
    sent = remote.traffic.count()
    for way in WAYS:
        with pytest.raises(CircuitOpen):
            way(adapter, remote)
    assert remote.traffic.count() == sent
    assert ids(remote.direct, "memos") == []


def test_retries_that_meet_the_open_circuit_send_nothing_more(remote: Remote) -> None:
    adapter = remote.another(retry_count=5, circuit_breaker_threshold=2, circuit_breaker_timeout=600)
    remote.traffic.plan(Cut(), times=inf)
    assert fail(adapter, remote, by_table) == 2
    assert adapter.pipeline.circuit_breaker.state == "open"


def test_without_retries_everything_is_tried_once(remote: Remote) -> None:
    adapter = remote.another(retry_count=0)
    for fault in (Cut(), Answered(503), Answered(429)):
        remote.traffic.plan(fault, times=inf)
        assert {way.__name__: fail(adapter, remote, way) for way in WAYS} == {way.__name__: 1 for way in WAYS}
        remote.traffic.calm()


def test_with_retries_reads_and_commits_are_tried_again_by_every_way(remote: Remote) -> None:
    repeatable = [way for way in WAYS if way not in {by_writing_function, by_ping}]
    for way in repeatable:
        # An adapter of its own, because an adapter's retries are limited by its successes.
        adapter = remote.another(retry_count=1)
        remote.traffic.plan(Cut(), times=inf)
        assert fail(adapter, remote, way) == 2, way.__name__
        remote.traffic.calm()
        assert requests_of(adapter, remote, way) == 1


def test_the_circuit_closes_when_the_server_is_back(remote: Remote) -> None:
    """The adapter asks by itself, without any calls."""
    adapter = remote.another(retry_count=0, circuit_breaker_threshold=2, circuit_breaker_timeout=0.2)
    remote.traffic.plan(Cut(), times=inf)
    for _ in range(2):
        fail(adapter, remote, by_transaction)
    assert not adapter.connected
    remote.traffic.calm()
    assert closes(adapter)
    for way in WAYS:
        way(adapter, remote)
    assert adapter.pipeline.snapshot()["openings"] == 1


def test_what_is_refused_is_a_sign_of_life(remote: Remote) -> None:
    adapter = remote.another(retry_count=0, circuit_breaker_threshold=1)
    for _ in range(3):
        with pytest.raises(KeyError):
            adapter.run(Call(f"{remote.server.adder}_more", {}))
        adapter.get("memos", "m")
    assert adapter.pipeline.circuit_breaker.state == "closed"
