"""Many threads use one adapter."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Update
from database.resilience.repetition import repeated
from tests.contract.tables import thing

THREADS = 8
ROUNDS = 6


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """Call ``work`` in threads that begin together; returns its results."""
    ready = threading.Barrier(THREADS)

    def run(number: int) -> Any:
        ready.wait(timeout=20)
        return work(number)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(run, range(THREADS)))


def test_calls_do_not_meet(adapter: DatabaseAdapter) -> None:
    def work(number: int) -> list[int]:
        name = f"t{number}"
        adapter.run(Insert("things", [thing(name)]))
        for value in range(ROUNDS):
            adapter.run(Update("things", {"rank": value}, id=name))
        return [row["rank"] for row in adapter.table("things").eq("label", name).execute()]

    assert at_once(work) == [[ROUNDS - 1]] * THREADS


def test_each_thread_has_its_own_transaction(calm: DatabaseAdapter) -> None:
    def attempt(number: int, turn: int) -> None:
        with calm.transaction():
            calm.run(Insert("things", [thing(f"{number}-{turn}-a"), thing(f"{number}-{turn}-b")]))
            mine = calm.table("things").like("label", f"{number}-{turn}-%").execute()
            assert len(mine) == 2
            if turn % 2:
                raise _UndoneError

    def work(number: int) -> None:
        for turn in range(ROUNDS):
            try:
                # Each looks at the whole table while others write into it.
                repeated(partial(attempt, number, turn))
            except _UndoneError:
                assert calm.get("things", f"{number}-{turn}-a") is None

    at_once(work)
    rows = calm.table("things").select("id").execute().rows
    expected = {f"{n}-{turn}-{x}" for n in range(THREADS) for turn in range(0, ROUNDS, 2) for x in "ab"}
    assert {row["id"] for row in rows} == expected


def test_a_block_is_seen_as_a_whole_or_not_at_all(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("a"), thing("b")]))

    def work(number: int) -> set[int]:
        if number == 0:
            for turn in range(ROUNDS * 2):
                with calm.transaction():
                    calm.run(Update("things", {"rank": turn}, id="a"))
                    calm.run(Update("things", {"rank": turn}, id="b"))
            return set()
        return {len({row["rank"] for row in calm.table("things").execute()}) for _ in range(ROUNDS * 2)}

    assert set().union(*at_once(work)) == {1}


def test_no_update_is_lost_in_transactions(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("counter")]))

    def count_once() -> None:
        with calm.transaction():
            rank = (calm.get("things", "counter") or {})["rank"]
            calm.run(Update("things", {"rank": rank + 1}, id="counter"))

    at_once(lambda _: _repeat(count_once))
    row = calm.get("things", "counter") or {}
    assert (row["rank"], row["version"]) == (THREADS * ROUNDS, THREADS * ROUNDS + 1)


def test_no_update_is_lost_by_version(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("counter")]))

    def count_once() -> None:
        row = calm.run(Get("things", "counter")).first or {}
        calm.run(Update("things", {"rank": row["rank"] + 1}, id="counter", expected_version=row["version"]))

    at_once(lambda _: _repeat(count_once))
    row = calm.get("things", "counter") or {}
    assert (row["rank"], row["version"]) == (THREADS * ROUNDS, THREADS * ROUNDS + 1)


def test_only_one_thread_gets_a_unique_value(calm: DatabaseAdapter) -> None:
    def work(number: int) -> int:
        try:
            return calm.run(Insert("things", [thing(f"t{number}", code="only")])).count or 0
        except ConstraintViolated:
            return 0

    assert sum(at_once(work)) == 1
    assert len(calm.table("things").execute()) == 1


def _repeat(work: Callable[[], None]) -> None:
    """Call ``work`` once per round; attempts that fail in a conflict do not count."""
    done = 0
    for _ in range(500 * ROUNDS):
        try:
            work()
        except Conflict:
            continue
        done += 1
        if done == ROUNDS:
            return
    pytest.fail("nearly every attempt met a conflict")


class _UndoneError(Exception):
    pass
