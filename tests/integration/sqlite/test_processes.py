"""Several processes on one file, some of which die."""

from __future__ import annotations

import signal
import subprocess
import threading

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import NO_CONTEXT
from database.core.errors import TimedOut
from database.core.operations import Insert
from database.core.operations import Ping
from database.core.operations import Update
from tests.contract.tables import thing
from tests.integration.forks import answer_of_child
from tests.integration.sqlite.conftest import Make
from tests.integration.sqlite.conftest import Start

ROUNDS = 40
FORKS = 20


def test_two_processes_lose_no_update(make: Make, start: Start) -> None:
    adapter = make()
    adapter.run(Insert("things", [thing("counter")]))
    others = [start("count_up", str(ROUNDS)) for _ in range(2)]
    for other in others:
        assert _line(other) == "ready"
    for other in others:
        _tell(other)
    for _ in range(ROUNDS):
        with adapter.transaction():
            rank = (adapter.get("things", "counter") or {})["rank"]
            adapter.run(Update("things", {"rank": rank + 1}, id="counter"))
    assert [_line(other) for other in others] == ["done", "done"]
    assert (adapter.get("things", "counter") or {})["rank"] == 3 * ROUNDS


def test_a_file_that_stays_locked_is_waited_for_until_the_deadline(make: Make, start: Start) -> None:
    adapter = make(timeout=1.0)
    writer = start("hold")
    assert _line(writer) == "holding"
    for refused in (lambda: adapter.run(Insert("things", [thing("a")])), adapter.begin_transaction):
        with pytest.raises(TimedOut, match="locked"):
            refused()
    assert adapter.get("things", "held") is None
    _tell(writer)
    assert _line(writer) == "committed"
    adapter.run(Insert("things", [thing("a")]))
    assert [row["id"] for row in adapter.table("things").execute()] == ["a", "held"]


def test_a_lock_that_is_released_in_time_is_got(make: Make, start: Start) -> None:
    adapter = make()
    writer = start("hold")
    assert _line(writer) == "holding"
    _tell(writer)
    adapter.run(Insert("things", [thing("a")]))
    assert adapter.get("things", "held") is not None


def test_what_a_killed_writer_committed_is_kept_and_nothing_else(make: Make, start: Start) -> None:
    writer = start("write_on")
    acknowledged = [_line(writer) for _ in range(50)]
    writer.send_signal(signal.SIGKILL)
    writer.wait(timeout=20)
    assert writer.stdout is not None
    acknowledged += writer.stdout.read().split()
    adapter = make()
    kept = [row["id"] for row in adapter.table("things").execute()]
    # One more may be committed that the writer had no time to tell.
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) - len(acknowledged) <= 1
    assert {row["thing_id"] for row in adapter.table("parts").execute()} == {
        name for name in kept if int(name) % 3 == 0
    }
    assert adapter.execute_query("pragma integrity_check") == [{"integrity_check": "ok"}]


def test_a_killed_writer_leaves_no_lock(make: Make, start: Start) -> None:
    writer = start("hold")
    assert _line(writer) == "holding"
    writer.kill()
    writer.wait(timeout=20)
    adapter = make()
    with adapter.transaction():
        adapter.run(Insert("things", [thing("a")]))
    assert [row["id"] for row in adapter.table("things").execute()] == ["a"]


def test_a_forked_child_works_beside_its_parent(make: Make) -> None:
    adapter = make()
    adapter.run(Insert("things", [thing("before")]))
    assert answer_of_child(lambda: _insert_and_list(adapter)) == "before,child"
    with adapter.transaction():
        adapter.run(Insert("things", [thing("parent")]))
    assert [row["id"] for row in adapter.table("things").execute()] == ["before", "child", "parent"]


def test_a_child_forked_during_a_transaction_is_no_part_of_it(make: Make) -> None:
    adapter = make(timeout=2)
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("parent")]), NO_CONTEXT)
    assert answer_of_child(lambda: str(adapter.table("things").execute().rows)) == "[]"
    transaction.commit()
    assert adapter.get("things", "parent") is not None


def test_children_forked_while_other_threads_open_files_can_open_theirs(make: Make) -> None:
    adapter = make(timeout=5)
    ended = threading.Event()

    def open_and_close() -> None:
        while not ended.is_set():
            adapter.run(Ping())

    threads = [threading.Thread(target=open_and_close) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        answers = [answer_of_child(lambda: str(adapter.run(Ping()).rows), patience=10) for _ in range(FORKS)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert answers == ["[]"] * FORKS


def _insert_and_list(adapter: DatabaseAdapter) -> str:
    with adapter.transaction():
        adapter.run(Insert("things", [thing("child")]))
    return ",".join(row["id"] for row in adapter.table("things").execute())


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
