"""The record stores of two databases in sync: mixed work on both sides ends in the same records, in the same order."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from typing import Final

from storage import StorageConflictError
from storage import StorageNotFoundError
from stores import WrongStep
from tests.stores.experiments.test_records import EXPERIMENT
from tests.stores.synced.conftest import Side
from tests.stores.synced.conftest import sync

OPERATIONS: Final = 200
CYCLE: Final = 40
NAMES: Final = ("a", "b", "\0é")
_STEPS: Final = ("running", "completed", "failed", "timeout", "cancelled")


class Work:
    """Random operations, the same ones in each run, on few records, so that both sides change the same ones."""

    def __init__(self, sides: tuple[Side, Side], seed: int) -> None:
        self._sides = sides
        self._random = Random(seed)  # the same in each run
        self._number = 0
        self.said: dict[str, list[int]] = {name: [] for name in NAMES}

    def one(self) -> None:
        """Carry out the next operation on one of the sides; it may be refused there, as its present state is."""
        self._number += 1
        operation = self._random.choice(self._operations())
        try:
            operation(self._random.choice(self._sides))
        except (StorageConflictError, StorageNotFoundError, WrongStep):
            return

    def _operations(self) -> list[Callable[[Side], Any]]:
        name, other, number = self._random.choice(NAMES), self._random.choice(NAMES), self._number
        id_, step = f"e{self._random.randrange(8)}", self._random.choice(_STEPS)
        value = {"number": number, "half": 0.5, "large": 2**70, "text": "wässer"}
        return [
            lambda side: side.agents.save_state(name, other, value),
            lambda side: side.agents.change_state(name, other, lambda present: {**(present or {}), str(number): 1}),
            lambda side: side.agents.delete_state(name, other),
            lambda side: side.agents.save_task(name, other, value),
            lambda side: self._say(side, name, number),
            lambda side: self._say(side, name, number),
            lambda side: side.agents.save_transactions(
                name, [{"transaction_id": number % 5, "n": number}, {"n": number}]
            ),
            lambda side: side.evaluations.create(id_, f"print({number})", {"number": number}),
            lambda side: side.evaluations.update(id_, status=step, output=f"{number}"),
            lambda side: side.evaluations.add_event(id_, "log", f"{number}"),
            lambda side: side.evaluations.record_metric(id_, "seconds", number / 7),
            lambda side: side.evaluations.delete(id_) if number % 3 == 0 else None,
            lambda side: side.experiments.save(f"episode:{name}", value),
            lambda side: side.experiments.start_optimization_run(name, "search", str(number)),
            lambda side: side.experiments.complete_optimization_run(name, total_generations=number),
            lambda side: side.experiments.save("experiment:exp_001", {**EXPERIMENT, "score": number}),
            lambda side: side.experiments.delete(f"run:{name}"),
        ]

    def _say(self, side: Side, name: str, number: int) -> None:
        side.agents.save_conversation(name, {"number": number})
        self.said[name].append(number)


def test_mixed_work_on_both_sides_ends_in_the_same_records(sides: tuple[Side, Side]) -> None:
    work = Work(sides, seed=13)
    for number in range(1, OPERATIONS + 1):
        work.one()
        if number % CYCLE == 0:
            sync(*sides)
    sync(*sides)
    first, second = (side.rows() for side in sides)
    assert {name: len(rows) for name, rows in first.items()} == {name: len(rows) for name, rows in second.items()}
    assert first == second
    assert all(first.values())
    for side in sides:
        _check(side, work)


def _check(side: Side, work: Work) -> None:
    """What the record stores say of their tables."""
    for name in NAMES:
        history = side.agents.get_conversation_history(name)
        assert [message["number"] for message in history] == work.said[name]
        numbers = [one["n"] for one in side.agents.get_transactions(name)]
        assert numbers == sorted(numbers)
    for evaluation in side.evaluations.every():
        events = side.evaluations.events(evaluation.id)
        assert events[0].event_type == "submitted"
        assert [event.id for event in events] == sorted(event.id for event in events)
