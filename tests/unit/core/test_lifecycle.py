"""Threads that repeat a step, and what is made anew in a forked child."""

from __future__ import annotations

import logging
import re
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

import pytest

from database.core import lifecycle
from database.core.lifecycle import Worker
from database.core.lifecycle import in_background
from database.core.lifecycle import rebuild_after_fork
from tests.integration.forks import answer_of_child

PATIENCE = 30.0
"""Seconds after which a test that hangs fails; nothing is measured by it."""

FOR_EVER = 10_000.0


class Steps:
    """Steps of a worker, which tell that they are done; the first ones do as they are told."""

    def __init__(self, *script: float | Exception | None) -> None:
        self.script = list(script)
        self.done: SimpleQueue[threading.Thread] = SimpleQueue()

    def __call__(self) -> float | None:
        answer = self.script.pop(0) if self.script else None
        self.done.put(threading.current_thread())
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, times: int = 1) -> threading.Thread:
        """The thread of the last one of the next so many steps."""
        return [self.done.get(timeout=PATIENCE) for _ in range(times)][-1]


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    """Those that are put here are stopped at the end."""
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        worker.stop(PATIENCE)


def test_it_repeats_its_step_and_stops_at_once(workers: list[Worker]) -> None:
    steps = Steps(0.0, 0.0, FOR_EVER)
    worker = Worker("repeats", steps, 0.001)
    workers.append(worker)
    assert worker.start()
    thread = steps.wait(3)
    assert (worker.running, thread.name, thread.daemon) == (True, "repeats", True)
    worker.stop()
    assert (worker.running, thread.is_alive(), worker.stopping) == (False, False, True)


def test_what_a_step_raises_is_logged_and_the_next_one_follows(
    workers: list[Worker], caplog: pytest.LogCaptureFixture
) -> None:
    steps = Steps(ZeroDivisionError("a defect"))
    worker = Worker("goes on", steps, 0.001)
    workers.append(worker)
    worker.start()
    steps.wait(2)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (
        logging.ERROR,
        "a step of the worker goes on failed; the worker continues",
    )
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_it_runs_once_and_again_after_it_was_stopped(workers: list[Worker]) -> None:
    steps = Steps()
    worker = Worker("once", steps, FOR_EVER)
    workers.append(worker)
    assert [worker.start(), worker.start()] == [True, False]
    first = steps.wait()
    worker.stop()
    assert worker.start()
    assert steps.wait() is not first
    assert worker.running


def test_waking_it_ends_the_pause(workers: list[Worker]) -> None:
    steps = Steps()
    worker = Worker("woken", steps, None, first=None)
    workers.append(worker)
    worker.start()
    assert steps.done.empty()
    for _ in range(3):
        worker.wake()
        steps.wait()


def test_waking_it_during_a_step_has_another_one_done(workers: list[Worker]) -> None:
    steps: SimpleQueue[None] = SimpleQueue()

    def step() -> None:
        if steps.empty():
            worker.wake()
        steps.put(None)

    worker = Worker("woken early", step, None)
    workers.append(worker)
    worker.start()
    for _ in range(2):
        steps.get(timeout=PATIENCE)


def test_a_step_may_stop_and_start_its_own_worker(workers: list[Worker]) -> None:
    """The new thread waits for the old one: steps are never done side by side."""
    seen: SimpleQueue[tuple[threading.Thread, list[str]]] = SimpleQueue()
    restarts = iter([True])

    def step() -> None:
        if next(restarts, False):
            worker.stop()
            worker.start()
        seen.put((threading.current_thread(), [one.name for one in threading.enumerate() if one.name == "own"]))

    worker = Worker("own", step, FOR_EVER)
    workers.append(worker)
    worker.start()
    first, second = seen.get(timeout=PATIENCE), seen.get(timeout=PATIENCE)
    assert first[0] is not second[0]
    assert (first[1], second[1]) == (["own", "own"], ["own"])


def test_it_ends_when_no_step_is_needed_and_says_so(workers: list[Worker]) -> None:
    ended = threading.Event()
    left = [3]

    def step() -> None:
        left[0] -= 1

    worker = Worker("ends", step, 0.0, goes_on=lambda: left[0] > 0, ended=ended.set)
    workers.append(worker)
    worker.start()
    assert ended.wait(PATIENCE)
    assert (worker.running, worker.at_work, left) == (False, False, [0])


def test_who_needs_a_step_while_it_is_leaving_gets_one(workers: list[Worker]) -> None:
    steps, needed = Steps(), [True]
    leaving, leave = threading.Event(), threading.Event()

    def goes_on() -> bool:
        answer = needed[0]
        if steps.done.qsize() == 1 and not leaving.is_set():
            # It has made up its mind to go; before it has gone, a step is needed after all.
            answer = False
            leaving.set()
            assert leave.wait(PATIENCE)
        return answer

    worker = Worker("leaving", steps, 0.0, goes_on=goes_on)
    workers.append(worker)
    worker.start()
    assert leaving.wait(PATIENCE)
    assert not worker.at_work
    starting = threading.Thread(target=worker.start)
    starting.start()
    leave.set()
    starting.join(PATIENCE)
    first, second = steps.wait(), steps.wait()
    assert first is not second


def test_work_in_the_background_fails_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        raise ZeroDivisionError("a defect")

    in_background("sweeping", work).join(PATIENCE)
    assert [record.getMessage() for record in caplog.records] == ["sweeping failed"]


class Owner:
    """Notes in ``log`` that it was rebuilt."""

    def __init__(self, name: str, log: list[str], *after: Owner) -> None:
        self.name = name
        self.log = log
        rebuild_after_fork(self, Owner.rebuild, after=after)

    def rebuild(self) -> None:
        self.log.append(self.name)
        if self.name == "broken":
            raise ZeroDivisionError("a defect")


def test_a_child_rebuilds_what_others_build_upon_first() -> None:
    log: list[str] = []
    top, bottom = Owner("top", log), Owner("bottom", log)
    middle = Owner("middle", log, bottom)
    rebuild_after_fork(top, Owner.rebuild, after=(middle, bottom))
    assert answer_of_child(lambda: " ".join(log)) == "bottom middle top"
    assert log == []


def test_one_that_fails_keeps_none_of_the_others_back() -> None:
    log: list[str] = []
    owners = [Owner("broken", log), Owner("well", log)]
    assert answer_of_child(lambda: " ".join(log)) == "broken well"
    assert len(owners) == 2


def test_owners_are_not_kept_alive() -> None:
    log: list[str] = []
    owner = Owner("gone", log)
    gone = weakref.ref(owner)
    del owner
    assert gone() is None
    assert answer_of_child(lambda: " ".join(log)) == ""


def test_a_child_can_stop_a_worker_of_its_parent(workers: list[Worker]) -> None:
    """Whatever lock the thread held at the moment of the fork."""
    held, free = threading.Event(), threading.Event()

    def hold(frame: FrameType, event: str, value: object) -> None:
        if event == "return" and frame.f_code is needed.__code__:
            held.set()
            assert free.wait(PATIENCE)

    def needed() -> bool:
        return True

    worker = Worker("parent's", lambda: None, FOR_EVER, goes_on=needed)
    workers.append(worker)
    threading.setprofile(hold)
    try:
        worker.start()
        # A thread looks for the hook only after it counts as started.
        assert held.wait(PATIENCE)
    finally:
        threading.setprofile(None)

    def stop() -> str:
        running = worker.running
        worker.stop()
        return f"{running} {worker.running}"

    try:
        assert answer_of_child(stop) == "False False"
    finally:
        free.set()


def modules() -> dict[str, str]:
    """The texts of the product's modules by their paths."""
    root = Path(lifecycle.__file__).parents[2]
    paths = [path for folder in ("api", "auth", "cli", "config", "database") for path in (root / folder).rglob("*.py")]
    assert len(paths) > 100
    return {str(path.relative_to(root)): path.read_text() for path in paths}


def test_threads_and_hooks_of_a_fork_are_begun_here_alone() -> None:
    here = {path for path, text in modules().items() if re.search(r"\bThread\(|register_at_fork", text)}
    assert here == {"database/core/fork_gate.py", "database/core/lifecycle.py"}


PARTS = {
    "api/evaluations/reads.py",
    "api/http/live.py",
    "database/adapter/transactions.py",
    "database/backends/memory/adapter.py",
    "database/backends/memory/log.py",
    "database/backends/postgres/connection.py",
    "database/backends/postgres/pool.py",
    "database/backends/sqlite/adapter.py",
    "database/backends/sqlite/connection.py",
    "database/changes/budget.py",
    "database/changes/crew.py",
    "database/changes/live_records.py",
    "database/changes/outage.py",
    "database/changes/subscriptions.py",
    "database/http/pool.py",
    "database/resilience/circuit_breaker.py",
    "database/resilience/retry.py",
    "database/resilience/window.py",
    "database/failover/leading.py",
    "database/failover/state.py",
    "database/sync/checkpoint.py",
    "database/sync/progress.py",
    "database/sync/reconciler.py",
}
"""What adapters, connection managers and sync managers are made of: they make it anew."""

MADE_ANEW_BY_ITS_OWN_HOOK = {"database/core/fork_gate.py"}

ENDS_WITH_ITS_PROCESS = {"api/server/threads.py"}
"""A worker process of the server is not forked again."""


def test_who_keeps_a_lock_makes_it_anew_in_a_forked_child() -> None:
    keeping = {path for path, text in modules().items() if re.search(r"\b(R?Lock|Semaphore|Condition)\(", text)}
    rebuilt = {path for path, text in modules().items() if "rebuild_after_fork(" in text}
    assert keeping - rebuilt == PARTS | ENDS_WITH_ITS_PROCESS | MADE_ANEW_BY_ITS_OWN_HOOK
