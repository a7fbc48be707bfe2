"""Compares cases on a machine that is never completely idle.

Every round measures every case once, in a random order, so that other load on the machine affects all cases alike. The
results are medians with quartiles, and the median of each round's ratio to a baseline; only the ratio is comparable
between machines.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import TypeVar

import psutil  # type: ignore[import-untyped]  # has no types

from benchmarks.plan import Plan
from benchmarks.table import Table
from benchmarks.table import Unit
from benchmarks.table import seconds

Item = TypeVar("Item")

Measure = Callable[[], float]
"""Runs a case once and returns its result: by default the seconds per operation."""


def per_call(function: Callable[[], object], number: int) -> Measure:
    """A measure of ``function``: the mean of ``number`` calls in a row, without garbage collection."""
    repetitions = range(number)

    def run() -> None:
        for _ in repetitions:
            function()

    return lambda: _elapsed(run) / number


def per_item(function: Callable[[Item], object], items: Callable[[], Sequence[Item]]) -> Measure:
    """A measure of ``function``: the mean of one call per item, without garbage collection.

    :param items: creates the items of a round; its time is not measured.
    """

    def measure() -> float:
        todo = items()

        def run() -> None:
            for item in todo:
                function(item)

        return _elapsed(run) / len(todo)

    return measure


def compare(
    title: str, cases: Mapping[str, Measure], *, baseline: str, plan: Plan, unit: Unit = seconds, note: str = ""
) -> Table:
    """Measure all cases in interleaved rounds.

    :param baseline: the name of the case to which the ratios refer.
    :param unit: formats a result.
    :param note: a remark on all cases.
    :raises KeyError: if the baseline is not one of the cases.
    """
    busy = share_of_others(plan)
    samples = _rounds(lambda: {name: cases[name]() for name in _shuffled(cases)}, cases, plan)
    return Table(title, baseline, samples, unit, note, busy)


def compare_by_turns(
    title: str,
    functions: Mapping[str, Callable[[Item], object]],
    items: Callable[[], Sequence[Item]],
    *,
    baseline: str,
    plan: Plan,
    note: str = "",
) -> Table:
    """Measure calls to a server in rounds in which the cases alternate after every call.

    The server runs on the same machine, so a short disturbance then affects all cases. The result of a case in a round
    is the median of its calls.

    :param items: creates the items of one case for a round, always the same number; its time is not measured.
    :param note: a remark on all cases.
    """
    busy = share_of_others(plan)
    samples = _rounds(lambda: _by_turns(functions, items), functions, plan)
    return Table(title, baseline, samples, seconds, note, busy)


def share_of_others(plan: Plan) -> float:
    """The share of all processors that other processes use, from 0 to 1; waits meanwhile."""
    return float(psutil.cpu_percent(plan.watch)) / 100 if plan.watch else 0.0


@contextmanager
def on_one_core() -> Iterator[None]:
    """Run this process and the server on one core, if the system supports it.

    Otherwise a call may take twice as long, depending on the scheduler and not on the contender.
    """
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _rounds(measure: Callable[[], Mapping[str, float]], names: Iterable[str], plan: Plan) -> Mapping[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(plan.warm_up):
        measure()
    for _ in range(plan.rounds):
        for name, figure in measure().items():
            samples[name].append(figure)
    return samples


def _by_turns(
    functions: Mapping[str, Callable[[Item], object]], items: Callable[[], Sequence[Item]]
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in zip(*[items() for _ in functions], strict=True):
        given = dict(zip(functions, turn, strict=True))
        for name in _shuffled(functions):
            times[name].append(_elapsed(partial(functions[name], given[name])))
    return {name: statistics.median(each) for name, each in times.items()}


def _shuffled(names: Iterable[str]) -> list[str]:
    ordered = list(names)
    return random.sample(ordered, len(ordered))


def _elapsed(run: Callable[[], object]) -> float:
    enabled = gc.isenabled()
    gc.disable()
    try:
        started = perf_counter()
        run()
        return perf_counter() - started
    finally:
        if enabled:
            gc.enable()
