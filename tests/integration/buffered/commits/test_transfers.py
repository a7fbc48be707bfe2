"""Money that many threads move at once over a bad network is neither lost nor made."""

from __future__ import annotations

from random import random
from threading import Event

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import Conflict
from database.core.operations import Insert
from database.core.operations import Update
from database.core.query.filters import Where
from tests.integration.buffered.remote import Remote
from tests.integration.buffered.remote import at_once
from tests.integration.buffered.remote import ids
from tests.integration.buffered.tables import account
from tests.integration.buffered.traffic import AnsweredAfter
from tests.integration.buffered.traffic import Cut
from tests.integration.buffered.traffic import Lost

THREADS = 8
EACH = 12
TOTAL = THREADS * EACH
FAULTS = 15
SOME = 8
PAUSE = 0.15  # seconds; without any, nearly all transfers lose


def transfer(adapter: DatabaseAdapter) -> None:
    """Move 1 from ``a`` to ``b`` and note it."""
    with adapter.transaction():
        rows = adapter.table("accounts").where(Where("id", "in", ["a", "b"])).execute().rows
        balance = {row["id"]: row["balance"] for row in rows}
        adapter.run(Update("accounts", {"balance": balance["a"] - 1}, id="a"))
        adapter.run(Update("accounts", {"balance": balance["b"] + 1}, id="b"))
        adapter.run(Insert("transfers", [{"source_id": "a", "target_id": "b"}]))


def transfer_in_the_end(adapter: DatabaseAdapter) -> int:
    """Repeat the transfer until it wins; how often it lost."""
    lost = 0
    while True:
        try:
            transfer(adapter)
        except Conflict:
            lost += 1
            Event().wait(random() * min(lost, 8) * PAUSE)
        else:
            return lost


def spoil(remote: Remote) -> None:
    """Plan faults of all kinds, spread over the commits."""
    kinds = (Lost, Cut, lambda: AnsweredAfter(500, "InternalServerError"))
    for number in range(FAULTS):
        remote.traffic.plan(kinds[number % 3](), remote.server.commit, since=1 + number * TOTAL // FAULTS)


def test_contended_transfers_over_a_bad_network(remote: Remote) -> None:
    remote.direct.run(Insert("accounts", [account("a", 1_000), account("b")]))
    spoil(remote)

    def work(number: int) -> int:
        lost = 0
        for turn in range(EACH):
            if number == 0 and turn < SOME:
                remote.server.lose_a_race()
            lost += transfer_in_the_end(remote.adapter)
        return lost

    lost = sum(at_once(THREADS, work))
    assert lost > 0
    assert remote.traffic.pending == 0
    assert len(remote.commits()) >= TOTAL + lost + FAULTS
    accounts = remote.direct.table("accounts").execute().rows
    assert [(row["id"], row["balance"], row["version"]) for row in accounts] == [
        ("a", 1_000 - TOTAL, 1 + TOTAL),
        ("b", TOTAL, 1 + TOTAL),
    ]
    assert len(ids(remote.direct, "transfers")) == TOTAL


@pytest.mark.parametrize("of_one_record", [True, False])
def test_single_writes_over_a_bad_network(remote: Remote, of_one_record: bool) -> None:
    """They are made anew by the adapter when they lose a race."""
    remote.direct.run(Insert("accounts", [account(f"{n}") for n in range(THREADS)]))
    for since in range(1, 20, 3):
        remote.traffic.plan(Lost(), remote.server.commit, since=since)

    def work(number: int) -> None:
        for turn in range(5):
            remote.adapter.run(Update("accounts", {"balance": turn}, id="0" if of_one_record else f"{number}"))

    at_once(THREADS, work)
    assert remote.traffic.pending == 0
    versions = {row["id"]: row["version"] for row in remote.direct.table("accounts").execute()}
    once = {f"{n}": 6 for n in range(THREADS)}
    assert versions == ({f"{n}": 1 for n in range(THREADS)} | {"0": 1 + 5 * THREADS} if of_one_record else once)
