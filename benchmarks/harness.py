"""Measuring cases side by side on a machine that is never quite at rest.

Every round measures every case once, in a random order, so that whatever disturbs the machine disturbs all of
them alike. Reported are medians with their quartiles, and the median of each round's ratio to a baseline: the ratio
is what carries over to another machine.
"""

from __future__ import annotations

import gc
import random
import statistics
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TypeVar

Item = TypeVar("Item")

Measure = Callable[[], float]
"""Runs a case once and returns the seconds that one operation of it took."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case's figures.

    :ivar median: seconds per operation, with ``low`` and ``high`` the quartiles.
    :ivar ratio: the median of the rounds' ratios to the baseline; ``least`` and ``most`` their range.
    """

    name: str
    median: float
    low: float
    high: float
    ratio: float
    least: float
    most: float


def per_call(function: Callable[[], object], number: int) -> Measure:
    """A measure of ``function``: the mean of ``number`` calls in a row, without garbage collection."""
    repetitions = range(number)

    def run() -> None:
        for _ in repetitions:
            function()

    return lambda: _seconds(run) / number


def per_item(function: Callable[[Item], object], items: Callable[[], Sequence[Item]]) -> Measure:
    """A measure of ``function``: the mean of one call per item, without garbage collection.

    :param items: makes the items of a round, which is not measured.
    """

    def measure() -> float:
        todo = items()

        def run() -> None:
            for item in todo:
                function(item)

        return _seconds(run) / len(todo)

    return measure


def wall(function: Callable[[], object]) -> Measure:
    """A measure of ``function`` run once, as when it starts threads of its own."""
    return per_call(function, 1)


def compare(cases: Mapping[str, Measure], *, baseline: str, rounds: int) -> list[Row]:
    """Measure all cases in interleaved rounds.

    :param baseline: the name of the case that the ratios are to.
    :param rounds: measurements per case, at least 1; one more round goes before, to warm up.
    :raises KeyError: if there is no case of the baseline's name.
    :raises ValueError: for less than one round.
    """
    return _rows(lambda: {name: cases[name]() for name in _shuffled(cases)}, cases, baseline, rounds)


def compare_by_turns(
    functions: Mapping[str, Callable[[Item], object]],
    items: Callable[[], Sequence[Item]],
    *,
    baseline: str,
    rounds: int,
) -> list[Row]:
    """Measure calls to a server in rounds in which the cases take turns call by call.

    The server shares the machine, and what disturbs it for a moment then disturbs all cases. What a round says of a
    case is the median of its calls.

    :param items: makes the items of one case for a round, which is not measured; as many each time.
    """
    return _rows(lambda: _by_turns(functions, items), functions, baseline, rounds)


def report(title: str, cases: Mapping[str, Measure], *, baseline: str, rounds: int) -> None:
    """Measure all cases as :func:`compare` does, and print them as a Markdown table."""
    print_table(title, compare(cases, baseline=baseline, rounds=rounds), baseline)


def print_table(title: str, rows: Sequence[Row], baseline: str) -> None:
    """Print what was measured as a Markdown table."""
    print(f"\n### {title}\n")
    print(f"| case | median | p25-p75 | ratio to *{baseline}* (range) |\n|---|---:|---:|---:|")
    for row in rows:
        spread = f"{_readable(row.low)} - {_readable(row.high)}"
        ratio = f"{row.ratio:.2f} ({row.least:.2f}-{row.most:.2f})"
        print(f"| {row.name} | {_readable(row.median)} | {spread} | {ratio} |")


def _rows(measure: Callable[[], Mapping[str, float]], names: Iterable[str], baseline: str, rounds: int) -> list[Row]:
    if rounds < 1:
        raise ValueError("at least one round is needed")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    base = seconds[baseline]
    measure()
    for _ in range(rounds):
        for name, time in measure().items():
            seconds[name].append(time)
    return [_row(name, times, base) for name, times in seconds.items()]


def _by_turns(
    functions: Mapping[str, Callable[[Item], object]], items: Callable[[], Sequence[Item]]
) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in zip(*[items() for _ in functions], strict=True):
        given = dict(zip(functions, turn, strict=True))
        for name in _shuffled(functions):
            seconds[name].append(_seconds(partial(functions[name], given[name])))
    return {name: statistics.median(times) for name, times in seconds.items()}


def _shuffled(names: Iterable[str]) -> list[str]:
    ordered = list(names)
    return random.sample(ordered, len(ordered))


def _seconds(run: Callable[[], object]) -> float:
    enabled = gc.isenabled()
    gc.disable()
    try:
        started = perf_counter()
        run()
        return perf_counter() - started
    finally:
        if enabled:
            gc.enable()


def _row(name: str, times: list[float], base: list[float]) -> Row:
    ratios = [time / reference for time, reference in zip(times, base, strict=True)]
    low, median, high = statistics.quantiles(times, method="inclusive") if len(times) > 1 else times * 3
    return Row(name, median, low, high, statistics.median(ratios), min(ratios), max(ratios))


def _readable(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
