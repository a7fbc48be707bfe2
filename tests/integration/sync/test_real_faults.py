"""Supabase and Convex are kept equal by processes that are killed, and over connections that break."""

from __future__ import annotations

import signal
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from multiprocessing.process import BaseProcess

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.operations import Delete
from database.core.operations import Update
from database.sync import SyncManager
from tests.integration.sync.real import COMMITS
from tests.integration.sync.real import Real
from tests.integration.sync.real import Users
from tests.integration.sync.real import real_databases
from tests.integration.sync.support import assert_in_sync
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert
from tests.integration.sync.support import journal
from tests.integration.sync.syncing import process_of_sync
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.network.faults import Fault
from tests.servers.network.faults import Refuse
from tests.servers.network.link import Link
from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresServer

PATIENCE = 60.0  # seconds; only a broken sync needs them

# A new session begins with a commit on Supabase, one on Convex, and one on Supabase; and so does every checkpoint.
KILLS = (("supabase", 2, "asked"), ("convex", 1, "done"), ("supabase", 1, "done"), ("convex", 2, "asked"))
KILLS_LATER = (("supabase", 3, "done"), ("convex", 3, "done"), ("supabase", 5, "asked"))


class AtCommit(Fault):
    """The commit of a transaction is lost, or its reply.

    :param side: of whose transactions.
    :param number: which commit it is, from 1.
    :param when: ``asked``, before the server hears of it; ``done``, when the server has answered.
    :param happens: what else happens then.
    :param before: what happens at every commit before that.
    :ivar struck: whether it has happened.
    """

    tells = False  # its tests look at whether it struck

    def __init__(
        self,
        side: str,
        number: int,
        when: str,
        happens: Callable[[], object] = lambda: None,
        before: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__()
        self._begin, self._commit = COMMITS[side]
        self._left = number
        self._when = when
        self._happens = happens
        self._before = before
        self._open: set[Link] = set()
        self._doomed: Link | None = None
        self.struck = False

    async def request(self, link: Link, data: bytes) -> None:
        if self._begin in data:
            self._open.add(link)
        if self._commit in data and link in self._open:
            self._open.remove(link)
            self._count(link)
        if link is self._doomed and self._when == "asked":
            self._strike(link)
        else:
            await link.to_server(data)

    async def reply(self, link: Link, data: bytes) -> None:
        if link is self._doomed:
            self._strike(link)
        else:
            await link.to_client(data)

    def _count(self, link: Link) -> None:
        self._left -= 1
        if self._left == 0:
            self._doomed = link
        elif self._left > 0:
            self._before()

    def _strike(self, link: Link) -> None:
        if not self.struck:
            self._happens()
        self.struck = True
        link.reset()


@pytest.fixture
def real(
    postgres_server: PostgresServer, convex_deployment: ConvexDeployment, proxy: Callable[[int], FaultProxy]
) -> Iterator[Real]:
    with real_databases(postgres_server, convex_deployment, proxy) as databases:
        yield databases


class Working:
    """Users who work at every commit of a sync, in a thread of their own.

    :ivar users: those who do.
    """

    def __init__(self, real: Real) -> None:
        self.users = Users(real.adapters)
        self._real = real
        self._thread = ThreadPoolExecutor(1)
        self._turns: list[Future[None]] = []

    def turn(self) -> None:
        """They will work once more."""
        self._turns.append(self._thread.submit(self.users.work))

    def rest(self) -> None:
        """Wait until they have done their work."""
        while self._turns:
            self._turns.pop().result(PATIENCE)

    def close(self) -> None:
        self._thread.shutdown()


@contextmanager
def working(real: Real) -> Iterator[Working]:
    users = Working(real)
    try:
        yield users
    finally:
        users.close()


def sync_until_killed(real: Real, users: Working, side: str, number: int, when: str) -> None:
    """A process is killed at one of its commits on a side; users work before, and at every commit before that."""
    users.turn()
    users.rest()
    doomed: Future[BaseProcess] = Future()
    fault = AtCommit(side, number, when, lambda: doomed.result(PATIENCE).kill(), users.turn)
    with real.lines[side].suffering(fault), process_of_sync(real.config, until_quiet=False) as process:
        doomed.set_result(process)
        process.join(PATIENCE)
        assert (process.exitcode, fault.struck) == (-signal.SIGKILL, True)
    users.rest()


def sync_until_quiet(real: Real) -> None:
    with process_of_sync(real.config, until_quiet=True) as process:
        process.join(PATIENCE)
        assert process.exitcode == 0


def assert_quiet_and_equal(real: Real) -> None:
    """Both sides hold the same, and another process finds nothing to write."""
    supabase, convex = real.adapters.values()
    assert contents(supabase) == contents(convex)
    before = real.everything()
    assert SyncManager(supabase, convex).sync_all()
    assert real.everything() == before


def test_processes_that_are_killed_while_they_write_lose_nothing(real: Real) -> None:
    with working(real) as users:
        for kill in KILLS:
            sync_until_killed(real, users, *kill)
        sync_until_quiet(real)
        assert_quiet_and_equal(real)
        users.users.assert_nothing_is_lost()
        for kill in KILLS_LATER:
            sync_until_killed(real, users, *kill)
        sync_until_quiet(real)
        assert_quiet_and_equal(real)
        users.users.assert_nothing_is_lost()


class Rounds:
    """Rounds of the same edits on both sides: insertions, changes, deletions, and a conflict that each side wins."""

    def __init__(self, real: Real) -> None:
        self._supabase, self._convex = real.adapters.values()
        self.number = 0
        for record in ("here", "there", "later here", "later there"):
            insert(self._supabase, record)
        insert(self._supabase, "supabase 0")
        insert(self._convex, "convex 0")

    def edit(self) -> None:
        self.number += 1
        supabase, convex, number = self._supabase, self._convex, self.number
        insert(supabase, f"supabase {number}")
        insert(convex, f"convex {number}")
        supabase.run(Delete("molecules", id=f"convex {number - 1}"))
        _rename(supabase, "here", f"supabase {number}")
        _rename(convex, "there", f"convex {number}")
        for first, second, record in ((convex, supabase, "later here"), (supabase, convex, "later there")):
            _rename(first, record, f"lost {number}")
            _rename(second, record, "on the way")
            _rename(second, record, f"won {number}")

    def delete(self) -> None:
        """Delete what has been copied in the round before; to be done while a cycle is half done."""
        self._convex.run(Delete("molecules", id=f"supabase {self.number - 1}"))

    def assert_kept(self) -> None:
        """Every edit of every round is there once, and every lost one in the journal once."""
        number = self.number
        new = {name: name for name in (f"supabase {number}", f"convex {number}")}
        changed = {"here": f"supabase {number}", "there": f"convex {number}"}
        for side in (self._supabase, self._convex):
            names = {row["id"]: row["name"] for row in contents(side)["molecules"]}
            assert names == {**new, **changed, "later here": f"won {number}", "later there": f"won {number}"}
        entries = journal(self._supabase, self._convex)
        told = sorted(
            (entry["record_id"], entry["first_row"]["name"], entry["second_row"]["name"]) for entry in entries
        )
        lost, won = ([f"{word} {n}" for n in range(1, number + 1)] for word in ("lost", "won"))
        assert told == sorted(
            [("later here", *names) for names in zip(won, lost, strict=True)]
            + [("later there", *names) for names in zip(lost, won, strict=True)]
        )


def _rename(adapter: DatabaseAdapter, record: str, name: str) -> None:
    adapter.run(Update("molecules", {"name": name}, id=record))


@pytest.mark.parametrize(
    ("side", "when"), [("supabase", "asked"), ("supabase", "done"), ("convex", "asked"), ("convex", "done")]
)
def test_whichever_commit_is_lost_the_next_cycle_makes_up_for_it(real: Real, side: str, when: str) -> None:
    with real.connected(retry_count=0, circuit_breaker_threshold=0) as sides:
        manager = SyncManager(*sides)
        rounds = Rounds(real)
        assert manager.sync_all()
        for number in count(1):
            rounds.edit()
            with real.lines[side].suffering(fault := AtCommit(side, number, when)):
                assert manager.sync_all() is not fault.struck, number
            error = manager.get_sync_status()["last_error"]
            assert error.startswith("OutcomeUnknown: ") if fault.struck else error is None
            rounds.delete()
            assert_in_sync(manager, *sides)
            rounds.assert_kept()
            if not fault.struck:
                break
        assert number > 2
    assert_quiet_and_equal(real)


def test_an_answer_of_convex_that_is_lost_is_asked_for_again(real: Real, convex_deployment: ConvexDeployment) -> None:
    with real.connected(retry_count=1) as sides:
        manager = SyncManager(*sides)
        rounds = Rounds(real)
        assert manager.sync_all()
        rounds.edit()
        convex_deployment.faults.add("drop", when="after", path="isthmus:commit")
        assert manager.sync_all()
        assert manager.get_sync_status()["last_error"] is None
        rounds.delete()
        assert_in_sync(manager, *sides)
        rounds.assert_kept()
        rounds.edit()
        convex_deployment.faults.add("drop", when="after", path="isthmus:commit", count=2)
        assert not manager.sync_all()
        assert manager.get_sync_status()["last_error"].startswith("OutcomeUnknown: ")
        rounds.delete()
        assert_in_sync(manager, *sides)
        rounds.assert_kept()
    assert_quiet_and_equal(real)


@pytest.mark.parametrize("side", COMMITS)
def test_a_side_that_begins_to_refuse_connections_during_a_cycle_is_made_up_for(real: Real, side: str) -> None:
    with real.connected(retry_count=0, circuit_breaker_threshold=0) as sides:
        manager = SyncManager(*sides)
        rounds = Rounds(real)
        assert manager.sync_all()
        rounds.edit()
        line, conflicts = real.lines[side], list[str]()

        def refuse(table: str, record_id: str, *_: object) -> None:
            if not conflicts:
                line.set(Refuse())
            conflicts.append(record_id)

        manager.set_callbacks(on_conflict=refuse)
        assert not manager.sync_all()
        assert not manager.sync_all()
        assert manager.get_sync_status()["last_error"].startswith("ConnectFailed: ")
        line.heal()
        rounds.delete()
        assert_in_sync(manager, *sides)
        assert sorted(conflicts) == ["later here", "later there"]
        rounds.assert_kept()
    assert_quiet_and_equal(real)
