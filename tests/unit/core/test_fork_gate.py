"""A fork waits for the calls of other threads, and they wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from database.core import fork_gate
from database.core.fork_gate import ForkGate
from tests.integration.forks import answer_of_child

GATE = ForkGate()
"""One for all tests: hooks of forks stay for the life of the process."""

PATIENCE = 10.0


@pytest.fixture(autouse=True)
def long_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_gate, "_PATIENCE", PATIENCE)


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_fork_waits_until_a_call_has_ended() -> None:
    began, left = threading.Event(), []

    def call() -> None:
        with GATE.inside("caller"):
            began.set()
            time.sleep(0.1)
            left.append("left")

    thread = in_thread(call)
    assert began.wait(PATIENCE)
    assert answer_of_child(lambda: repr(left)) == "['left']"
    thread.join()


def test_a_fork_is_not_delayed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_gate, "_PATIENCE", 0.05)
    with GATE.inside("this thread"):
        assert answer_of_child(lambda: "forked") == "forked"


def test_a_call_that_begins_during_a_fork_waits_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []
    threads: list[threading.Thread] = []
    seen: list[tuple[str, ...]] = []

    def call() -> None:
        with GATE.inside("late"):
            entered.append("late")

    def pause(_: float) -> None:
        # The fork waits for the caller of this test, and meanwhile another one comes.
        threads.append(in_thread(call))
        threads[0].join(0.1)
        seen.append(tuple(entered))
        GATE.leave("early")

    monkeypatch.setattr(fork_gate, "_pause", pause)
    GATE.enter("early")
    assert answer_of_child(lambda: repr(entered)) == "[]"
    threads[0].join(PATIENCE)
    assert (seen, entered) == ([()], ["late"])


def test_threads_that_fork_at_once_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[int] = []

    def pause(_: float) -> None:
        pauses.append(threading.get_ident())
        time.sleep(0.02)
        if len(pauses) == 3:
            GATE.leave("caller")

    monkeypatch.setattr(fork_gate, "_pause", pause)
    GATE.enter("caller")
    answers: list[str] = []
    threads = [in_thread(lambda: answers.append(answer_of_child(lambda: "forked"))) for _ in range(2)]
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == ["forked"] * 2
    # Only one of them waited for the caller; the other one waited for it.
    assert len(set(pauses)) == 1


def test_in_a_child_the_gate_is_open_and_nobody_is_inside() -> None:
    def child() -> str:
        with GATE.inside("child"):
            pass
        return answer_of_child(lambda: "grandchild")

    began = time.monotonic()
    assert answer_of_child(child) == "grandchild"
    assert time.monotonic() - began < PATIENCE
